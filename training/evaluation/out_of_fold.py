"""What networks said of the X-rays that they were not trained on, and how good that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.model_selection import StratifiedGroupKFold

from edge_app.errors import DataError, RunError
from edge_app.model.gradcam import METHODS
from edge_app.model.operating_point import choose_threshold
from training.data.samples import Sample
from training.evaluation import assessment, metrics
from training.evaluation.assessment import RULE_OUT_SENSITIVITY, TARGET_SENSITIVITY, assess_calibration
from training.evaluation.explain import Peaks, choose_method
from training.evaluation.metrics import Labels, Scores
from training.runs import rundir

_PEAK = "peak_in_box_"
_PARTS = 5


@dataclass(frozen=True)
class OutOfFold:
    """N X-rays, each scored by the network of the fold that held it out.

    `dealt` tells into how many folds the data were dealt, of which some may not be scored.

    `labels` is float32 (N,), 0 or 1; `groups` and `folds` int64 (N,), the folds counted from 1; `logits`
    float64 (N,), as the networks gave them, before any calibration. `peaks` tells by method, float64 (N,),
    whether the heat map's peak lay in a box, 1 or 0, and NaN where the X-ray has none.
    """

    dealt: int
    image_ids: Sequence[str]
    labels: Labels
    groups: NDArray[np.int64]
    folds: NDArray[np.int64]
    logits: Scores
    peaks: Peaks


def read_fold(run_dir: Path, fold: int, dealt: int) -> OutOfFold:
    """Read what a finished run said of its validation X-rays.

    Args:
        run_dir: The run directory.
        fold: Its number, from 1.
        dealt: How many folds there are.

    Raises:
        RunError: it does not tell.
    """
    try:
        rows = rundir.read_csv(run_dir / rundir.PREDICTIONS)
        return OutOfFold(
            dealt=dealt,
            image_ids=[row["image_id"] for row in rows],
            labels=np.array([float(row["fractured"]) for row in rows], np.float32),
            groups=np.array([int(row["group"]) for row in rows], np.int64),
            folds=np.full(len(rows), fold, np.int64),
            logits=np.array([float(row["raw_logit"]) for row in rows]),
            peaks={
                method: np.array([float(row[_PEAK + method] or np.nan) for row in rows])
                for method in METHODS
            },
        )
    except (OSError, KeyError, ValueError) as error:
        raise RunError(
            f"{run_dir / rundir.PREDICTIONS} does not tell what the network said: {error}. Remove "
            f"{run_dir} and repeat the command."
        ) from error


def join(parts: Sequence[OutOfFold]) -> OutOfFold:
    """Put folds together.

    Raises:
        DataError: an X-ray stands in two of them.
    """
    image_ids = [image_id for part in parts for image_id in part.image_ids]
    if len(set(image_ids)) < len(image_ids):
        raise DataError("An X-ray was held out by two folds, so these are of different cross-validations.")
    return OutOfFold(
        dealt=parts[0].dealt,
        image_ids=image_ids,
        labels=np.concatenate([part.labels for part in parts]),
        groups=np.concatenate([part.groups for part in parts]),
        folds=np.concatenate([part.folds for part in parts]),
        logits=np.concatenate([part.logits for part in parts]),
        peaks={method: np.concatenate([part.peaks[method] for part in parts]) for method in METHODS},
    )


def rows(scored: OutOfFold) -> list[dict[str, Any]]:
    """Return a row for each X-ray: its fold, its raw logit, and its probability as the other folds say."""
    probabilities = _cross_fitted(scored)
    return [
        {
            "image_id": image_id,
            "fractured": int(scored.labels[index]),
            "group": int(scored.groups[index]),
            "fold": int(scored.folds[index]),
            "raw_logit": f"{scored.logits[index]:.6f}",
            "probability": f"{probabilities[index]:.6f}",
            **peak_columns({method: float(peaks[index]) for method, peaks in scored.peaks.items()}),
        }
        for index, image_id in enumerate(scored.image_ids)
    ]


def peak_columns(peaks: Mapping[str, float]) -> dict[str, str]:
    """Make the columns of `peaks` for one X-ray's row; they are empty where it has no box."""
    return {_PEAK + method: "" if np.isnan(peaks[method]) else f"{peaks[method]:.0f}" for method in METHODS}


