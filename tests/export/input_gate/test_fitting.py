from __future__ import annotations

import numpy as np
import pytest

from edge_app.model.quality import DOCUMENT, PHOTOGRAPH, XRAY
from export.input_gate.figures import KindFigures, XrayFigures, kind_figures, verdict, xray_figures
from export.input_gate.fitting import Material, fit_gate

RAMP = np.tile(np.linspace(5, 250, 64).astype(np.uint8), (64, 1))


def cloud(seed: int, count: int, *centre: float) -> np.ndarray:
    """Scatter averages around a direction."""
    scattered = np.random.default_rng(seed).normal(centre, 0.05, (count, len(centre)))
    return scattered.astype(np.float32)


def depths(first: np.ndarray, seed: int) -> list[np.ndarray]:
    """Add a second depth that tells nothing."""
    return [first, cloud(seed, len(first), 1, 1)]


MATERIAL = Material(
    xrays=depths(cloud(0, 400, 1, 0, 0), 1),
    groups=np.arange(400) // 20,
    are_plain=np.arange(400) % 2 == 0,
    negatives=depths(np.concatenate([cloud(2, 60, 0, 1, 0), cloud(3, 60, 0, 0, 1)]), 4),
    reasons=[PHOTOGRAPH] * 60 + [DOCUMENT] * 60,
)
GATE = fit_gate(MATERIAL)


def verdicts(averages: list[np.ndarray]) -> list:
    return [verdict(GATE, each, RAMP) for each in zip(*averages, strict=True)]


XRAYS = verdicts(depths(cloud(10, 300, 1, 0, 0), 11))
PHOTOGRAPHS = verdicts(depths(cloud(12, 50, 0, 1, 0), 13))


def test_kinds_are_named_xrays_first() -> None:
    assert GATE.kinds == (XRAY, PHOTOGRAPH, DOCUMENT)


def test_new_xrays_are_accepted_but_for_a_few() -> None:
    figures = xray_figures(XRAYS)
    assert figures.samples == 300
    assert figures.flagged <= 0.03
    assert figures.refused == 0


def test_learnt_kinds_are_caught_and_named() -> None:
    (figures,) = kind_figures(XRAYS, [("photograph", each) for each in PHOTOGRAPHS], {"photograph"})
    assert figures == KindFigures("photograph", True, 50, 1.0, figures.refused, 0.0)
    assert {each.quality.reasons for each in PHOTOGRAPHS} == {(PHOTOGRAPH,)}


def test_what_lies_between_the_kinds_is_caught_by_its_distance() -> None:
    odd = verdicts(depths(cloud(14, 20, 1, -1, -1), 15))
    assert xray_figures(odd) == XrayFigures(20, 1.0, 0.0)


def test_the_whitened_spread_of_xrays_is_one_in_each_direction() -> None:
    """The mean square of the distance is then the number of directions; two of them vary here."""
    (shallow, _) = GATE.distances
    assert float((shallow(MATERIAL.xrays[0]) ** 2).mean()) == pytest.approx(2, rel=0.25)
