"""Fracture boxes to what the evidence map should show."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.preprocess import place
from edge_app.model.pointing import Box

CELL_PX = 16
# A cell counts as evidence when a box covers this share of it. Boxes are widened to MIN_BOX_PX, so that
# even the smallest one covers some cell so far.
COVERED_SHARE = 0.25
MIN_BOX_PX = 18


def draw_boxes(boxes: Sequence[Box], height: int, width: int, size_px: int) -> NDArray[np.uint8]:
    """Draw a picture's boxes into the model's square, numbered from 1.

    Args:
        boxes: Fractions of the picture, 255 at most; where two overlap, the later one is seen.
        height: The picture's height in pixels.
        width: The picture's width in pixels.
        size_px: The square's side S in pixels.

    Returns:
        uint8 (S, S), the box's number inside of it, 0 elsewhere.
    """
    top, left, inner_height, inner_width = place(height, width, size_px)
    mask = np.zeros((size_px, size_px), np.uint8)
    for number, box in enumerate(boxes, start=1):
        x, y = left + (box.x + box.width / 2) * inner_width, top + (box.y + box.height / 2) * inner_height
        half_width = max(box.width * inner_width, MIN_BOX_PX) / 2
        half_height = max(box.height * inner_height, MIN_BOX_PX) / 2
        corner, opposite = (x - half_width, y - half_height), (x + half_width, y + half_height)
        cv2.rectangle(mask, _pixel(corner), _pixel(opposite), number, -1)
    return mask


def to_cells(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Reduce a drawn mask to the cells of the evidence map.

    Args:
        mask: uint8 (S, S), 0 outside of boxes.

    Returns:
        float32 (S / CELL_PX, S / CELL_PX, 1), 1 where a box covers enough of the cell, else 0.
    """
    side = len(mask) // CELL_PX
    inside = (mask > 0).astype(np.float32)
    covered = cv2.resize(inside, (side, side), interpolation=cv2.INTER_AREA)
    return (covered >= COVERED_SHARE).astype(np.float32)[..., np.newaxis]


def _pixel(point: tuple[float, float]) -> tuple[int, int]:
    return round(point[0]), round(point[1])
