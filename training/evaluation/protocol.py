"""What is measured of a model on one side of a data set, and what warns against believing it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import DataError, SettingsError
from edge_app.model.operating_point import choose_threshold
from training.data import splits
from training.data.samples import Dataset, Sample
from training.data.scan import Scan, scan_samples
from training.evaluation import metrics
from training.evaluation.assessment import (
    FEW_GROUPS,
    TARGET_SENSITIVITY,
    assess,
    assess_calibration,
    assess_parts,
    curves,
)
from training.evaluation.candidates import Candidate
from training.evaluation.explain import judge_heatmaps, randomisation_check
from training.evaluation.metrics import Scored
from training.evaluation.per_study import join_views, mura_table
from training.evaluation.scorers import KerasScorer, Scorer
from training.evaluation.selection import ALL, AUTO, Selection, select
from training.evaluation.shortcuts import audit_shortcuts

# A map whose ranks stay so alike when the model forgets everything does not come from what it learned.
ALIKE = 0.5
EXPLAINED_SAMPLES = 16


def evaluate(
    candidate: Candidate,
    dataset: Dataset,
    side: str = AUTO,
    sensitivity: float | None = None,
    split: Path | None = None,
) -> dict[str, Any]:
    """Judge a model on one side of a data set.

    Args:
        candidate: The model.
        dataset: Labelled X-rays.
        side: One of `selection.CHOICES`.
        sensitivity: Another one to choose the threshold for, on validation X-rays; None keeps the model's
            threshold.
        split: The `split.csv` of the run that the model comes from, for a model that brings none. Naming
            it says that the model was trained on this data set.

    Returns:
        A JSON object with every figure, and with warnings on how far to believe them.

    Raises:
        EdgeError: the side is empty or holds one class only, a run is given another split, the threshold
            cannot be chosen as asked, or the model gives no numbers.
    """
    if split and candidate.split:
        raise SettingsError("A run brings its own split. Leave --split out.")
    trained_on = dataset.sha256 if split else candidate.trained_on
    selection = select(dataset, side, trained_on, split or candidate.split)
    scan = scan_samples(selection.samples, candidate.scorer.size_px)
    judged = _score(candidate.scorer, scan)
    splits.check_classes(selection.side, judged.labels)
    groups = _groups(selection, scan)
    chosen_on = _validation(candidate, selection, judged)
    among_judged = chosen_on is judged or selection.holds_validation
    point = _operating_point(candidate, chosen_on, sensitivity, among_judged)
    figures = {
        "operating_point": point,
        **_figures(dataset, scan.samples, judged, groups, point["threshold"] if point else None),
        "calibration": assess_calibration(
            judged.labels,
            judged.logits,
            groups,
            None if among_judged else chosen_on,
        ),
        "heatmaps": _heatmaps(candidate, scan, groups),
        "shortcuts": audit_shortcuts(candidate.scorer.logits, scan, judged.labels, groups),
        "unreadable": {
            "side": selection.unreadable_side,
            **_unreadable([*selection.unreadable, *scan.unreadable]),
        },
    }
    return {
        **_about(candidate, dataset, selection.side),
        "warnings": [
            *selection.warnings,
            *_data_warnings(candidate, dataset),
            *_warnings(figures),
        ],
        **figures,
    }


def _about(candidate: Candidate, dataset: Dataset, side: str) -> dict[str, Any]:
    return {
        "created": f"{date.today():%Y-%m-%d}",
        "model": {
            "name": candidate.name,
            "kind": candidate.kind,
            "sha256": candidate.sha256,
            "size_px": candidate.scorer.size_px,
        },
        "data": {
            "name": dataset.name,
            "layout": dataset.layout,
            "sha256": dataset.sha256,
            "positive": dataset.positive,
            "remarks": list(dataset.remarks),
        },
        "side": side,
    }


def _score(scorer: Scorer, scan: Scan) -> Scored:
    labels = np.array([sample.fractured for sample in scan.samples], np.float32)
    return Scored(labels, scorer.logits(scan.squares))


def _groups(selection: Selection, scan: Scan) -> NDArray[np.int64]:
    if selection.groups:
        return np.array([selection.groups[sample.image_id] for sample in scan.samples], np.int64)
    return splits.group_samples(scan.samples, splits.duplicate_pairs(scan.thumbnails))


def _validation(candidate: Candidate, selection: Selection, judged: Scored) -> Scored | None:
    """Return the scores on which a threshold or a calibration may be chosen; they are of both classes."""
    if candidate.validation is not None:
        return candidate.validation
    if len({sample.fractured for sample in selection.own_validation}) == 2:
        return _score(candidate.scorer, scan_samples(selection.own_validation, candidate.scorer.size_px))
    return judged if selection.side == splits.VALIDATION else None


def _operating_point(
    candidate: Candidate, chosen_on: Scored | None, sensitivity: float | None, among_judged: bool
) -> dict[str, Any] | None:
    if sensitivity is None and candidate.threshold is not None:
        return {
            "threshold": candidate.threshold,
            "target_sensitivity": candidate.target_sensitivity,
            "source": "stored with the model, which chose it on its validation X-rays",
            "chosen_here": False,
        }
    if chosen_on is None:
        if sensitivity is None:
            return None
        raise DataError(
            "--sensitivity chooses the threshold on validation X-rays of both classes, and there are none "
            "here. Judge a run, or data with a validation side."
        )
    target = TARGET_SENSITIVITY if sensitivity is None else sensitivity
    labels, probabilities = chosen_on.labels, metrics.to_probability(chosen_on.logits)
    return {
        "threshold": choose_threshold(labels, probabilities, target),
        "target_sensitivity": target,
        "source": f"chosen now on {len(labels)} validation X-rays for a sensitivity of {target:g}",
        "chosen_here": among_judged,
    }


def _figures(
    dataset: Dataset,
    samples: Sequence[Sample],
    judged: Scored,
    groups: NDArray[np.int64],
    threshold: float | None,
) -> dict[str, Any]:
    labels, probabilities = judged.labels, metrics.to_probability(judged.logits)
    at = 0.5 if threshold is None else threshold
    studies = None
    if all(sample.study for sample in samples):
        joined = join_views(samples, probabilities, groups)
        studies = {
            "assessment": assess(joined.labels, joined.probabilities, joined.groups, threshold),
            "mura": mura_table(joined) if dataset.layout == "MURA" else None,
        }
    return {
        "images": assess(labels, probabilities, groups, threshold),
        "parts": assess_parts(samples, labels, probabilities, groups, at),
        "studies": studies,
        "curves": curves(labels, probabilities),
    }


def _heatmaps(candidate: Candidate, scan: Scan, groups: NDArray[np.int64]) -> dict[str, Any]:
    scorer = candidate.scorer
    boxes = check = None
    remarks = []
    if any(sample.boxes for sample in scan.samples):
        boxes = judge_heatmaps(scorer, scan, groups)
    else:
        remarks.append("No X-ray that is judged has a box, so nothing tells whether heat maps point right.")
    if isinstance(scorer, KerasScorer):
        positive = np.flatnonzero([sample.fractured for sample in scan.samples])
        places = np.linspace(0, len(positive) - 1, min(len(positive), EXPLAINED_SAMPLES)).astype(int)
        check = randomisation_check(scorer, scan.squares[positive[places]], candidate.method)
    else:
        remarks.append(
            "A bundle's weights are fixed in its graphs, so they cannot be shuffled: check the run that "
            "the bundle was made from."
        )
    return {"method": candidate.method, "boxes": boxes, "randomisation": check, "remarks": remarks}


def _unreadable(files: Sequence[tuple[Sample, str]]) -> dict[str, Any]:
    return {
        "positive": sum(sample.fractured for sample, _ in files),
        "normal": sum(not sample.fractured for sample, _ in files),
        "files": [
            # what follows the first sentence tells the clinic's staff what to do
            {"image_id": sample.image_id, "positive": sample.fractured, "reason": why.partition(". ")[0]}
            for sample, why in files
        ],
    }


def _data_warnings(candidate: Candidate, dataset: Dataset) -> list[str]:
    """Tell what the data lack to judge the model by them."""
    warnings = []
    if candidate.finding and candidate.finding != dataset.positive:
        warnings.append(
            f"Positive meant {candidate.finding} where the model was trained, but {dataset.positive} here: "
            "the model is judged on a question that it did not learn."
        )
    if not dataset.tells_patients():
        warnings.append(
            "The patients are not known: where several X-rays are of one patient, the intervals are too "
            "narrow."
        )
    return warnings


def _warnings(figures: dict[str, Any]) -> list[str]:
    """Tell what the figures themselves say against believing them."""
    warnings = []
    point = figures["operating_point"]
    if point is None:
        warnings.append("The model brings no threshold, so answers are judged at 0.5 only.")
    elif point["chosen_here"]:
        warnings.append(
            "The threshold was chosen on these very X-rays, or on some of them, so sensitivity and "
            "specificity are too good."
        )
    groups = figures["images"]["groups"]
    if groups < FEW_GROUPS:
        warnings.append(
            f"There are only {groups} independent groups of X-rays: the intervals are too narrow."
        )
    unreadable = figures["unreadable"]
    if unreadable["files"]:
        where = (
            "in the whole data set" if unreadable["side"] == ALL else f"on the {unreadable['side']} side"
        )
        warnings.append(
            f"Files that cannot be read are not judged: {unreadable['positive']} positive, "
            f"{unreadable['normal']} normal {where}."
        )
    check = figures["heatmaps"]["randomisation"]
    if check and (check["stages"][-1]["median_correlation"] or 0) > ALIKE:
        warnings.append("Heat maps stay alike when the model forgets everything: do not rely on them.")
    return warnings
