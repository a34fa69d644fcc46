"""The pointing game: boxes that people drew, and whether a heat map's peak lies in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Box:
    """A finding's box: top left corner and extent, as fractions of the picture's width and height."""

    x: float
    y: float
    width: float
    height: float


def covered(boxes: Sequence[Box], height: int, width: int) -> NDArray[np.bool_]:
    """Tell which cells of a grid over the picture have their centre in a box.

    Args:
        boxes: Fractions of the picture.
        height: Rows of the grid.
        width: Columns of the grid.

    Returns:
        bool (height, width).
    """
    y = ((np.arange(height) + 0.5) / height)[:, np.newaxis]
    x = (np.arange(width) + 0.5) / width
    inside = np.zeros((height, width), bool)
    for box in boxes:
        inside = inside | (
            (box.x <= x) & (x <= box.x + box.width) & (box.y <= y) & (y <= box.y + box.height)
        )
    return inside


def points_inside(heatmap: NDArray[np.float32], inside: NDArray[np.bool_]) -> bool:
    """Tell whether a map's peak lies inside; never for an empty map. Both are (h, w).

    Source:
        Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016, section 4.1.
    """
    return bool(heatmap.any() and inside.flat[heatmap.argmax()])
