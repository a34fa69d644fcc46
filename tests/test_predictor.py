from __future__ import annotations

import numpy as np
import pytest

from edge_app.errors import UnsupportedImage
from edge_app.images import encode_png
from edge_app.predictor import FRACTURE, NORMAL, PICTURE_PX, Predictor


def test_white_square_is_a_fracture_to_the_toy_model(toy_predictor: Predictor) -> None:
    prediction = toy_predictor.predict(encode_png(np.full((64, 64), 255, np.uint8)))
    assert prediction.probability == pytest.approx(0.982014, abs=1e-6)  # sigmoid(4)
    assert prediction.prediction == FRACTURE
    assert prediction.confidence == prediction.probability
    assert prediction.heatmap.min() == pytest.approx(1.0)


def test_black_square_is_normal_and_shows_nothing(toy_predictor: Predictor) -> None:
    prediction = toy_predictor.predict(encode_png(np.zeros((64, 64), np.uint8)))
    assert prediction.probability == pytest.approx(0.119203, abs=1e-6)  # sigmoid(-2)
    assert prediction.prediction == NORMAL
    assert prediction.confidence == pytest.approx(0.880797, abs=1e-6)
    assert not prediction.has_evidence


def test_heat_map_lies_over_the_bright_half(toy_predictor: Predictor) -> None:
    image = np.zeros((100, 50), np.uint8)
    image[:50] = 255
    heatmap = toy_predictor.predict(encode_png(image)).heatmap
    assert heatmap.shape == (32, 16)
    assert heatmap[:15, 1:-1].min() == pytest.approx(1.0, abs=1e-6)
    assert heatmap[18:].max() == 0.0


def test_peak_of_the_heat_map_lies_in_the_picture(toy_predictor: Predictor) -> None:
    grey = np.full((100, 50), 120, np.uint8)  # evidence 4 * 0.47 - 2 * 0.53, less beside the padding
    assert toy_predictor.predict(encode_png(grey)).heatmap.max() == 1.0


def test_large_picture_is_shown_reduced(toy_predictor: Predictor) -> None:
    image = np.zeros((1000, 2 * PICTURE_PX), np.uint8)
    assert toy_predictor.predict(encode_png(image)).picture.shape == (500, PICTURE_PX)


def test_same_file_gives_the_same_answer(toy_predictor: Predictor, drawn_png: bytes) -> None:
    first, second = (toy_predictor.predict(drawn_png) for _ in range(2))
    assert first.probability == second.probability
    np.testing.assert_array_equal(first.heatmap, second.heatmap)


def test_no_picture_is_an_error(toy_predictor: Predictor) -> None:
    with pytest.raises(UnsupportedImage):
        toy_predictor.predict(b"hello")
