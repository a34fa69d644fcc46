"""Features and gradient to a heat map; pure numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def grad_cam(features: NDArray[np.float32], gradient: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weigh each feature channel by its mean gradient and keep the positive evidence.

    Args:
        features: float32 (h, w, C), the feature map.
        gradient: float32 (h, w, C), d logit / d features.

    Returns:
        float32 (h, w) in 0..1 with its peak at 1; all zero when no evidence is positive.

    Source:
        Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2.
    """
    weights = gradient.mean(axis=(0, 1))
    return scale_to_peak(np.maximum(features @ weights, 0.0))


def scale_to_peak(heatmap: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide a map by its largest value.

    Args:
        heatmap: float32 (h, w), 0 or more.

    Returns:
        float32 (h, w) in 0..1 with its peak at 1; all zero when the map is.
    """
    peak = heatmap.max()
    return heatmap / peak if peak > 0.0 else heatmap
