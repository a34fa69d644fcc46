from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from edge_app.errors import DataError
from training.evaluation.metrics import (
    Estimate,
    answers,
    auroc,
    bootstrap,
    calibration_error,
    confusion,
    equal_mass_bins,
    fit_calibration,
    fit_isotonic,
    fit_temperature,
    net_benefit,
    ranking,
    reliability,
    shares,
    to_probability,
)

LABELS = np.array([0, 0, 1, 0, 1, 1], np.float32)
SCORES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
ONCE = np.ones((1, 6))


def test_auroc_is_the_share_of_ordered_pairs() -> None:
    assert auroc(LABELS, SCORES) == pytest.approx(8 / 9)
    assert ranking(LABELS, SCORES)(ONCE)["auroc"] == pytest.approx([8 / 9])


def test_average_precision_is_the_mean_precision_at_each_positive() -> None:
    # from the top: 1 of 1, 2 of 2, then 3 of 4
    found = ranking(LABELS, SCORES)(ONCE)["average_precision"]
    assert found == pytest.approx([(1 + 1 + 3 / 4) / 3])


@given(st.integers(0, 2**32 - 1))
def test_weighted_ranking_agrees_with_scikit_learn_also_on_ties(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.resize([0, 1, 1, 0, 0], 30).astype(np.float32)
    scores = generator.integers(0, 6, 30) / 5
    weights = generator.integers(0, 4, (3, 30)) + 0.5
    found = ranking(labels, scores)(weights)
    for index, weight in enumerate(weights):
        assert found["auroc"][index] == pytest.approx(roc_auc_score(labels, scores, sample_weight=weight))
        assert found["average_precision"][index] == pytest.approx(
            average_precision_score(labels, scores, sample_weight=weight)
        )


def test_answers_are_counted_at_the_threshold() -> None:
    counts = confusion(LABELS, SCORES >= 0.4, ONCE)
    assert (counts.true_positive, counts.false_negative) == ([2], [1])
    assert (counts.false_positive, counts.true_negative) == ([1], [2])


def test_measures_of_answers_are_those_worked_out_by_hand() -> None:
    # 20 found, 10 missed, 5 false alarms, 15 rightly passed: by chance, 25 of 50 would agree
    labels = np.repeat([1, 1, 0, 0], [20, 10, 5, 15]).astype(np.float32)
    flagged = np.repeat([True, False, True, False], [20, 10, 5, 15])
    found = answers(labels, flagged)(np.ones((1, 50)))
    assert {name: float(value[0]) for name, value in found.items()} == pytest.approx(
        {
            "accuracy": 35 / 50,
            "sensitivity": 20 / 30,
            "specificity": 15 / 20,
            "precision": 20 / 25,
            "f1": 40 / 55,
            "kappa": (0.7 - 0.5) / (1 - 0.5),
        }
    )


def test_sample_drawn_twice_counts_twice() -> None:
    twice = np.array([[1, 1, 1, 1, 1, 2.0]])
    assert answers(LABELS, SCORES >= 0.4)(twice)["sensitivity"] == pytest.approx([3 / 4])


def test_brier_score_and_calibration_error_are_those_worked_out_by_hand() -> None:
    labels, probabilities = np.array([0, 1, 1, 0], np.float32), np.array([0.1, 0.6, 0.9, 0.4])
    found = reliability(labels, probabilities)(np.ones((1, 4)))
    assert found["brier"] == pytest.approx([(0.01 + 0.16 + 0.01 + 0.16) / 4])
    # fewer samples than bins: each is a bin of its own
    assert calibration_error(labels, probabilities) == pytest.approx((0.1 + 0.4 + 0.1 + 0.4) / 4)


def test_calibration_error_is_zero_where_each_bin_holds_its_share() -> None:
    probabilities = np.repeat([0.25, 0.75], [40, 40])
    labels = np.concatenate([np.resize([1, 0, 0, 0], 40), np.resize([1, 1, 1, 0], 40)]).astype(np.float32)
    found = reliability(labels, probabilities)(np.ones((1, 80)))
    assert calibration_error(labels, probabilities) == pytest.approx(0)
    assert found["observed 0"] == pytest.approx([0.25])
    assert found["observed 1"] == pytest.approx([0.75])


def test_bins_hold_nearly_equal_numbers_in_order() -> None:
    bins = equal_mass_bins(np.arange(25)[::-1] / 25)
    assert [len(samples) for samples in bins] == [3, 3, 3, 3, 3, 2, 2, 2, 2, 2]
    assert bins[0].tolist() == [24, 23, 22]


def test_equal_probabilities_share_a_bin() -> None:
    # of 20, two would be in each bin; the three of 0.1 stay together
    bins = equal_mass_bins(np.array([0.1, 0.1, 0.1, *np.arange(3, 20) / 20]))
    assert [len(samples) for samples in bins] == [3, 1, 2, 2, 2, 2, 2, 2, 2, 2]


def test_order_of_the_samples_does_not_change_the_calibration_error() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 50).astype(np.float32)
    probabilities = generator.integers(0, 4, 50) / 4
    orders = [generator.permutation(50) for _ in range(5)]
    errors = [calibration_error(labels[order], probabilities[order]) for order in orders]
    assert errors == pytest.approx([calibration_error(labels, probabilities)] * 5)


