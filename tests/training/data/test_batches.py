from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edge_app.model.pointing import Box
from training.data.batches import (
    WHOLE,
    Sampling,
    Share,
    draw_epoch,
    sample_weights,
    training_batches,
)
from training.data.samples import Sample
from training.data.scan import Scan

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
BATCH = 4


def sample(name: str, fractured: bool, *parts: str) -> Sample:
    boxes = (Box(0.25, 0.25, 0.5, 0.5),) if fractured else ()
    return Sample(name, Path("nowhere"), fractured, body_parts=parts, boxes=boxes)


SAMPLES = [sample(str(index), index % 3 == 0) for index in range(12)]
SCAN = Scan(
    samples=SAMPLES,
    squares=np.random.default_rng(0).integers(0, 256, (12, 32, 32), np.uint8),
    shapes=np.full((12, 2), 32),
    thumbnails=np.zeros((12, 32, 32), np.uint8),
    unreadable=[],
)
CHOSEN = np.arange(1, 11)
WEIGHTS = np.arange(12, dtype=np.float32)  # tell which samples a batch holds


def batches(count: int, seed: int = 0, first_epoch: int = 0, part: Share = WHOLE) -> list[tuple]:
    stream = training_batches(SCAN, CHOSEN, WEIGHTS, BATCH, seed, first_epoch, part)
    return [
        (
            image.numpy(),
            {name: target.numpy() for name, target in targets.items()},
            weights.numpy(),
        )
        for image, targets, weights in islice(stream, count)
    ]


def order(*arguments: object) -> list[float]:
    return [weight for _, _, weights in batches(*arguments) for weight in weights]


def test_batches_have_the_models_form() -> None:
    [(image, targets, weights)] = batches(1)
    assert (image.shape, image.dtype) == ((4, 32, 32, 1), np.float32)
    assert (targets["logit"].shape, targets["logit"].dtype) == ((4, 1), np.float32)
    assert (targets["evidence"].shape, targets["evidence"].dtype) == ((4, 2, 2, 1), np.float32)
    assert weights.shape == (4,)


def test_label_boxes_and_weight_belong_to_the_same_sample() -> None:
    for _, targets, weights in batches(4):
        fractured = [SAMPLES[int(name)].fractured for name in weights]
        assert targets["logit"][:, 0].tolist() == fractured
        assert targets["evidence"].any(axis=(1, 2, 3)).tolist() == fractured


def test_epoch_draws_each_chosen_sample_at_most_once() -> None:
    drawn = order(2)
    assert len(set(drawn)) == len(drawn) == 8
    assert set(drawn) <= set(CHOSEN)


def test_epochs_differ_and_the_seed_repeats_them() -> None:
    assert order(2) != order(4)[8:]
    assert order(4) == order(4)
    assert order(2) != order(2, 1)


def test_later_start_gives_the_batches_of_an_uninterrupted_stream() -> None:
    whole, resumed = batches(6)[4:], batches(2, 0, 2)
    for (image, _, _), (again, _, _) in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(image, again)


def test_parts_together_are_the_whole_batch() -> None:
    whole, first, second = (batches(2, 0, 0, part) for part in (WHOLE, Share(0, 2, 2), Share(1, 2, 2)))
    for (image, _, _), (upper, _, _), (lower, _, _) in zip(whole, first, second, strict=True):
        np.testing.assert_array_equal(image, np.concatenate([upper, lower]))


def test_replicas_of_a_process_take_turns() -> None:
    whole, shared = batches(1), batches(2, 0, 0, Share(replicas=2))
    np.testing.assert_array_equal(whole[0][0], np.concatenate([image for image, _, _ in shared]))


def test_balanced_classes_weigh_alike_in_all() -> None:
    samples = [sample("a", True), *(sample("b", False) for _ in range(3))]
    weights = sample_weights(samples, np.arange(4), "class")
    assert weights.tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])


def test_balanced_parts_weigh_classes_alike_within_each() -> None:
    hands = [sample("a", True, "hand"), *(sample("b", False, "hand") for _ in range(3))]
    hips = [sample("c", False, "hip"), sample("d", False, "hip")]
    weights = sample_weights(hands + hips, np.arange(6), "part")
    assert weights.tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3, 1, 1])


def test_what_is_not_trained_on_weighs_nothing() -> None:
    assert sample_weights(SAMPLES, np.array([0, 3]), "none").tolist() == [1, 0, 0, 1] + 8 * [0]


def test_epoch_of_a_size_holds_the_wanted_share_and_everyone_about_as_often() -> None:
    labels = np.arange(40) % 10 == 0  # 4 fractured of 40
    drawn = draw_epoch(np.arange(40), labels, Sampling(24, 0.5), np.random.default_rng(0))
    counts = np.bincount(drawn, minlength=40)
    assert counts[labels].tolist() == [3] * 4
    assert sorted(counts[~labels]) == [0] * 24 + [1] * 12


def test_epoch_of_a_size_keeps_the_share_where_none_is_wanted() -> None:
    labels = np.arange(40) % 10 == 0
    drawn = draw_epoch(np.arange(40), labels, Sampling(20), np.random.default_rng(0))
    assert labels[drawn].sum() == 2


def test_sample_that_is_drawn_twice_is_augmented_twice() -> None:
    one = np.array([3])
    stream = training_batches(SCAN, one, WEIGHTS, 2, 0, sampling=Sampling(2))
    ((image, _, _),) = islice(stream, 1)
    assert (image[0].numpy() != image[1].numpy()).any()


def test_windows_label_follows_the_boxes_left_in_it() -> None:
    stream = training_batches(SCAN, CHOSEN, WEIGHTS, BATCH, 0, sampling=Sampling(zoom=1.0))
    for _, targets, _ in islice(stream, 20):
        shown = targets["evidence"].numpy().any(axis=(1, 2, 3))
        assert targets["logit"].numpy()[:, 0].tolist() == shown.tolist()


def test_window_is_what_a_step_sees() -> None:
    stream = training_batches(SCAN, CHOSEN, WEIGHTS, BATCH, 0, sampling=Sampling(window_px=32))
    for image, targets, _ in islice(stream, 5):
        assert image.shape[1:] == (32, 32, 1)
        assert targets["evidence"].shape[1:] == (2, 2, 1)
        shown = targets["evidence"].numpy().any(axis=(1, 2, 3))
        assert (targets["logit"].numpy()[:, 0] >= shown).all()


def test_fracture_without_a_box_keeps_its_label_and_the_whole_picture() -> None:
    bare = [Sample(str(index), Path("nowhere"), True) for index in range(4)]
    scan = Scan(bare, SCAN.squares[:4], SCAN.shapes[:4], SCAN.thumbnails[:4], [])
    ((_, targets, _),) = islice(training_batches(scan, np.arange(4), WEIGHTS[:4], 4, 0), 1)
    assert targets["logit"].numpy().all()
