from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import DataError
from export.drawn import draw_xray
from training.datasets import Sample
from training.splits import block_groups, duplicate_pairs, leaking, split_validation


def sample(number: int) -> Sample:
    return Sample(f"IMG{number:07d}.jpg", Path("nowhere"), False, number, (), False, ())


def squares(*seeds: int) -> np.ndarray:
    return np.stack([draw_xray(seed, 64, 64) for seed in seeds])


def test_same_and_nearly_same_pictures_are_pairs() -> None:
    pictures = np.concatenate([squares(1, 2, 1, 3), squares(2) // 2 + 10])
    assert duplicate_pairs(pictures).tolist() == [[0, 2], [1, 4]]


def test_flat_pictures_do_not_divide_by_zero() -> None:
    flat = np.zeros((2, 64, 64), np.uint8)
    assert duplicate_pairs(np.concatenate([flat, squares(1)])).tolist() == []


def test_blocks_hold_fifty_consecutive_numbers() -> None:
    assert block_groups([sample(n) for n in (0, 49, 50, 149)]).tolist() == [0, 0, 1, 2]


def test_groups_stay_whole_and_both_sides_hold_both_classes() -> None:
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 25)
    labels = (generator.random(1000) < np.repeat(generator.random(40) * 0.4, 25)).astype(np.float32)
    validation = split_validation(labels, groups, seed=0)
    assert not set(groups[validation]) & set(groups[~validation])
    assert 0.15 < validation.mean() < 0.25
    assert 0.15 < labels[validation].sum() / labels.sum() < 0.25


def test_same_seed_gives_the_same_split() -> None:
    groups = np.repeat(np.arange(20), 5)
    labels = np.tile([0, 1], 50).astype(np.float32)
    first, again, other = (split_validation(labels, groups, seed) for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(DataError, match="Only 4 independent groups"):
        split_validation(np.tile([0, 1], 4).astype(np.float32), np.repeat(np.arange(4), 2), 0)


def test_side_without_fractures_is_refused() -> None:
    labels = np.zeros(50, np.float32)
    labels[0] = 1
    with pytest.raises(DataError, match="single class"), pytest.warns(UserWarning, match="populated class"):
        split_validation(labels, np.repeat(np.arange(10), 5), 0)


def test_duplicates_and_neighbours_of_validation_leak() -> None:
    samples = [sample(n) for n in (10, 47, 48, 49, 50, 51, 90, 200)]
    validation = np.array([False, False, False, False, True, True, True, False])
    pairs = np.array([[0, 6], [3, 4]])
    leaks = leaking(samples, validation, pairs)
    # 10 duplicates 90; 48 and 49 stand within two of 50; 47 and 200 stay
    assert [s.number for s, leak in zip(samples, leaks, strict=True) if leak] == [10, 48, 49]


def test_no_real_xray_stands_on_both_sides(xray_dir: Path) -> None:
    from training.datasets import read_dataset
    from training.pipeline import decode_samples

    decoded = decode_samples(read_dataset(xray_dir), 64)
    labels = np.array([s.fractured for s in decoded.samples], np.float32)
    validation = split_validation(labels, block_groups(decoded.samples), 0)
    pairs = duplicate_pairs(decoded.squares)
    training = ~validation & ~leaking(decoded.samples, validation, pairs)
    hashes = [square.tobytes() for square in decoded.squares]
    numbers = np.array([s.number for s in decoded.samples])
    seen = {hashes[i] for i in np.flatnonzero(training)}
    assert not seen & {hashes[i] for i in np.flatnonzero(validation)}
    assert not (training[pairs[:, 0]] & validation[pairs[:, 1]]).any()
    assert not (training[pairs[:, 1]] & validation[pairs[:, 0]]).any()
    assert np.abs(numbers[training][:, None] - numbers[validation]).min() > 2
    assert len(decoded.unreadable) == 56
    assert not any(s.fractured for s, _ in decoded.unreadable)
