"""A heat map over its picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_OPACITY = 0.65
# From black over purple and red to yellow: brightness rises throughout, so that it reads the same to
# colour-blind eyes.
_COLOURS = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_INFERNO).reshape(256, 3)[:, ::-1]


def overlay(picture: NDArray[np.uint8], heatmap: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Lay a heat map over a picture; the warmer a place, the more it covers.

    Args:
        picture: uint8 (H, W).
        heatmap: float32 (h, w) in 0..1 over the whole picture, any grid.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    height, width = picture.shape
    heat = cv2.resize(heatmap, (width, height), interpolation=cv2.INTER_LINEAR)[..., np.newaxis]
    colours = _COLOURS[np.round(255 * heat[..., 0]).astype(np.uint8)]
    opacity = MAX_OPACITY * heat
    blended = (1 - opacity) * picture[..., np.newaxis] + opacity * colours
    return np.round(blended).astype(np.uint8)
