from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from edge_app.errors import DataError
from training.datasets import Box, Sample
from training.evaluate import LogitModel, evaluate_scores, fold_calibration, pointing_game, points_inside
from training.metrics import Calibration

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def brightness_model() -> keras.Model:
    """Return a model whose evidence is a cell's brightness / 255 - 3, pooled by log-sum-exp."""
    image = layers.Input((64, 64, 1))
    cells = layers.AveragePooling2D(16)(layers.Rescaling(1 / 255)(image))
    evidence = layers.Conv2D(1, 1, kernel_initializer="ones", name="evidence")(cells)
    pooled = keras.ops.logsumexp(evidence, axis=(1, 2))
    logit = layers.Dense(1, kernel_initializer="ones", name="logit")(pooled)
    model = keras.Model(image, layers.Activation("sigmoid", name="probability")(logit))
    model.get_layer("evidence").set_weights([np.ones((1, 1, 1, 1)), np.full(1, -3.0)])
    return model


def sample(*boxes: Box) -> Sample:
    return Sample("x", Path("nowhere"), bool(boxes), 0, (), False, boxes)


def test_logits_are_those_of_the_layer() -> None:
    squares = np.zeros((40, 64, 64), np.uint8)  # more than one batch
    logits = LogitModel(brightness_model())(squares)
    assert logits == pytest.approx(np.full(40, -3 + np.log(16)), abs=1e-5)


def test_diverged_model_is_told() -> None:
    model = brightness_model()
    model.get_layer("logit").set_weights([np.full((1, 1), np.nan), np.zeros(1)])
    with pytest.raises(DataError, match="diverged"):
        LogitModel(model)(np.zeros((1, 64, 64), np.uint8))


def test_calibration_is_part_of_the_model_afterwards() -> None:
    model = brightness_model()
    squares = np.zeros((1, 64, 64), np.uint8)
    before = LogitModel(model)(squares)
    fold_calibration(model, Calibration(0.5, 2.0))
    assert LogitModel(model)(squares) == pytest.approx(0.5 * before + 2.0, abs=1e-5)


def test_peak_counts_only_inside_a_box() -> None:
    heatmap = np.zeros((10, 10), np.float32)
    heatmap[2, 7] = 1  # centre at x = 0.75, y = 0.25
    assert points_inside(heatmap, [Box(0.7, 0.2, 0.1, 0.1)])
    assert points_inside(heatmap, [Box(0, 0, 0.1, 0.1), Box(0.7, 0.2, 0.1, 0.1)])
    assert not points_inside(heatmap, [Box(0.2, 0.7, 0.1, 0.1)])
    assert not points_inside(np.zeros((10, 10), np.float32), [Box(0, 0, 1, 1)])


def test_pointing_game_counts_hits_among_boxed_samples() -> None:
    squares = np.zeros((4, 64, 64), np.uint8)
    squares[:, 16:32, 32:48] = 200  # the cell around x = 0.625, y = 0.375
    hit, miss = Box(0.5, 0.25, 0.25, 0.25), Box(0, 0, 0.25, 0.25)
    samples = [sample(hit), sample(miss), sample(hit), sample()]
    found = pointing_game(brightness_model(), squares, samples, np.full((4, 2), 64), np.array([0, 1, 2, 3]))
    assert found["samples"] == 3
    assert found["value"] == pytest.approx(2 / 3)
    assert found["low"] <= found["value"] <= found["high"]


def test_pointing_game_without_boxes_is_an_error() -> None:
    with pytest.raises(DataError, match="No validation X-ray has a fracture box"):
        pointing_game(
            brightness_model(),
            np.zeros((1, 64, 64), np.uint8),
            [sample()],
            np.full((1, 2), 64),
            np.zeros(1, int),
        )


def test_evaluation_holds_figures_worked_out_by_hand() -> None:
    labels = np.tile([0, 0, 0, 1], 50).astype(np.float32)
    scores = np.tile([0.1, 0.2, 0.6, 0.5], 50)
    evaluation = evaluate_scores(labels, scores, np.repeat(np.arange(50), 4))
    assert evaluation["samples"] == 200
    assert evaluation["fractured"] == 50
    assert evaluation["groups"] == 50
    assert evaluation["auroc"]["value"] == pytest.approx(2 / 3)
    point = evaluation["operating_point"]
    assert point["threshold"] == pytest.approx(0.35)
    assert point["sensitivity"]["value"] == 1.0
    assert point["specificity"]["value"] == pytest.approx(2 / 3)
