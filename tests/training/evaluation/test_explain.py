from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edge_app.errors import DataError
from edge_app.model.pointing import Box
from tests.toy_keras import SIZE_PX, toy_model
from training.data.samples import Sample
from training.data.scan import Scan, Squares
from training.evaluation.explain import (
    SHUFFLES,
    best_method,
    choose_method,
    energy_inside,
    judge_heatmaps,
    overlap,
    peaks_in_boxes,
    randomisation_check,
)
from training.evaluation.scorers import Evidence, KerasScorer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

HIT = Box(0.5, 0.25, 0.25, 0.25)  # the cell in row 1, column 2 of 4 x 4
MISS = Box(0, 0, 0.25, 0.25)


def sample(*boxes: Box) -> Sample:
    return Sample("x", Path("nowhere"), fractured=bool(boxes), boxes=boxes)


def scan(squares: np.ndarray, samples: list[Sample], height: int = SIZE_PX, width: int = SIZE_PX) -> Scan:
    shapes = np.full((len(samples), 2), (height, width))
    return Scan(samples, squares, shapes, np.zeros((len(samples), 32, 32), np.uint8), [])


class Told:
    """A scorer whose methods point at different cells.

    HiRes-CAM sees (1, 2) alone; at (3, 0) its two channels cancel, where Layer-CAM drops the negative one
    and is the warmest; where there is no gradient, at (0, 0), both methods of mean gradients are.
    """

    size_px = SIZE_PX

    def logits(self, squares: Squares) -> np.ndarray:
        return np.zeros(len(squares))

    def evidence(self, squares: Squares) -> Iterator[Evidence]:
        features, gradient = np.zeros((2, 4, 4, 2), np.float32)
        features[1, 2], gradient[1, 2] = (1, 0), (1, 0)
        features[3, 0], gradient[3, 0] = (1, 1), (2, -2)
        features[0, 0] = (5, 0)
        return (Evidence(features, gradient) for _ in range(len(squares)))


def test_overlap_and_energy_are_those_worked_out_by_hand() -> None:
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[0, :3] = 1.0, 0.6, 0.4
    inside = np.zeros((4, 4), bool)
    inside[0, 1:3] = True
    assert overlap(heatmap, inside) == pytest.approx(1 / 3)  # warm: 0 and 1; inside: 1 and 2
    assert energy_inside(heatmap, inside) == pytest.approx(1.0 / 2.0)


def test_empty_map_has_neither_overlap_nor_energy() -> None:
    empty = np.zeros((4, 4), np.float32)
    assert overlap(empty, np.full((4, 4), True)) == 0
    assert energy_inside(empty, np.full((4, 4), True)) == 0


def test_heatmaps_are_judged_on_samples_with_boxes() -> None:
    squares = np.zeros((4, SIZE_PX, SIZE_PX), np.uint8)
    squares[:, 16:32, 32:48] = 200
    samples = [sample(HIT), sample(MISS), sample(HIT), sample()]
    found = judge_heatmaps(KerasScorer(toy_model(), batch_size=2), scan(squares, samples), np.arange(4))
    pointing = found["methods"]["grad-cam"]["pointing_game"]
    assert found["samples"] == 3
    assert pointing["value"] == pytest.approx(2 / 3)
    assert pointing["low"] < 2 / 3 < pointing["high"]
    assert found["by_chance"] == pytest.approx(1 / 16)


def test_each_method_is_judged_by_its_own_maps() -> None:
    samples = [sample(HIT), sample(HIT), sample(MISS), sample(Box(0, 0.75, 0.25, 0.25))]
    found = judge_heatmaps(Told(), scan(np.zeros((4, 8, 8), np.uint8), samples), np.arange(4))
    values = {name: each["pointing_game"]["value"] for name, each in found["methods"].items()}
    assert values == {"grad-cam": 0.25, "grad-cam++": 0.25, "hirescam": 0.5, "layercam": 0.25}


def test_method_that_points_best_is_chosen() -> None:
    samples = [sample(HIT), sample(HIT), sample(MISS), sample()]
    chosen = choose_method(
        peaks_in_boxes(Told(), scan(np.zeros((4, 8, 8), np.uint8), samples)), np.arange(4)
    )
    games = chosen["heatmap"]["pointing_game"]
    assert chosen["heatmap"]["method"] == "hirescam"
    assert (games["hirescam"]["samples"], games["hirescam"]["value"]) == (3, pytest.approx(2 / 3))
    assert games["grad-cam"]["value"] == pytest.approx(1 / 3)
    assert chosen["pointing_game"] == games["hirescam"]