def test_net_benefit_weighs_false_alarms_at_the_odds() -> None:
    # 2 of 6 found, 1 of 6 a false alarm, odds 0.2 / 0.8
    assert net_benefit(LABELS, SCORES >= 0.4, 0.2) == pytest.approx(2 / 6 - 1 / 6 / 4)


def test_interval_of_independent_groups_matches_the_binomial() -> None:
    hits = (np.random.default_rng(0).random(400) < 0.8).astype(float)
    found = bootstrap(shares(hits=hits), np.arange(400))["hits"]
    half_width = 1.96 * np.sqrt(hits.mean() * (1 - hits.mean()) / 400)
    assert found.value == hits.mean()
    assert (found.high - found.low) / 2 == pytest.approx(half_width, rel=0.1)


def test_interval_widens_when_samples_share_groups() -> None:
    hits = np.repeat(np.random.default_rng(0).random(20) < 0.5, 10).astype(float)
    alone = bootstrap(shares(hits=hits), np.arange(200))["hits"]
    grouped = bootstrap(shares(hits=hits), np.repeat(np.arange(20), 10))["hits"]
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_many_samples_are_drawn_in_the_same_rounds_as_few() -> None:
    hits = np.arange(10) / 10
    few = bootstrap(shares(hits=hits), np.arange(10))["hits"]
    # so many weights are not held at once
    many = bootstrap(shares(hits=np.repeat(hits, 1000)), np.repeat(np.arange(10), 1000))["hits"]
    assert (many.low, many.high) == pytest.approx((few.low, few.high))


def test_what_never_varies_has_no_interval() -> None:
    assert bootstrap(shares(hits=np.ones(30)), np.arange(30))["hits"] == Estimate(1.0, None, None)


def test_single_class_has_no_area() -> None:
    found = bootstrap(ranking(np.ones(4, np.float32), np.arange(4.0)), np.arange(4))
    assert found["auroc"] == Estimate(None, None, None)


def test_single_group_has_a_value_without_an_interval() -> None:
    assert bootstrap(shares(hits=np.array([0.0, 1.0])), np.zeros(2, int))["hits"] == Estimate(
        0.5, None, None
    )


def test_calibration_recovers_a_known_slope_and_intercept() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, 50_000)
    labels = (generator.random(50_000) < to_probability(0.5 * logits - 1)).astype(np.float32)
    calibration = fit_calibration(labels, logits)
    assert calibration.slope == pytest.approx(0.5, abs=0.02)
    assert calibration.intercept == pytest.approx(-1, abs=0.03)
    assert calibration.slope * 2 + calibration.intercept == pytest.approx(0, abs=0.04)


def test_model_that_is_worse_than_chance_is_not_calibrated() -> None:
    with pytest.raises(DataError, match="scores normal X-rays higher"):
        fit_calibration(1 - LABELS, SCORES)


def test_model_that_scores_all_alike_is_not_calibrated() -> None:
    with pytest.raises(DataError, match="scores all X-rays alike"):
        fit_calibration(LABELS, np.full(len(LABELS), 0.1))


@pytest.mark.parametrize("scale", [1e3, 1e-3, 1e-6])
def test_calibration_does_not_depend_on_the_scale_of_the_scores(scale: float) -> None:
    """A training that has hardly begun scores X-rays almost alike."""
    calibration = fit_calibration(LABELS, SCORES)
    scaled = fit_calibration(LABELS, scale * (SCORES + 3))
    assert scaled.slope * scale == pytest.approx(calibration.slope, rel=1e-3)
    assert scaled.intercept + 3 * calibration.slope == pytest.approx(calibration.intercept, rel=1e-3)


def test_calibration_of_separated_classes_stays_finite() -> None:
    labels = np.array([0, 0, 0, 1, 1], np.float32)
    calibration = fit_calibration(labels, np.array([-2.0, -2.0, -2.0, 2.0, 2.0]))
    # the targets 1 / 5 and 3 / 4 are met exactly
    logits = calibration.slope * np.array([-2.0, 2.0]) + calibration.intercept
    assert to_probability(logits) == pytest.approx([0.2, 0.75], abs=1e-3)


def test_temperature_is_what_the_logits_were_multiplied_by() -> None:
    # logits +-ln 3 are right three times of four; they are given twice as sure
    labels = np.resize([1, 1, 1, 0, 0, 0, 0, 1], 80).astype(np.float32)
    logits = np.resize(np.repeat([2 * np.log(3), -2 * np.log(3)], 4), 80)
    assert fit_temperature(labels, logits) == pytest.approx(2, abs=1e-3)


def test_isotonic_calibration_pools_what_does_not_rise() -> None:
    probabilities = np.array([0.1, 0.2, 0.3, 0.4])
    fitted = fit_isotonic(np.array([0, 1, 0, 1], np.float32), probabilities)
    assert fitted.predict(probabilities) == pytest.approx([0, 0.5, 0.5, 1])
    assert fitted.predict([0.0, 0.9]) == pytest.approx([0, 1])
