"""A heat map to the outline of its warmest place."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

WARM = 0.5  # of the peak: the place that colours show as hot
_GRID_PX = 512  # on the longer side; finer than any heat map


def warm_outline(heatmap: NDArray[np.float32], size_px: tuple[int, int]) -> NDArray[np.float32] | None:
    """Outline the place around a heat map's peak that is at least half as warm.

    Args:
        heatmap: float32 (h, w) in 0..1 over the whole picture, any grid.
        size_px: The picture's height and width.

    Returns:
        float32 (N, 2), N >= 3: x and y in pixels from the picture's upper left corner, the first point not
        repeated; None where the heat map shows nothing.
    """
    if not heatmap.any():
        return None
    height, width = size_px
    scale = min(1.0, _GRID_PX / max(height, width))
    grid = (max(1, round(width * scale)), max(1, round(height * scale)))
    heat = cv2.resize(heatmap, grid, interpolation=cv2.INTER_LINEAR)
    # Twice as fine, so that a place of one cell has an outline too.
    warm = np.kron((heat >= WARM * heat.max()).astype(np.uint8), np.ones((2, 2), np.uint8))
    row, column = np.unravel_index(int(np.argmax(heat)), heat.shape)
    peak = (float(2 * column), float(2 * row))
    contours, _ = cv2.findContours(warm, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    outline = next(each for each in contours if cv2.pointPolygonTest(each, peak, False) >= 0)
    points = (outline[:, 0].astype(np.float32) + 0.5) / 2
    scales = np.array([width / grid[0], height / grid[1]], np.float32)
    return np.asarray(points * scales, np.float32)


def area_px(outline: NDArray[np.float32]) -> float:
    """Return the area within an outline, in square pixels.

    Args:
        outline: float32 (N, 2): x and y in pixels.
    """
    return float(cv2.contourArea(outline))
