from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.errors import DataError
from training.metrics import (
    auroc,
    choose_threshold,
    estimate,
    fit_calibration,
    sensitivity_at,
    specificity_at,
    to_probability,
)

LABELS = np.array([0, 0, 1, 0, 1, 1], np.float32)
SCORES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_auroc_is_the_share_of_ordered_pairs() -> None:
    assert auroc(LABELS, SCORES) == pytest.approx(8 / 9)


def test_sensitivity_and_specificity_count_at_the_threshold() -> None:
    assert sensitivity_at(0.5)(LABELS, SCORES) == pytest.approx(2 / 3)
    assert specificity_at(0.5)(LABELS, SCORES) == 1.0
    assert specificity_at(0.4)(LABELS, SCORES) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("target", "expected"), [(1.0, 0.25), (0.6, 0.45), (0.3, 0.55)])
def test_threshold_lies_below_the_last_fracture_that_must_be_found(target: float, expected: float) -> None:
    assert choose_threshold(LABELS, SCORES, target) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=10, max_size=60), st.floats(0.1, 1.0))
def test_threshold_reaches_its_target_for_any_scores(scores: list[float], target: float) -> None:
    labels = np.resize([0, 1, 1], len(scores)).astype(np.float32)
    array = np.array(scores)
    threshold = choose_threshold(labels, array, target)
    assert sensitivity_at(threshold)(labels, array) >= target - 1e-12


def test_calibration_recovers_a_known_slope_and_intercept() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, 50_000)
    labels = (generator.random(50_000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))).astype(np.float32)
    calibration = fit_calibration(labels, logits)
    assert calibration.slope == pytest.approx(0.5, abs=0.02)
    assert calibration.intercept == pytest.approx(-1, abs=0.03)
    assert calibration.slope * 2 + calibration.intercept == pytest.approx(0, abs=0.04)


def test_model_that_is_worse_than_chance_is_not_calibrated() -> None:
    with pytest.raises(DataError, match="scores normal X-rays higher"):
        fit_calibration(1 - LABELS, SCORES)


def test_interval_of_independent_groups_matches_the_binomial() -> None:
    generator = np.random.default_rng(0)
    labels = np.tile([0, 1], 400).astype(np.float32)
    scores = (generator.random(800) < 0.8).astype(float)
    found = estimate(sensitivity_at(0.5), labels, scores, np.arange(800))
    half_width = 1.96 * np.sqrt(found.value * (1 - found.value) / 400)
    assert (found.high - found.low) / 2 == pytest.approx(half_width, rel=0.1)


def test_interval_widens_when_samples_share_groups() -> None:
    labels = np.tile([0, 1], 100).astype(np.float32)
    scores = np.repeat(np.random.default_rng(0).random(20) < 0.5, 10).astype(float)
    alone = estimate(sensitivity_at(0.5), labels, scores, np.arange(200))
    grouped = estimate(sensitivity_at(0.5), labels, scores, np.repeat(np.arange(20), 10))
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_single_class_cannot_be_measured() -> None:
    with pytest.raises(DataError, match="single class"):
        estimate(auroc, np.ones(4, np.float32), np.ones(4), np.arange(4))


def test_calibration_of_separated_classes_stays_finite() -> None:
    labels = np.array([0, 0, 0, 1, 1], np.float32)
    calibration = fit_calibration(labels, np.array([-2.0, -2.0, -2.0, 2.0, 2.0]))
    # the targets 1 / 5 and 3 / 4 are met exactly
    logits = calibration.slope * np.array([-2.0, 2.0]) + calibration.intercept
    assert to_probability(logits) == pytest.approx([0.2, 0.75], abs=1e-3)
