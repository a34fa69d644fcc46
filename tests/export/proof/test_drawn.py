from __future__ import annotations

import base64

import numpy as np

from edge_app.imaging.images import decode_image
from edge_app.model.inference import Explanation
from export.proof.drawn import draw_pictures, draw_xray, record_cases


class Scaled:
    """A model that gives a factor as probability, and the factor times the input's side everywhere."""

    device = "cpu"

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def explain(self, tensor: np.ndarray) -> Explanation:
        heatmap = np.full((2, 3), self._factor * tensor.shape[1], np.float32)
        return Explanation(0, self._factor, heatmap, heatmap, heatmap)


def test_drawn_pictures_are_the_same_for_the_same_seed() -> None:
    np.testing.assert_array_equal(draw_xray(3), draw_xray(3))
    assert (draw_xray(3) != draw_xray(4)).any()
    assert (draw_xray(3) != draw_xray(3, fractured=True)).any()


def test_three_golden_pictures_fractured_and_not() -> None:
    pictures = {name: decode_image(data) for name, data in draw_pictures().items()}
    assert list(pictures) == ["golden-1.png", "golden-2.png", "golden-3.png"]
    for seed, fractured in ((1, True), (2, False), (3, True)):
        np.testing.assert_array_equal(pictures[f"golden-{seed}.png"], draw_xray(seed, fractured=fractured))


def test_golden_pictures_have_the_same_bytes_again() -> None:
    assert draw_pictures() == draw_pictures()


def test_explanations_of_every_variant_are_recorded() -> None:
    cases = record_cases(draw_pictures(), {"float32": Scaled(0.5), "int8": Scaled(0.25)}, 8)
    assert [case["picture"] for case in cases] == ["golden-1.png", "golden-2.png", "golden-3.png"]
    for case in cases:
        assert {name: each["probability"] for name, each in case["expected"].items()} == {
            "float32": 0.5,
            "int8": 0.25,
        }
        heatmap = np.frombuffer(base64.b64decode(case["expected"]["int8"]["heatmap"]), "<f4")
        np.testing.assert_array_equal(heatmap.reshape(2, 3), np.full((2, 3), 2.0))
