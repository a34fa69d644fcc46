"""Scores to the JSON of an evaluation: figures with intervals, parts, curves, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from edge_app.model.operating_point import choose_threshold
from training.data.samples import Sample
from training.evaluation import metrics
from training.evaluation.metrics import Estimate, Labels, Scored, Scores

TARGET_SENSITIVITY = 0.90
RULE_OUT_SENSITIVITY = 0.95
OPERATING, HALF = "operating threshold", "one half"
# With fewer X-rays of a class, a figure says little.
FEW = 10
# With fewer groups, bootstrap intervals over them are too narrow.
# Source: Cameron & Miller, A practitioner's guide to cluster-robust inference, 2015, section VI.
FEW_GROUPS = 20
_CURVE_POINTS = 400
_DECISION_THRESHOLDS = np.arange(1, 81) / 100


def evaluate_scores(labels: Labels, probabilities: Scores, groups: NDArray[np.int64]) -> dict[str, Any]:
    """Measure calibrated probabilities and choose the operating threshold.

    Args:
        labels: float32 (N,), 0 or 1, both present.
        probabilities: float64 (N,), 0..1.
        groups: int64 (N,), for the bootstrap.

    Returns:
        A JSON object: counts, AUROC, the operating point, and the one to rule a finding out by. Each figure
        has a 95 % interval, null where the bootstrap gives none.
    """
    return {
        "samples": len(labels),
        "fractured": int(labels.sum()),
        "groups": len(np.unique(groups)),
        "auroc": asdict(metrics.bootstrap(metrics.ranking(labels, probabilities), groups)["auroc"]),
        "operating_point": _operating_point(labels, probabilities, groups, TARGET_SENSITIVITY),
        "rule_out": _operating_point(labels, probabilities, groups, RULE_OUT_SENSITIVITY),
    }


def _operating_point(
    labels: Labels, probabilities: Scores, groups: NDArray[np.int64], target_sensitivity: float
) -> dict[str, Any]:
    threshold = choose_threshold(labels, probabilities, target_sensitivity)
    answered = metrics.bootstrap(metrics.answers(labels, probabilities >= threshold), groups)
    return {
        "target_sensitivity": target_sensitivity,
        "threshold": threshold,
        "sensitivity": asdict(answered["sensitivity"]),
        "specificity": asdict(answered["specificity"]),
    }


def assess(
    labels: Labels, probabilities: Scores, groups: NDArray[np.int64], threshold: float | None
) -> dict[str, Any]:
    """Measure all that a set of scores says as a whole.

    Args:
        labels: float32 (N,), 0 or 1.
        probabilities: float64 (N,), 0..1.
        groups: int64 (N,), for the bootstrap.
        threshold: The operating threshold; None where the model has none.

    Returns:
        A JSON object: counts; AUROC, average precision, Brier score and calibration error; and for the
        operating threshold and for 0.5 the confusion matrix and what follows from it. Each figure is an
        object of value, low and high, null where it has no value or no interval.
    """
    thresholds = {OPERATING: threshold, HALF: 0.5}
    ranked = metrics.bootstrap(metrics.ranking(labels, probabilities), groups)
    return {
        **_counts(labels, groups),
        **{name: asdict(estimate) for name, estimate in ranked.items()},
        **_calibration_figures(labels, probabilities, groups),
        "answers": [
            {"at": name, "threshold": at, **_answers(labels, probabilities >= at, groups)}
            for name, at in thresholds.items()
            if at is not None
        ],
    }


def assess_parts(
    samples: Sequence[Sample],
    labels: Labels,
    probabilities: Scores,
    groups: NDArray[np.int64],
    threshold: float,
) -> list[dict[str, Any]]:
    """Measure each body part, and X-rays with and without hardware, by themselves.

    Args:
        samples: N samples; one of several body parts counts for each of them.
        labels: float32 (N,), 0 or 1.
        probabilities: float64 (N,), 0..1.
        groups: int64 (N,), for the bootstrap.
        threshold: Where sensitivity and specificity are measured.

    Returns:
        A JSON object each: counts, AUROC, sensitivity and specificity, and a remark where they say little.
    """
    return assess_strata(strata(samples), labels, probabilities, probabilities >= threshold, groups)


def strata(samples: Sequence[Sample]) -> dict[str, NDArray[np.bool_]]:
    """Name the parts of a set of samples: body parts, with and without hardware; bool (N,) each."""
    parts = sorted({part for sample in samples for part in sample.body_parts})
    members = {part: [part in sample.body_parts for sample in samples] for part in parts}
    members |= {
        name: [sample.hardware is present for sample in samples]
        for name, present in (("with hardware", True), ("without hardware", False))
    }
    return {name: np.array(chosen, np.bool_) for name, chosen in members.items()}


def assess_strata(
    strata: Mapping[str, NDArray[np.bool_]],
    labels: Labels,
    probabilities: Scores,
    flagged: NDArray[np.bool_],
    groups: NDArray[np.int64],
) -> list[dict[str, Any]]:
    """Measure parts of a set of samples by themselves.

    Args:
        strata: By name bool (N,), whom each holds; an empty one is passed over.
        labels: float32 (N,), 0 or 1.
        probabilities: float64 (N,), 0..1.
        flagged: bool (N,), where the answer is positive.
        groups: int64 (N,), for the bootstrap.

    Returns:
        A JSON object each: counts, AUROC, sensitivity and specificity, and a remark where they say little.
    """
    rows = []
    for name, members in strata.items():
        chosen = np.flatnonzero(members)
        if not chosen.size:
            continue
        own = labels[chosen]
        ranked = metrics.bootstrap(metrics.ranking(own, probabilities[chosen]), groups[chosen])
        answered = metrics.bootstrap(metrics.answers(own, flagged[chosen]), groups[chosen])
        rows.append(
            {
                "name": name,
                **_counts(own, groups[chosen]),
                "auroc": asdict(ranked["auroc"]),
                "sensitivity": asdict(answered["sensitivity"]),
                "specificity": asdict(answered["specificity"]),
                "remark": _remark(own, groups[chosen]),
            }
        )
    return rows


def curves(labels: Labels, probabilities: Scores) -> dict[str, Any]:
    """Trace the ROC, precision-recall and decision curves.

    Args:
        labels: float32 (N,), 0 or 1, both present.
        probabilities: float64 (N,), 0..1.

    Returns:
        A JSON object of lists; the first two are thinned to a few hundred points.

    Source:
        Vickers & Elkin, Decision curve analysis, Medical Decision Making 26 (2006).
    """
    false_positive, found, _ = roc_curve(labels, probabilities)
    precision, recall, _ = precision_recall_curve(labels, probabilities, drop_intermediate=True)
    everyone = np.full(len(labels), True)
    return {
        "roc": {"false_positive_rate": _thinned(false_positive), "sensitivity": _thinned(found)},
        "precision_recall": {"recall": _thinned(recall), "precision": _thinned(precision)},
        "decision": {
            "threshold": _DECISION_THRESHOLDS.tolist(),
            "model": [metrics.net_benefit(labels, probabilities >= t, t) for t in _DECISION_THRESHOLDS],
            "treat_all": [metrics.net_benefit(labels, everyone, t) for t in _DECISION_THRESHOLDS],
        },
    }


def assess_calibration(
    labels: Labels, logits: Scores, groups: NDArray[np.int64], fitted_on: Scored | None
) -> dict[str, Any]:
    """Compare probabilities with what was observed, and with what other calibrations would give.

    Args:
        labels: float32 (N,), 0 or 1.
        logits: float64 (N,).
        groups: int64 (N,), for the bootstrap.
        fitted_on: Validation X-rays to fit temperature and isotonic calibration on; None where there are
            none but those judged.

    Returns:
        A JSON object: `bins` of equal mass with the mean probability and the observed share; and
        `calibrations`, the calibration error and the Brier score of the model as it is and refitted.
    """
    probabilities = metrics.to_probability(logits)
    measured = metrics.bootstrap(metrics.reliability(labels, probabilities), groups)
    bins = [
        {
            "samples": len(members),
            "probability": float(probabilities[members].mean()),
            "observed": asdict(measured[f"observed {index}"]),
        }
        for index, members in enumerate(metrics.equal_mass_bins(probabilities))
    ]
    candidates = {"as it is": probabilities}
    if fitted_on is not None:
        temperature = metrics.fit_temperature(fitted_on.labels, fitted_on.logits)
        isotonic = metrics.fit_isotonic(fitted_on.labels, metrics.to_probability(fitted_on.logits))
        candidates |= {
            f"temperature {temperature:.2f}": metrics.to_probability(logits / temperature),
            "isotonic": isotonic.predict(probabilities),
        }
    return {
        "bins": bins,
        "calibrations": [
            {"name": name, **_calibration_figures(labels, candidate, groups)}
            for name, candidate in candidates.items()
        ],
    }


def _calibration_figures(
    labels: Labels, probabilities: Scores, groups: NDArray[np.int64]
) -> dict[str, Mapping[str, float | None]]:
    error = Estimate(metrics.calibration_error(labels, probabilities), None, None)
    measured = metrics.bootstrap(metrics.reliability(labels, probabilities), groups)
    return {"brier": asdict(measured["brier"]), "calibration_error": asdict(error)}


def _answers(labels: Labels, flagged: NDArray[np.bool_], groups: NDArray[np.int64]) -> dict[str, Any]:
    counts = asdict(metrics.confusion(labels, flagged, np.ones((1, len(labels)))))
    estimates = metrics.bootstrap(metrics.answers(labels, flagged), groups)
    return {
        "confusion": {name: int(count[0]) for name, count in counts.items()},
        **{name: asdict(estimate) for name, estimate in estimates.items()},
    }


def _counts(labels: Labels, groups: NDArray[np.int64]) -> dict[str, int]:
    return {"samples": len(labels), "positive": int(labels.sum()), "groups": len(np.unique(groups))}


def _remark(labels: Labels, groups: NDArray[np.int64]) -> str:
    rarer = int(min(labels.sum(), len(labels) - labels.sum()))
    if rarer == 0:
        return "one class only"
    if rarer < FEW:
        return f"only {rarer} of one class"
    return "few groups" if len(np.unique(groups)) < FEW_GROUPS else ""


def _thinned(curve: NDArray[np.float64]) -> list[float]:
    places = np.linspace(0, len(curve) - 1, min(len(curve), _CURVE_POINTS)).round().astype(int)
    return [float(value) for value in curve[places]]
