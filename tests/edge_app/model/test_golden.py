from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import BundleError
from edge_app.model.bundle import Bundle, load_bundle
from edge_app.model.golden import golden_tensors, replay
from edge_app.model.inference import Explanation, ModelPair
from tests import toy


class Answers:
    """Answers as the toy model does to its golden pictures, but for what is added."""

    device = "cpu"

    def __init__(self, probability: float = 0, heat: float = 0) -> None:
        self.added = probability, heat

    def explain(self, tensor: np.ndarray) -> Explanation:
        bright = bool(tensor.max())
        probability = 1 / (1 + np.exp(-4 if bright else 2))
        heatmap = np.full((16, 16), bright, np.float32)
        heatmap[3, 5] -= self.added[1]
        return Explanation(0, probability + self.added[0], heatmap, tensor, tensor)


@pytest.fixture
def bundle(toy_bundle: Path) -> Bundle:
    return load_bundle(toy_bundle)


def test_pictures_are_laid_out_as_any_upload(bundle: Bundle) -> None:
    white, black = golden_tensors(bundle)
    np.testing.assert_array_equal(white, np.full((1, 32, 32, 1), 255, np.float32))
    np.testing.assert_array_equal(black, np.zeros((1, 32, 32, 1)))


def test_own_answers_are_reproduced(bundle: Bundle) -> None:
    replay(bundle, ModelPair(bundle.graphs, device="cpu"))


@pytest.mark.parametrize(
    "small", [Answers(probability=0.0009), Answers(heat=0.0009), Answers(heat=-0.0009)]
)
def test_difference_below_a_thousandth_passes(bundle: Bundle, small: Answers) -> None:
    replay(bundle, small)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Answers(probability=0.0011), r"golden-1.png the probability differs by 0.0011, allowed is 0.001"),
        (Answers(probability=-0.25), r"golden-1.png the probability differs by 0.25, allowed is 0.001"),
        (Answers(heat=0.5), r"golden-1.png the heat map differs by 0.5, allowed is 0.001"),
    ],
)
def test_other_answer_is_refused_with_case_and_difference(
    bundle: Bundle, other: Answers, words: str
) -> None:
    with pytest.raises(BundleError, match=rf"\(cpu\) .* float32 .*{words}"):
        replay(bundle, other)


def test_smaller_precision_has_more_room_and_other_advice(tmp_path: Path) -> None:
    bundle = load_bundle(toy.write_two_variants(tmp_path), "int8")
    replay(bundle, Answers(probability=-0.019))
    with pytest.raises(BundleError, match=r"edge_app.choose"):
        replay(bundle, Answers(probability=-0.021))


def test_each_variant_has_its_own_expectation(tmp_path: Path) -> None:
    golden = toy.manifest({"float32": toy.FLOAT32, "int8": toy.INT8})["golden"]
    golden[0]["expected"] = {
        **golden[0]["expected"],
        "int8": {"probability": 0.5, "heatmap": toy.encode_map(np.ones((16, 16)))},
    }
    toy.write_two_variants(tmp_path, golden=golden)
    replay(load_bundle(tmp_path), Answers())
    with pytest.raises(BundleError, match=r"probability differs by 0\.48"):
        replay(load_bundle(tmp_path, "int8"), Answers())


def test_picture_that_cannot_be_read_is_told(bundle: Bundle) -> None:
    broken = replace(bundle, pictures={**bundle.pictures, "golden-2.png": b"hello"})
    with pytest.raises(BundleError, match="golden picture of the model bundle cannot be read"):
        replay(broken, Answers())
