from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_app.errors import DataError
from edge_app.model.inference import Explanation
from edge_app.model.pointing import Box
from export.proof.gate import Figures, Gate, measure
from export.runs import XrayRecord
from export.xrays import Xrays

GRID = 4
LEFT_HALF = (Box(0, 0, 0.5, 1),)


class Recorded:
    """A model that gives one explanation after another, whatever it is shown."""

    device = "cpu"

    def __init__(self, *explanations: Explanation) -> None:
        self._explanations = iter(explanations)

    def explain(self, tensor: np.ndarray) -> Explanation:
        return next(self._explanations)


def xrays(labels: str, boxes: tuple[Box, ...] = LEFT_HALF, shape: tuple[int, int] = (64, 64)) -> Xrays:
    """Return black X-rays, `F` fractured with the given boxes, `N` normal."""
    records = tuple(
        XrayRecord(str(index), f"{index}.png", label == "F", "validation", boxes if label == "F" else ())
        for index, label in enumerate(labels)
    )
    return Xrays(records, np.zeros((len(labels), 64, 64), np.uint8), (shape,) * len(labels))


def answer(probability: float, row: int = 0, column: int = 0) -> Explanation:
    heatmap = np.zeros((GRID, GRID), np.float32)
    heatmap[row, column] = 1
    return showing(probability, heatmap)


def showing(probability: float, heatmap: np.ndarray) -> Explanation:
    return Explanation(0.0, probability, heatmap, heatmap, heatmap)


def gate(reference: list[Explanation], labels: str) -> Gate:
    said = {str(index): each.probability for index, each in enumerate(reference)}
    return Gate(xrays(labels), 0.5, 0.9, Recorded(*reference), said)


def test_figures_of_a_case_made_by_hand() -> None:
    # Of 2 x 3 pairs of a fractured and a normal one, 4 are in order and one is tied.
    answers = [answer(0.9), answer(0.5, column=3), answer(0.6), answer(0.5), answer(0.1)]
    found = measure(xrays("FFNNN"), answers, threshold=0.5)
    assert found == Figures(
        samples=5,
        fractured=2,
        auroc=pytest.approx(4.5 / 6),
        threshold=0.5,
        sensitivity=1.0,
        specificity=pytest.approx(1 / 3),
        pointing_game=0.5,
    )


def test_peak_is_sought_over_the_picture_not_over_its_padding() -> None:
    # A wide picture fills the middle half of the square; the warmest row of the map is padding above it.
    heatmap = np.zeros((GRID, GRID), np.float32)
    heatmap[0, 3], heatmap[2, 0] = 1.0, 0.5
    found = measure(xrays("FN", shape=(32, 64)), [showing(0.9, heatmap), answer(0.1)], 0.5)
    assert found.pointing_game == 1.0


def test_empty_map_points_nowhere() -> None:
    empty = showing(0.9, np.zeros((GRID, GRID), np.float32))
    assert measure(xrays("FN"), [empty, answer(0.1)], 0.5).pointing_game == 0.0


def test_pointing_game_is_unknown_without_boxes() -> None:
    assert measure(xrays("FN", boxes=()), [answer(0.9), answer(0.1)], 0.5).pointing_game is None


@pytest.mark.parametrize("labels", ["FF", "NN"])
def test_xrays_of_one_class_tell_nothing(labels: str) -> None:
    with pytest.raises(DataError, match="of one class only"):
        measure(xrays(labels), [answer(0.9), answer(0.1)], 0.5)


@pytest.mark.parametrize(
    ("change", "admitted"),
    [
        ({}, True),
        ({"auroc": 0.8951, "specificity": 0.7801, "pointing_game": 0.4801}, True),
        ({"auroc": 0.8949}, False),
        ({"specificity": 0.7799}, False),
        ({"pointing_game": 0.4799}, False),
        ({"sensitivity": 0.9}, True),
        ({"sensitivity": 0.89}, False),
        ({"auroc": 0.99, "sensitivity": 0.99, "specificity": 0.99, "pointing_game": 0.99}, True),
    ],
)
def test_gate_admits_small_losses_only(change: dict[str, float], admitted: bool) -> None:
    judged = gate([answer(0.9), answer(0.1)], "FN")
    judged.reference = Figures(20, 10, 0.9, 0.5, 0.95, 0.8, 0.5)
    assert judged.admits(replace(judged.reference, **change)) is admitted


