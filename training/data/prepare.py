"""A data set to what a training works on: decoded, split, checked for leaks, and written down."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import DataError
from edge_app.model.pointing import Box
from training.data import splits
from training.data.samples import Sample
from training.data.scan import Cache, Scan, scan_samples

UNREADABLE = "unreadable"
_MEANING = {
    splits.TRAIN: "to train on",
    splits.VALIDATION: "to validate on",
    splits.TEST: "to test on, not touched by training",
    splits.LEFT_OUT: "left out, too much like one that is held out",
    UNREADABLE: "broken files, which the clinic's app refuses too",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingData:
    """The N readable samples and their sides.

    `labels` is float32 (N,), `groups` int64 (N,), `sides` (N,); `reasons` tells by index why a sample was
    left out.
    """

    scan: Scan
    labels: NDArray[np.float32]
    groups: NDArray[np.int64]
    sides: splits.Sides
    reasons: Mapping[int, str]

    def chosen(self, side: str) -> NDArray[np.int64]:
        """Return the indices of a side, int64 (n,)."""
        return np.flatnonzero(self.sides == side)


def prepare(
    samples: Sequence[Sample],
    size_px: int,
    cache: Cache,
    seed: int,
    earlier_split: Path | None = None,
    leave_out_leaks: bool = False,
    hold_out_test: bool = False,
) -> TrainingData:
    """Decode samples, split them, and make sure that nothing leaks.

    Where the data set or an earlier split says who stands where, a leak is an error. What is too much like
    an X-ray that was chosen for validation here is left out of training.

    Args:
        samples: What to train on.
        size_px: The model's input side in pixels.
        cache: Where the squares stay.
        seed: Chooses the split.
        earlier_split: A `split.csv` to be used again.
        leave_out_leaks: Whether to go on without the X-rays that leak, instead of an error.
        hold_out_test: Whether to choose X-rays to test on as well, where no test side is given.

    Returns:
        The data with a split that holds no leak and both classes on every side.

    Raises:
        DataError: nothing can be read, the split is impossible, or something leaks.
    """
    scan = scan_samples(samples, size_px, cache)
    pairs = splits.duplicate_pairs(scan.thumbnails)
    groups = splits.group_samples(scan.samples, pairs)
    labels = np.array([sample.fractured for sample in scan.samples], np.float32)
    if earlier_split is None:
        sides = splits.given_sides(scan.samples)
    else:
        sides = splits.earlier_sides(scan.samples, earlier_split)
    leaks = splits.find_leaks(scan.samples, sides, pairs)
    if leaks and not leave_out_leaks:
        raise _leaks_found(scan.samples, sides, leaks)
    sides = _without(sides, leaks)
    for side in (splits.TEST, splits.VALIDATION) if hold_out_test else (splits.VALIDATION,):
        if side not in sides:
            sides = splits.hold_out(side, sides, labels, groups, seed)
            own_leaks = splits.find_leaks(scan.samples, sides, pairs)
            sides, leaks = _without(sides, own_leaks), leaks + own_leaks
    for side in sorted({splits.TRAIN, splits.VALIDATION, *sides} - {splits.LEFT_OUT}):
        splits.check_classes(side, labels[sides == side])
    for first, second in splits.label_conflicts(scan.samples, pairs):
        logger.warning(
            "%s and %s are nearly the same picture, labelled differently.", first.image_id, second.image_id
        )
    reasons = {leak.sample: f"{leak.reason} as {scan.samples[leak.held_out].image_id}" for leak in leaks}
    return TrainingData(scan, labels, groups, sides, reasons)


def split_rows(data: TrainingData, data_dir: Path) -> list[dict[str, Any]]:
    """Tell of every sample where it stands and why.

    Args:
        data: The samples.
        data_dir: The folder that they were read from.

    Returns:
        A row each, as `split.csv` holds it. `file` is the path inside the folder, with /, and `boxes` holds
        "x y width height" of each box as fractions of the picture, joined by ";".
    """
    placed = [
        (sample, data.groups[index], data.sides[index], data.reasons.get(index, ""))
        for index, sample in enumerate(data.scan.samples)
    ]
    placed += [(sample, "", UNREADABLE, why) for sample, why in data.scan.unreadable]
    return [
        {
            "image_id": sample.image_id,
            "fractured": int(sample.fractured),
            "group": group,
            "side": side,
            "reason": reason,
            "file": sample.path.relative_to(data_dir).as_posix(),
            "boxes": ";".join(map(_box_text, sample.boxes)),
        }
        for sample, group, side, reason in placed
    ]


def log_sides(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Log and return how many X-rays stand on each side, with what that does to the balance of labels.

    Args:
        rows: What `split_rows` returned.

    Returns:
        The count of every side that occurs.
    """
    counts = {}
    for side, meaning in _MEANING.items():
        labels = [row["fractured"] for row in rows if row["side"] == side]
        if labels:
            counts[side] = len(labels)
            logger.info(
                "%6d X-rays, %5d positive (%4.1f %%): %s",
                len(labels),
                sum(labels),
                100 * sum(labels) / len(labels),
                meaning,
            )
    return counts


def _box_text(box: Box) -> str:
    return " ".join(map(repr, astuple(box)))


def _without(sides: splits.Sides, leaks: Sequence[splits.Leak]) -> splits.Sides:
    kept = sides.copy()
    kept[[leak.sample for leak in leaks]] = splits.LEFT_OUT
    return kept


def _leaks_found(samples: Sequence[Sample], sides: splits.Sides, leaks: Sequence[splits.Leak]) -> DataError:
    named = "\n".join(
        f"  {samples[leak.sample].image_id} ({sides[leak.sample]}): {leak.reason} as "
        f"{samples[leak.held_out].image_id} ({sides[leak.held_out]})"
        for leak in leaks
    )
    return DataError(
        f"{len(leaks)} X-rays are too much like one that is held out, so no figure could be believed:\n"
        f"{named}\nRemove them from one side, or train without them: --leaks leave_out."
    )
