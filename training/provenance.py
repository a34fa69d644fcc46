"""Where a run comes from: the data and their licence, the start weights, the split, the code."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.datasets import TABLES

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
        "have learned hardware and casts instead of fractures. This has not been measured yet.",
        "Most data X-rays measure 373 x 454 pixels, so little of a hairline fracture can be seen in them.",
        "Adults and children are mixed, from three hospitals in Bangladesh; nothing was measured by age or "
        "sex.",
    ],
}
# Data sets that are known, by the SHA-256 of their tables: a part of FracAtlas with 3,271 X-rays.
_KNOWN = {"b7d31accff716eea76f9905e150594d60687918a57d29c20274ff203bfde36ac": _FRACATLAS}


def fingerprint(data_dir: Path) -> str:
    """Return the SHA-256 over a data set's tables, which tells data sets and their versions apart."""
    digest = hashlib.sha256()
    for name in TABLES:
        digest.update((data_dir / name).read_bytes())
    return digest.hexdigest()


def describe_dataset(name: str, sha256: str) -> dict[str, Any]:
    """Tell what is known about a data set; licence and origin are claimed of known ones only.

    Args:
        name: The folder's name.
        sha256: The data set's fingerprint.

    Returns:
        `name`, `citation`, `licence`, `body_parts` and `limits`.
    """
    unknown = {
        "name": name,
        "citation": "origin not stated",
        "licence": "licence not stated",
        "body_parts": ["the body parts it was trained on"],
        "limits": ["Nothing is known here about how the data were collected and labelled."],
    }
    return dict(_KNOWN.get(sha256, unknown))


def describe_run(
    name: str, sha256: str, weights: Mapping[str, str], sides: Mapping[str, int]
) -> dict[str, Any]:
    """Put together what a bundle later tells about its training.

    Args:
        name: The data folder's name.
        sha256: The data set's fingerprint.
        weights: The start weights' `source` and `licence`.
        sides: How many X-rays stand on each side of the split.

    Returns:
        A JSON object.
    """
    return {
        "dataset": describe_dataset(name, sha256),
        "weights": dict(weights),
        "sides": dict(sides),
        "commit": _commit(),
    }


def _commit() -> str:
    """Return the code's commit, marked -dirty when files differ from it."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
