from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.data.samples import Sample
from training.evaluation.assessment import assess, assess_calibration, assess_parts, curves, evaluate_scores
from training.evaluation.metrics import Scored, to_probability

LABELS = np.tile([0, 0, 0, 1], 50).astype(np.float32)
SCORES = np.tile([0.1, 0.2, 0.6, 0.5], 50)
GROUPS = np.repeat(np.arange(50), 4)


def test_evaluation_of_a_training_holds_figures_worked_out_by_hand() -> None:
    evaluation = evaluate_scores(LABELS, SCORES, GROUPS)
    assert (evaluation["samples"], evaluation["fractured"], evaluation["groups"]) == (200, 50, 50)
    assert evaluation["auroc"]["value"] == pytest.approx(2 / 3)
    point = evaluation["operating_point"]
    assert point["threshold"] == pytest.approx(0.35)
    assert point["sensitivity"]["value"] == 1.0
    assert point["specificity"]["value"] == pytest.approx(2 / 3)


def test_answers_are_given_at_the_operating_threshold_and_at_one_half() -> None:
    operating, half = assess(LABELS, SCORES, GROUPS, 0.55)["answers"]
    assert (operating["threshold"], half["threshold"]) == (0.55, 0.5)
    assert operating["confusion"] == {
        "true_positive": 0,
        "false_positive": 50,
        "true_negative": 100,
        "false_negative": 50,
    }
    assert half["sensitivity"]["value"] == 1.0
    assert half["precision"]["value"] == pytest.approx(0.5)


def test_calibration_error_has_no_interval() -> None:
    error = assess(LABELS, SCORES, GROUPS, None)["calibration_error"]
    assert (error["low"], error["high"]) == (None, None)


def test_model_without_a_threshold_answers_at_one_half_only() -> None:
    [half] = assess(LABELS, SCORES, GROUPS, None)["answers"]
    assert half["at"] == "one half"


def test_parts_are_measured_each_and_small_ones_are_told() -> None:
    def sample(*parts: str, hardware: bool | None = None) -> Sample:
        return Sample("x", Path("nowhere"), fractured=False, body_parts=parts, hardware=hardware)

    # 30 of the hand, half positive; 2 of hip and hand, 1 positive; 3 of the leg, all normal
    samples = [sample("hand")] * 30 + [sample("hip", "hand", hardware=True)] * 2 + [sample("leg")] * 3
    labels = np.array([1] * 15 + [0] * 15 + [1, 0] + [0] * 3, np.float32)
    scores = labels * 0.5 + 0.25
    hand, hip, leg, hardware = assess_parts(samples, labels, scores, np.arange(35), 0.5)
    assert [hand["name"], hip["name"], leg["name"]] == ["hand", "hip", "leg"]
    assert (hand["samples"], hand["positive"], hand["remark"]) == (32, 16, "")
    assert (hip["samples"], hip["remark"]) == (2, "only 1 of one class")
    [few] = assess_parts([sample("hand")] * 30, labels[:30], scores[:30], np.arange(30) // 2, 0.5)
    assert (few["groups"], few["remark"]) == (15, "few groups")
    assert (leg["remark"], leg["auroc"]["value"], leg["specificity"]["value"]) == (
        "one class only",
        None,
        1,
    )
    assert (hardware["name"], hardware["samples"]) == ("with hardware", 2)


def test_curves_start_and_end_where_they_must() -> None:
    drawn = curves(LABELS, SCORES)
    roc = drawn["roc"]
    assert (roc["false_positive_rate"][0], roc["sensitivity"][0]) == (0, 0)
    assert (roc["false_positive_rate"][-1], roc["sensitivity"][-1]) == (1, 1)
    # flagging all is worth the positive share less the rest at odds of 1 to 99
    assert drawn["decision"]["treat_all"][0] == pytest.approx(0.25 - 0.75 / 99)


def test_curves_of_many_samples_are_thinned() -> None:
    generator = np.random.default_rng(0)
    scores = generator.random(5000)
    drawn = curves((generator.random(5000) < scores).astype(np.float32), scores)
    assert len(drawn["roc"]["sensitivity"]) == 400


def test_other_calibrations_are_fitted_on_validation_and_judged_here() -> None:
    # on validation as here, three of four are right, and the logits claim nine of ten
    labels = np.resize([1, 1, 1, 0, 0, 0, 0, 1], 80).astype(np.float32)
    logits = np.resize(np.repeat([2 * np.log(3), -2 * np.log(3)], 4), 80)
    found = assess_calibration(labels, logits, np.arange(80), Scored(labels, logits))
    before, temperature, isotonic = found["calibrations"]
    assert before["calibration_error"]["value"] == pytest.approx(0.9 - 0.75)
    assert temperature["name"] == "temperature 2.00"
    assert temperature["calibration_error"]["value"] == pytest.approx(0, abs=1e-3)
    assert isotonic["calibration_error"]["value"] == pytest.approx(0, abs=1e-9)


def test_bins_tell_the_claimed_and_the_observed_share() -> None:
    labels = np.tile([0, 1], 50).astype(np.float32)
    found = assess_calibration(labels, np.full(100, -1.0), np.arange(100), None)
    assert [bin_["samples"] for bin_ in found["bins"]] == [100]
    assert found["bins"][0]["probability"] == pytest.approx(float(to_probability(np.array([-1.0]))[0]))
    assert found["bins"][0]["observed"]["value"] == 0.5
    assert len(found["calibrations"]) == 1