def test_gate_measures_a_variant_on_the_same_xrays() -> None:
    judged = gate([answer(0.9), answer(0.1)], "FN")
    assert judged.reference == Figures(2, 1, 1.0, 0.5, 1.0, 1.0, 1.0)
    worse = judged.measure(Recorded(answer(0.2, column=3), answer(0.8)), "int8")
    assert worse == Figures(2, 1, 0.0, 0.2, 1.0, 0.0, 0.0)
    assert not judged.admits(worse)


def test_variant_is_measured_at_its_own_threshold_for_the_stated_sensitivity() -> None:
    # At the 32-bit model's 0.5, this variant would report none.
    judged = gate([answer(0.9), answer(0.8), answer(0.1), answer(0.1)], "FFNN")
    lower = judged.measure(Recorded(answer(0.4), answer(0.3), answer(0.2), answer(0.1)), "int8")
    assert (lower.threshold, lower.sensitivity, lower.specificity) == (pytest.approx(0.25), 1.0, 1.0)
    assert judged.admits(lower)


def test_variant_finds_what_the_model_finds_above_the_stated_sensitivity() -> None:
    # The model's threshold, chosen elsewhere, finds all eleven here; ten of them would be the stated 0.9.
    answers = [*(answer(0.9) for _ in range(10)), answer(0.5), answer(0.1)]
    judged = gate(answers, "F" * 11 + "N")
    variant = [*(answer(0.8) for _ in range(10)), answer(0.3), answer(0.1)]
    found = judged.measure(Recorded(*variant), "int8")
    assert (found.threshold, found.sensitivity) == (pytest.approx(0.2), 1.0)


@pytest.mark.parametrize(
    ("normal", "specificity", "admitted"),
    [([0.4] * 5 + [0.1] * 5, 0.5, True), ([0.4] * 6 + [0.1] * 3 + [0.01], 0.4, False)],
)
def test_variant_is_compared_where_the_model_is_as_sensitive_as_it(
    normal: list[float], specificity: float, admitted: bool
) -> None:
    # The model's threshold, chosen elsewhere, finds eight of ten here and flags none that is normal; where
    # it finds nine, it flags five of ten. Both variants order as many pairs as it does.
    fractured = [0.9] * 8 + [0.3, 0.05]
    judged = gate([*map(answer, fractured), *map(answer, [0.4] * 5 + [0.1] * 5)], "F" * 10 + "N" * 10)
    assert (judged.reference.sensitivity, judged.reference.specificity) == (0.8, 1.0)
    found = judged.measure(Recorded(*map(answer, [*fractured, *normal])), "int8")
    assert (found.sensitivity, found.specificity) == (pytest.approx(0.9), pytest.approx(specificity))
    assert found.auroc == pytest.approx(judged.reference.auroc)
    assert judged.admits(found) is admitted


def test_unknown_pointing_game_is_no_loss() -> None:
    judged = gate([answer(0.9), answer(0.1)], "FN")
    assert judged.admits(replace(judged.reference, pointing_game=None))


def test_xray_that_is_classified_otherwise_than_in_training_is_named() -> None:
    answers = [answer(0.9), answer(0.1)]
    with pytest.raises(DataError, match=r"1\.png had a probability of 0\.130 in training and has 0\.1"):
        Gate(xrays("FN"), 0.5, 0.9, Recorded(*answers), {"0": 0.905, "1": 0.13})


def test_xray_that_training_did_not_see_is_named() -> None:
    with pytest.raises(DataError, match=r"0\.png had a probability of nan"):
        Gate(xrays("FN"), 0.5, 0.9, Recorded(answer(0.9), answer(0.1)), {"1": 0.1})