def evaluate(scored: OutOfFold) -> dict[str, Any]:
    """Measure a recipe, with nothing chosen on what it is measured by.

    The probabilities and the answers of a fold come from a calibration and thresholds that were fitted to
    the other folds; where there is only one, those of a fifth of its groups from the others. The thresholds
    to use, and the calibration, are those of all folds together.

    Args:
        scored: The X-rays of one fold or more.

    Returns:
        A JSON object as `evaluate_scores` and `choose_method` give it, with 95 % intervals from the
        bootstrap over groups, and with `out_of_fold`: the number of folds, and how well the probabilities
        fit.
    """
    probabilities = _cross_fitted(scored)
    labels, groups = scored.labels, scored.groups
    one_network = len(np.unique(scored.folds)) == 1  # whose own order no calibration should mix
    scores = scored.logits if one_network else probabilities
    ranked = metrics.bootstrap(metrics.ranking(labels, scores), groups)
    return {
        "samples": len(labels),
        "fractured": int(labels.sum()),
        "groups": len(np.unique(groups)),
        "auroc": asdict(ranked["auroc"]),
        "operating_point": _operating_point(scored, TARGET_SENSITIVITY),
        "rule_out": _operating_point(scored, RULE_OUT_SENSITIVITY),
        "calibration": {"method": "platt", **asdict(calibration(scored))},
        **choose_method(scored.peaks, groups),
        "out_of_fold": {
            "folds": len(np.unique(scored.folds)),
            "dealt": scored.dealt,
            "average_precision": asdict(ranked["average_precision"]),
            **_fit_of_probabilities(labels, logit(probabilities), groups),
        },
    }


def assess_strata(scored: OutOfFold, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Measure each body part, X-rays with and without hardware, and fractures by their size.

    Args:
        scored: N X-rays.
        samples: These and perhaps others.

    Returns:
        A JSON object each, as `assessment.assess_parts` says, at the thresholds that the other folds chose.
    """
    known = {sample.image_id: sample for sample in samples}
    ordered = [known[image_id] for image_id in scored.image_ids]
    strata = assessment.strata(ordered) | _by_size(ordered)
    flagged = _flagged(scored, TARGET_SENSITIVITY)
    return assessment.assess_strata(strata, scored.labels, _cross_fitted(scored), flagged, scored.groups)


def _by_size(samples: Sequence[Sample]) -> dict[str, NDArray[np.bool_]]:
    """Part the boxed fractures by the share of the picture that their largest box covers."""
    areas = np.array([max((b.width * b.height for b in each.boxes), default=np.nan) for each in samples])
    if np.isnan(areas).all():
        return {}
    normal = np.array([not sample.fractured for sample in samples])
    median = np.nanmedian(areas)
    return {
        "smaller fractures, and normal": normal | (areas <= median),
        "larger fractures, and normal": normal | (areas > median),
    }


def calibration(scored: OutOfFold) -> metrics.Calibration:
    """Fit the calibration of networks of this recipe to all folds."""
    return metrics.fit_calibration(scored.labels, scored.logits)


def _cross_fitted(scored: OutOfFold) -> Scores:
    """Calibrate each fold as the others say."""
    probabilities = np.empty(len(scored.labels))
    for fold, others in _turns(scored):
        probabilities[fold] = _calibrated(scored, others)[fold]
    return probabilities


def _calibrated(scored: OutOfFold, fitted: NDArray[np.bool_]) -> Scores:
    """Calibrate all X-rays as some of them say."""
    scaling = metrics.fit_calibration(scored.labels[fitted], scored.logits[fitted])
    return metrics.to_probability(scaling.slope * scored.logits + scaling.intercept)


def _operating_point(scored: OutOfFold, target_sensitivity: float) -> dict[str, Any]:
    """Choose a threshold on all folds, and measure each fold at one that was chosen on the others."""
    flagged = _flagged(scored, target_sensitivity)
    answered = metrics.bootstrap(metrics.answers(scored.labels, flagged), scored.groups)
    everyone = np.full(len(scored.labels), True)
    return {
        "target_sensitivity": target_sensitivity,
        "threshold": choose_threshold(scored.labels, _calibrated(scored, everyone), target_sensitivity),
        "sensitivity": asdict(answered["sensitivity"]),
        "specificity": asdict(answered["specificity"]),
    }


def _flagged(scored: OutOfFold, target_sensitivity: float) -> NDArray[np.bool_]:
    """Answer each fold at the threshold that the others choose."""
    flagged = np.zeros(len(scored.labels), np.bool_)
    for fold, others in _turns(scored):
        probabilities = _calibrated(scored, others)
        threshold = choose_threshold(scored.labels[others], probabilities[others], target_sensitivity)
        flagged[fold] = probabilities[fold] >= threshold
    return flagged


def _turns(scored: OutOfFold) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield each fold, and all but it, bool (N,); parts of whole groups where there is one fold only."""
    parts = scored.folds
    if len(np.unique(parts)) == 1:
        parts = np.zeros_like(parts)
        dealt = StratifiedGroupKFold(_PARTS, shuffle=True, random_state=0)
        for number, (_, part) in enumerate(dealt.split(scored.logits, scored.labels, scored.groups)):
            parts[part] = number
    for number in np.unique(parts):
        yield parts == number, parts != number


def _fit_of_probabilities(labels: Labels, logits: Scores, groups: NDArray[np.int64]) -> dict[str, Any]:
    measured = assess_calibration(labels, logits, groups, None)
    (as_it_is,) = measured["calibrations"]
    return {"bins": measured["bins"], **{key: as_it_is[key] for key in ("brier", "calibration_error")}}
