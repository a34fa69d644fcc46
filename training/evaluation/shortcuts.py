"""Whether a model looks at fractures or at what comes along with them: X-rays scored with parts blanked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.preprocess import Placement, place
from edge_app.model.pointing import Box
from training.data.scan import Scan
from training.evaluation import metrics
from training.evaluation.metrics import Labels, Scores

Square = NDArray[np.uint8]
Logits = Callable[[NDArray[np.uint8]], Scores]
# A side marker is a small bright thing of its own near the edge of the picture.
_MARKER_GREY = 200
_LARGEST_MARKER = 0.01
_EDGE = 0.25
# Around a box stays this much of its size, since a fracture changes its neighbourhood.
_MARGIN = 0.5
_BATCH = 64


def audit_shortcuts(
    logits: Logits, scan: Scan, labels: Labels, groups: NDArray[np.int64]
) -> dict[str, Any]:
    """Score X-rays again with markers, boxes or backgrounds blanked, and in strata of size.

    Args:
        logits: From squares, uint8 (n, S, S), to logits, float64 (n,).
        scan: N X-rays.
        labels: float32 (N,), 0 or 1, both present.
        groups: int64 (N,), for the bootstrap.

    Returns:
        A JSON object: AUROC as the X-rays are, without side markers, by size of the picture, and with the
        smaller half of the fractures only; and by how much the logit of fractured X-rays falls when the
        box is blanked, when as large a place elsewhere is, and when all but the box is. Parts are null
        where the data tell nothing of them.
    """
    plain = _scored(logits, scan, range(len(labels)), lambda square, index: square)
    unmarked = _scored(
        logits,
        scan,
        range(len(labels)),
        lambda square, index: without_markers(square, _placed(scan, index)),
    )
    longest = scan.shapes.max(axis=1)
    is_small = longest <= np.median(longest)
    return {
        "auroc": _auroc(labels, plain, groups),
        "auroc_without_markers": _auroc(labels, unmarked, groups),
        "auroc_of_smaller_pictures": _auroc_of(is_small, labels, plain, groups),
        "auroc_of_larger_pictures": _auroc_of(~is_small, labels, plain, groups),
        "auroc_of_smaller_fractures": _auroc_of(_hard(scan), labels, plain, groups),
        "falls": _falls(logits, scan, plain),
    }


def without_markers(square: Square, placement: Placement) -> Square:
    """Paint over small bright things of their own near the edge of the picture.

    That takes letters and pearls for sides, and at times a bright piece of something else; markers that
    touch the limb stay.

    Args:
        square: uint8 (S, S).
        placement: Where the picture lies in it.

    Returns:
        uint8 (S, S), another array.
    """
    top, left, height, width = placement
    picture = square[top : top + height, left : left + width]
    count, places, stats, centres = cv2.connectedComponentsWithStats(
        (picture >= _MARKER_GREY).astype(np.uint8)
    )
    mask = np.zeros_like(picture)
    for index in range(1, count):
        x, y = centres[index] / (width, height)
        near_edge = min(x, y, 1 - x, 1 - y) < _EDGE
        if near_edge and stats[index, cv2.CC_STAT_AREA] <= _LARGEST_MARKER * picture.size:
            mask[places == index] = 1
    painted = square.copy()
    wide = cv2.dilate(mask, np.ones((5, 5), np.uint8))
    painted[top : top + height, left : left + width] = cv2.inpaint(picture, wide, 5, cv2.INPAINT_TELEA)
    return painted


def in_square(
    boxes: Sequence[Box], placement: Placement, size_px: int, margin: float = 0.0
) -> NDArray[np.bool_]:
    """Tell which pixels of a square lie in a box, widened on each side by a share of its size.

    Args:
        boxes: As fractions of the picture.
        placement: Where the picture lies in the square.
        size_px: The square's side S.
        margin: By what share of its width and height a box grows on each side.

    Returns:
        bool (S, S).
    """
    inside = np.zeros((size_px, size_px), np.bool_)
    for box in boxes:
        top = placement.top_px + (box.y - margin * box.height) * placement.height_px
        left = placement.left_px + (box.x - margin * box.width) * placement.width_px
        bottom = top + (1 + 2 * margin) * box.height * placement.height_px
        right = left + (1 + 2 * margin) * box.width * placement.width_px
        inside[max(0, round(top)) : round(bottom), max(0, round(left)) : round(right)] = True
    return inside


def blanked(square: Square, mask: NDArray[np.bool_]) -> Square:
    """Fill what is masked with the median grey of what lies around it, softened at its rim.

    Args:
        square: uint8 (S, S).
        mask: bool (S, S).

    Returns:
        uint8 (S, S), another array.
    """
    rim = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(np.bool_) & ~mask
    grey = np.median(square[rim]) if rim.any() else np.median(square)
    share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2)
    share = np.where(mask, 1, share)
    return np.round(square * (1 - share) + grey * share).astype(np.uint8)


def _falls(logits: Logits, scan: Scan, plain: Scores) -> dict[str, Any] | None:
    """Compare the fall of the logit for the box, for a place elsewhere, and for all but the box."""
    boxed = [index for index, sample in enumerate(scan.samples) if sample.boxes]
    if not boxed:
        return None
    size_px = scan.squares[boxed[0]].shape[-1]

    def mask(index: int, margin: float = 0.0) -> NDArray[np.bool_]:
        return in_square(scan.samples[index].boxes, _placed(scan, index), size_px, margin)

    def elsewhere(index: int) -> NDArray[np.bool_]:
        return mask(index)[::-1, ::-1] & ~mask(index, _MARGIN)

    falls = {
        "box": plain[boxed] - _scored(logits, scan, boxed, lambda s, i: blanked(s, mask(i, 0.25))),
        "elsewhere": plain[boxed] - _scored(logits, scan, boxed, lambda s, i: blanked(s, elsewhere(i))),
        "background": plain[boxed]
        - _scored(logits, scan, boxed, lambda s, i: blanked(s, ~mask(i, _MARGIN))),
    }
    return {
        "samples": len(boxed),
        **{name: float(np.mean(values)) for name, values in falls.items()},
        "box_falls_more_than_elsewhere": float(np.mean(falls["box"] > falls["elsewhere"])),
    }


def _scored(
    logits: Logits, scan: Scan, chosen: Sequence[int], change: Callable[[Square, int], Square]
) -> Scores:
    """Score changed squares, a batch at a time."""
    scores = []
    for start in range(0, len(chosen), _BATCH):
        batch = chosen[start : start + _BATCH]
        scores.append(logits(np.stack([change(np.asarray(scan.squares[index]), index) for index in batch])))
    return np.concatenate(scores)


def _placed(scan: Scan, index: int) -> Placement:
    height, width = map(int, scan.shapes[index])
    return place(height, width, scan.squares[index].shape[-1])


def _hard(scan: Scan) -> NDArray[np.bool_]:
    """Choose normal X-rays, and those fractured ones whose largest box is smaller than usual."""
    areas = np.array(
        [max((b.width * b.height for b in sample.boxes), default=np.nan) for sample in scan.samples]
    )
    is_fractured = np.array([sample.fractured for sample in scan.samples])
    usual = np.nanmedian(areas) if np.isfinite(areas).any() else -1.0
    return ~is_fractured | (areas <= usual)


def _auroc(labels: Labels, scores: Scores, groups: NDArray[np.int64]) -> dict[str, Any]:
    return {
        "samples": len(labels),
        **asdict(metrics.bootstrap(metrics.ranking(labels, scores), groups)["auroc"]),
    }


def _auroc_of(
    chosen: NDArray[np.bool_], labels: Labels, scores: Scores, groups: NDArray[np.int64]
) -> dict[str, Any] | None:
    if len(np.unique(labels[chosen])) < 2:
        return None
    return _auroc(labels[chosen], scores[chosen], groups[chosen])
