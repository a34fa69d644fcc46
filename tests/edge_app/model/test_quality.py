from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.errors import BundleError
from edge_app.model.quality import (
    BLANK,
    COLOURED,
    INVERTED,
    PHOTOGRAPH,
    TOO_BRIGHT,
    TOO_DARK,
    UNFAMILIAR,
    XRAY,
    Distance,
    InputGate,
    exposure,
    log_odds,
    normalised,
    pack_gate,
    unpack_gate,
)

RAMP = np.tile(np.linspace(5, 250, 100).astype(np.uint8), (100, 1))
XRAY_AVERAGES = [np.array([3.0, 0.0], np.float32), np.array([0.0, 2.0], np.float32)]
OTHER_AVERAGES = [np.array([0.0, 3.0], np.float32), np.array([0.0, 2.0], np.float32)]
INVERTED_AVERAGES = [np.array([3.0, 0.0], np.float32), np.array([2.0, 0.0], np.float32)]


def at(*mean: float, limit: float = 0.5) -> Distance:
    """Return the plain distance from a point on the circle."""
    return Distance(np.array(mean, np.float32), np.eye(2, dtype=np.float32), limit)


# X-rays point along the first axis at the shallow depth and along the second one at the deep depth.
GATE = InputGate(
    kinds=(XRAY, PHOTOGRAPH, INVERTED),
    weights=np.array([[8, 0, 0], [0, 8, 0], [0, 0, 16], [0, 0, 0]], np.float32),
    bias=np.zeros(3, np.float32),
    distances=(at(1, 0), at(0, 1)),
    acceptance=0.0,
    refusal=-4.0,
)


def test_an_xray_is_accepted() -> None:
    assert GATE.judge(XRAY_AVERAGES, RAMP) == (True, (), True)


def test_a_photograph_is_certainly_no_xray() -> None:
    assert GATE.judge(OTHER_AVERAGES, RAMP) == (False, (PHOTOGRAPH,), False)


def test_a_coloured_xray_is_flagged_but_stays_an_xray() -> None:
    assert GATE.judge(XRAY_AVERAGES, RAMP, is_coloured=True) == (False, (COLOURED,), True)


def test_an_inverted_xray_is_flagged_but_stays_an_xray() -> None:
    assert GATE.judge(INVERTED_AVERAGES, RAMP) == (False, (INVERTED,), True)


def test_where_no_distance_agrees_nothing_is_certain() -> None:
    near = replace(GATE, distances=(at(0, 1), at(0, 1)))
    assert near.judge(OTHER_AVERAGES, RAMP) == (False, (PHOTOGRAPH,), True)


def test_what_only_lies_far_off_is_unfamiliar() -> None:
    far = replace(GATE, distances=(at(0, 1), at(0, 1)))
    assert far.judge(XRAY_AVERAGES, RAMP) == (False, (UNFAMILIAR,), True)


def test_brightness_of_the_whole_picture_changes_no_distance() -> None:
    distance = at(1, 0)
    assert distance(7 * XRAY_AVERAGES[0]) == distance(XRAY_AVERAGES[0]) == 0


def test_distance_is_that_of_mahalanobis() -> None:
    covariance = np.array([[0.04, 0.01], [0.01, 0.09]])
    whitening = np.linalg.cholesky(np.linalg.inv(covariance)).astype(np.float32)
    distance = Distance(np.array([0.6, 0.6], np.float32), whitening, 1.0)
    away = np.array([0.8, 0.6]) - 0.6
    expected = np.sqrt(away @ np.linalg.inv(covariance) @ away)
    assert distance(np.array([4.0, 3.0], np.float32)) == pytest.approx(expected, rel=1e-5)


def test_log_odds_are_those_of_the_softmax() -> None:
    scores = np.array([1.5, -0.5, 0.25], np.float32)
    probability = np.exp(1.5) / np.exp(scores).sum()
    assert log_odds(scores) == pytest.approx(np.log(probability / (1 - probability)), abs=1e-6)


def test_averages_that_are_all_zero_stay_so() -> None:
    np.testing.assert_array_equal(normalised(np.zeros((2, 3), np.float32)), 0)


@pytest.mark.parametrize(
    ("seen", "codes"),
    [
        (RAMP, ()),
        (np.full((60, 90), 140, np.uint8), (BLANK,)),
        (np.maximum(RAMP, 255 * (RAMP > 220)).astype(np.uint8), (TOO_BRIGHT,)),
        (np.where(RAMP > 230, RAMP, 0).astype(np.uint8), (TOO_DARK,)),
    ],
)
def test_exposure_is_told_from_grey_levels(seen: np.ndarray, codes: tuple[str, ...]) -> None:
    assert exposure(seen)[1] == codes


@given(st.integers(32, 900), st.integers(32, 900), st.integers(0, 255))
def test_one_grey_shows_nothing_at_any_size(height: int, width: int, grey: int) -> None:
    assert exposure(np.full((height, width), grey, np.uint8)) == (0, (BLANK,))


def test_a_blank_frame_is_no_xray_whatever_the_averages_say() -> None:
    assert GATE.judge(XRAY_AVERAGES, np.full((64, 64), 9, np.uint8)) == (False, (BLANK,), False)


def unpacked(data: bytes, kinds: tuple[str, ...] = GATE.kinds) -> InputGate:  # type: ignore[assignment]
    return unpack_gate(data, kinds, GATE.acceptance, GATE.refusal, [0.5, 0.5])


def test_a_gate_says_the_same_after_its_file() -> None:
    gate = unpacked(pack_gate(GATE))
    for averages in (XRAY_AVERAGES, OTHER_AVERAGES, INVERTED_AVERAGES):
        assert gate.judge(averages, RAMP) == GATE.judge(averages, RAMP)


def test_the_same_gate_gives_the_same_bytes() -> None:
    assert pack_gate(GATE) == pack_gate(replace(GATE))


def test_a_file_that_is_none_is_refused() -> None:
    with pytest.raises(BundleError, match="input gate cannot be read"):
        unpacked(b"no archive")


def test_arrays_of_another_model_are_refused() -> None:
    with pytest.raises(BundleError, match="do not fit together"):
        unpacked(pack_gate(GATE), (XRAY, PHOTOGRAPH))
