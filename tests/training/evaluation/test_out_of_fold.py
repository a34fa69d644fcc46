from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from edge_app.errors import DataError, RunError
from edge_app.model.gradcam import METHODS
from edge_app.model.pointing import Box
from training.data.samples import Sample
from training.evaluation import out_of_fold
from training.evaluation.out_of_fold import OutOfFold
from training.runs import rundir


def scored(seed: int = 0, count: int = 400, shift: float = 0.0) -> OutOfFold:
    """Make X-rays whose logits are calibrated already but for `shift`, in two folds."""
    generator = np.random.default_rng(seed)
    odds = generator.normal(-1, 2, count)
    labels = (generator.random(count) < 1 / (1 + np.exp(-odds))).astype(np.float32)
    groups = np.arange(count) // 10
    peaks = np.where(labels == 1, np.arange(count) % 2, np.nan).astype(np.float64)
    return OutOfFold(
        dealt=3,
        image_ids=[f"{seed}-{index}" for index in range(count)],
        labels=labels,
        groups=groups,
        folds=1 + groups % 2,
        logits=odds + shift,
        peaks=dict.fromkeys(METHODS, peaks),
    )


def test_figures_are_those_of_calibrated_odds() -> None:
    evaluation = out_of_fold.evaluate(scored(shift=3.0))
    assert evaluation["calibration"]["slope"] == pytest.approx(1, abs=0.2)
    assert evaluation["calibration"]["intercept"] == pytest.approx(-3, abs=0.7)
    assert (evaluation["out_of_fold"]["folds"], evaluation["out_of_fold"]["dealt"]) == (2, 3)
    assert evaluation["out_of_fold"]["calibration_error"]["value"] < 0.08
    assert evaluation["pointing_game"]["value"] == pytest.approx(0.5, abs=0.1)
    assert evaluation["operating_point"]["sensitivity"]["value"] == pytest.approx(0.9, abs=0.06)


def test_fold_is_answered_as_the_others_say() -> None:
    whole = scored()
    fold, other = whole.folds == 1, whole.folds == 2
    before = probabilities(whole)
    # a network that says too little: the other fold is told so, and its own X-rays look less suspect
    quiet = probabilities(replace(whole, logits=np.where(fold, whole.logits - 5, whole.logits)))
    assert (quiet[other] > before[other]).all()
    assert (quiet[fold] < before[fold]).all()


def probabilities(scores: OutOfFold) -> NDArray[np.float64]:
    return np.array([float(row["probability"]) for row in out_of_fold.rows(scores)])


def test_one_fold_is_judged_part_by_part() -> None:
    whole = scored()
    alone = replace(whole, folds=np.ones_like(whole.folds))
    evaluation = out_of_fold.evaluate(alone)
    assert evaluation["out_of_fold"]["folds"] == 1
    assert evaluation["auroc"]["value"] == pytest.approx(roc_auc_score(whole.labels, whole.logits))
    assert len(set(np.round(logit(probabilities(alone)) - alone.logits, 2))) > 1  # several calibrations


def test_xray_of_two_folds_is_refused() -> None:
    with pytest.raises(DataError, match="held out by two folds"):
        out_of_fold.join([scored(0), scored(0)])


def test_folds_are_joined_in_their_order() -> None:
    joined = out_of_fold.join([scored(1, 20), scored(2, 30)])
    assert len(joined.labels) == len(joined.image_ids) == len(joined.peaks["grad-cam"]) == 50
    assert joined.image_ids[20] == "2-0"


def test_fold_is_read_as_a_run_left_it(tmp_path: Path) -> None:
    whole = scored(3, 40)
    rundir.write_csv(tmp_path / rundir.PREDICTIONS, out_of_fold.rows(whole))
    part = out_of_fold.read_fold(tmp_path, 7, 9)
    np.testing.assert_allclose(part.logits, whole.logits, atol=1e-6)
    np.testing.assert_array_equal(part.peaks["layercam"], whole.peaks["layercam"])
    assert set(part.folds) == {7}


def test_run_of_an_earlier_release_is_refused(tmp_path: Path) -> None:
    rundir.write_csv(tmp_path / rundir.PREDICTIONS, [{"image_id": "a", "fractured": 1, "group": 0}])
    with pytest.raises(RunError, match="raw_logit"):
        out_of_fold.read_fold(tmp_path, 1, 2)


def test_strata_are_parts_and_halves_of_the_fractures() -> None:
    whole = scored(4, 80)
    samples = [
        Sample(
            image_id,
            Path("nowhere"),
            bool(label),
            body_parts=("hand",) if index % 2 else ("leg",),
            boxes=(Box(0.1, 0.1, 0.01 * (1 + index), 0.1),) if label else (),
        )
        for index, (image_id, label) in enumerate(zip(whole.image_ids, whole.labels, strict=True))
    ]
    found = {each["name"]: each for each in out_of_fold.assess_strata(whole, samples[::-1])}
    assert found["hand"]["samples"] == found["leg"]["samples"] == 40
    positive = int(whole.labels.sum())
    halves = [found[f"{size} fractures, and normal"]["positive"] for size in ("smaller", "larger")]
    assert halves == [positive - positive // 2, positive // 2]
