from __future__ import annotations

import base64
from collections.abc import Callable

import numpy as np

from edge_app.imaging.images import decode_image
from export.proof.drawn import draw_xray
from export.proof.golden_cases import draw_pictures, record_cases
from export.proof.judge import Answer


def test_three_drawn_pictures_fractured_and_not() -> None:
    pictures = {name: decode_image(data) for name, data in draw_pictures().items()}
    assert list(pictures) == ["golden-1.png", "golden-2.png", "golden-3.png"]
    for seed, fractured in ((1, True), (2, False), (3, True)):
        np.testing.assert_array_equal(pictures[f"golden-{seed}.png"], draw_xray(seed, fractured=fractured))


def test_pictures_have_the_same_bytes_again() -> None:
    assert draw_pictures() == draw_pictures()


def test_answers_of_every_variant_are_recorded() -> None:
    def judge_of(factor: float) -> Callable[[np.ndarray], Answer]:
        def judge(square: np.ndarray) -> Answer:
            return Answer(factor, np.full((2, 3), factor * square.shape[0], np.float32))

        return judge

    cases = record_cases(draw_pictures(), {"float32": judge_of(0.5), "int8": judge_of(0.25)}, 8)
    assert [case["picture"] for case in cases] == ["golden-1.png", "golden-2.png", "golden-3.png"]
    for case in cases:
        assert {name: each["probability"] for name, each in case["expected"].items()} == {
            "float32": 0.5,
            "int8": 0.25,
        }
        heatmap = np.frombuffer(base64.b64decode(case["expected"]["int8"]["heatmap"]), "<f4")
        np.testing.assert_array_equal(heatmap.reshape(2, 3), np.full((2, 3), 2.0))
