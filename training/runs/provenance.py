"""Where a run comes from: the data and their licence, the start weights, the split, the code."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.data.samples import Dataset

_FRACATLAS: dict[str, Any] = {
    "name": "FracAtlas",
    "citation": (
        "Abedeen, I. et al. FracAtlas: A Dataset for Fracture Classification, Localization and "
        "Segmentation of Musculoskeletal Radiographs. Scientific Data 10:521 (2023), "
        "doi 10.1038/s41597-023-02432-4"
    ),
    "licence": "CC BY 4.0",
    "body_parts": ["hand", "leg", "hip", "shoulder"],
    "limits": [
        "No patient is identified in the data, so some patient may still stand on both sides of the split.",
        "All truncated pictures in the data are labelled normal. They are left out; the app refuses such "
        "pictures.",
        "Nearly all data X-rays with screws or plates are fractured, and casts are visible: the model may "
        "have learned hardware and casts instead of fractures. Casts were not told apart.",
        "Most data X-rays measure 373 x 454 pixels, so little of a hairline fracture can be seen in them.",
        "Adults and children are mixed, from three hospitals in Bangladesh; nothing was measured by age or "
        "sex.",
    ],
}
_MURA: dict[str, Any] = {
    "name": "MURA v1.1",
    "citation": (
        "Rajpurkar, P. et al. MURA: Large Dataset for Abnormality Detection in Musculoskeletal "
        "Radiographs. arXiv 1712.06957 (2017)"
    ),
    "licence": "Stanford University's research use agreement for MURA: no commercial use",
    "body_parts": ["elbow", "finger", "forearm", "hand", "humerus", "shoulder", "wrist"],
    "limits": [
        "The labels tell abnormalities of any kind, per study, not fractures: hardware, worn joints and "
        "other lesions count too.",
        "All data come from one hospital.",
    ],
}
# Source: Rajpurkar et al., table 1: 36,808 to train on and 3,197 to validate on.
_MURA_IMAGES = 40_005
# FracAtlas is known by the SHA-256 of its tables: a part of it with 3,271 X-rays.
_FRACATLAS_SHA256 = "b7d31accff716eea76f9905e150594d60687918a57d29c20274ff203bfde36ac"
_GROUPS = {
    "MURA": "patients",
    "FracAtlas": "blocks of 50 consecutive image numbers, since neighbours are often the same patient",
    "class folders": "sets of nearly the same pictures, since the patients are not known",
}


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """Tell what is known about a data set; licence and origin are claimed of known ones only.

    Args:
        dataset: What was trained on.

    Returns:
        `name`, `citation`, `licence`, `body_parts`, `limits`, `finding` (what its positive label means) and
        `groups` (what was kept on one side of the split).
    """
    parts = {part for sample in dataset.samples for part in sample.body_parts}
    known = {
        "name": dataset.name,
        "citation": "origin not stated",
        "licence": "licence not stated",
        "body_parts": sorted(parts) or ["the body parts it was trained on"],
        "limits": ["Nothing is known here about how the data were collected and labelled."],
    }
    if dataset.layout == "MURA" and len(dataset.samples) == _MURA_IMAGES:
        known = _MURA
    elif dataset.sha256 == _FRACATLAS_SHA256:
        known = _FRACATLAS
    return {**known, "finding": dataset.positive, "groups": _GROUPS[dataset.layout]}


def describe_run(dataset: Dataset, weights: Mapping[str, str], sides: Mapping[str, int]) -> dict[str, Any]:
    """Put together what a bundle later tells about its training.

    Args:
        dataset: What is trained on.
        weights: The start weights' `source` and `licence`.
        sides: How many X-rays stand on each side of the split.

    Returns:
        A JSON object; `created` is today's date in UTC.
    """
    return {
        "dataset": describe_dataset(dataset),
        "weights": dict(weights),
        "sides": dict(sides),
        "commit": _commit(),
        "created": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _commit() -> str:
    """Return the code's commit, marked -dirty when files differ from it."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