def test_peaks_are_told_of_each_xray_with_boxes() -> None:
    samples = [sample(HIT), sample(), sample(MISS)]
    peaks = peaks_in_boxes(Told(), scan(np.zeros((3, 8, 8), np.uint8), samples))
    np.testing.assert_array_equal(peaks["hirescam"], [1, np.nan, 0])


def test_grad_cam_is_taken_where_others_point_no_better() -> None:
    assert best_method({"layercam": 0.5, "grad-cam": 0.5, "hirescam": 0.4}) == "grad-cam"
    assert best_method({"grad-cam": 0.5, "layercam": 0.6, "hirescam": 0.6}) == "layercam"


def test_nothing_is_chosen_without_boxes() -> None:
    chosen = choose_method(
        peaks_in_boxes(Told(), scan(np.zeros((1, 8, 8), np.uint8), [sample()])), np.zeros(1, int)
    )
    assert chosen == {"pointing_game": None, "heatmap": {"method": "grad-cam", "pointing_game": None}}


def test_warmest_place_is_sought_in_the_picture_not_in_its_padding() -> None:
    squares = np.zeros((1, SIZE_PX, SIZE_PX), np.uint8)
    squares[0, :16] = 250  # above the picture, which is twice as wide as high
    squares[0, 16:32, :16] = 100
    left_top = Box(0, 0, 0.25, 0.5)
    found = judge_heatmaps(
        KerasScorer(toy_model()), scan(squares, [sample(left_top)], 32, 64), np.zeros(1, int)
    )
    assert found["methods"]["grad-cam"]["pointing_game"]["value"] == 1.0


def test_samples_without_boxes_cannot_be_judged() -> None:
    squares = np.zeros((1, SIZE_PX, SIZE_PX), np.uint8)
    with pytest.raises(DataError, match="has a box"):
        judge_heatmaps(KerasScorer(toy_model()), scan(squares, [sample()]), np.zeros(1, int))


def test_maps_that_show_the_picture_alone_are_caught() -> None:
    # with a single feature, shuffling has nothing to exchange
    squares = np.random.default_rng(0).integers(0, 255, (2, SIZE_PX, SIZE_PX)).astype(np.uint8)
    check = randomisation_check(KerasScorer(toy_model()), squares, "grad-cam")
    assert [stage["median_correlation"] for stage in check["stages"]] == pytest.approx([1, 1, 1, 1])


def test_range_over_the_shuffles_is_told() -> None:
    # features are brightness and darkness; the head weighs brightness alone, or darkness once shuffled
    image = layers.Input((SIZE_PX, SIZE_PX, 1))
    cells = layers.AveragePooling2D(16)(layers.Rescaling(1 / 255)(image))
    features = layers.Conv2D(2, 1, name="features")(cells)
    evidence = layers.Conv2D(1, 1, use_bias=False, name="evidence")(features)
    model = keras.Model(image, layers.Dense(1, name="logit")(layers.GlobalAveragePooling2D()(evidence)))
    model.get_layer("features").set_weights([np.array([[[[1, -1]]]]), np.array([0, 1])])
    model.get_layer("evidence").set_weights([np.array([[[[1], [0]]]])])
    model.get_layer("logit").set_weights([np.ones((1, 1)), np.zeros(1)])
    before = [weight.copy() for weight in model.get_weights()]
    squares = np.random.default_rng(0).integers(0, 255, (2, SIZE_PX, SIZE_PX)).astype(np.uint8)
    control, head, *_ = randomisation_check(KerasScorer(model), squares, "grad-cam")["stages"]
    assert (control["shuffled"], control["shuffles"]) == ("nothing", 1)
    assert (control["low"], control["high"]) == pytest.approx((1, 1))
    assert (head["shuffled"], head["shuffles"]) == ("head", SHUFFLES)
    assert (head["low"], head["high"]) == pytest.approx((-1, 1))
    for found, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_flat_maps_are_not_compared() -> None:
    black = np.zeros((1, SIZE_PX, SIZE_PX), np.uint8)
    check = randomisation_check(KerasScorer(toy_model()), black, "grad-cam")
    nothing = {"shuffles": 0, "median_correlation": None, "low": None, "high": None}
    assert check["stages"][0] == {"shuffled": "nothing", **nothing}
