"""Features and gradient to a heat map, by one of four methods; pure numpy.

All take the feature map A, float32 (h, w, C), and its gradient g = d logit / d features, of the same shape.
All return float32 (h, w) in 0..1 with its peak at 1, all zero when no evidence is positive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

GRAD_CAM = "grad-cam"

Method = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]


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
    return _positive(features @ weights)


def grad_cam_plus_plus(features: NDArray[np.float32], gradient: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weigh each feature channel by its positive gradients, the less the wider the channel is active.

    The paper's score is Y = exp(S) of the logit S, so the n-th derivative of Y is exp(S) g^n. Then
    alpha = g^2 / (2 g^2 + sum(A) g^3), which is 1 / (2 + sum(A) g), and exp(S) drops out by the scaling.
    Where the denominator is zero, alpha is 0.

    Args:
        features: float32 (h, w, C), the feature map.
        gradient: float32 (h, w, C), d logit / d features.

    Returns:
        float32 (h, w) in 0..1 with its peak at 1; all zero when no evidence is positive.

    Source:
        Chattopadhay et al., Grad-CAM++, WACV 2018, equations 10 to 19.
    """
    denominator = 2 + features.sum(axis=(0, 1)) * gradient
    rising = np.maximum(gradient, 0)
    shares = np.divide(rising, denominator, out=np.zeros_like(rising), where=denominator != 0)
    return _positive(features @ shares.sum(axis=(0, 1)))


def hires_cam(features: NDArray[np.float32], gradient: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply features and gradient place by place, add up the channels, keep the positive evidence.

    Args:
        features: float32 (h, w, C), the feature map.
        gradient: float32 (h, w, C), d logit / d features.

    Returns:
        float32 (h, w) in 0..1 with its peak at 1; all zero when no evidence is positive.

    Source:
        Draelos and Carin, Use HiResCAM instead of Grad-CAM, arXiv 2011.08891, 2020.
    """
    return _positive(np.vecdot(features, gradient))


def layer_cam(features: NDArray[np.float32], gradient: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weigh each place of each channel by its own positive gradient and keep the positive evidence.

    Args:
        features: float32 (h, w, C), the feature map.
        gradient: float32 (h, w, C), d logit / d features.

    Returns:
        float32 (h, w) in 0..1 with its peak at 1; all zero when no evidence is positive.

    Source:
        Jiang et al., LayerCAM, IEEE Transactions on Image Processing 30, 2021.
    """
    return _positive(np.vecdot(features, np.maximum(gradient, 0)))


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        GRAD_CAM: grad_cam,
        "grad-cam++": grad_cam_plus_plus,
        "hirescam": hires_cam,
        "layercam": layer_cam,
    }
)


def scale_to_peak(heatmap: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide a map by its largest value.

    Args:
        heatmap: float32 (h, w), 0 or more.

    Returns:
        float32 (h, w) in 0..1 with its peak at 1; all zero when the map is.
    """
    peak = heatmap.max()
    return heatmap / peak if peak > 0 else heatmap


def _positive(evidence: NDArray[np.float32]) -> NDArray[np.float32]:
    return scale_to_peak(np.maximum(evidence, 0.0))
