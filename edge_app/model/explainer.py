"""A model's tensor to an answer with its heat map: the fast path, without decoding."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.model.bundle import Bundle
from edge_app.model.gradcam import METHODS
from edge_app.model.inference import ModelPair


class Explanation(NamedTuple):
    """What the model says of one picture, and why.

    `logit` is any number, `probability` 0..1. `heatmap` is float32 (h, w) in 0..1 over the model's square,
    with its peak at 1; all zero when no evidence is positive.
    """

    logit: float
    probability: float
    heatmap: NDArray[np.float32]


class Explainer:
    """A model pair and the manifest's method.

    Args:
        bundle: A verified bundle.
        device: `cpu`, `cuda` or `auto`.
        threads: CPU threads; 0 takes one for each core.

    Raises:
        BundleError: the graphs cannot be loaded or do not have the tensors they should.
        DeviceError: the device cannot be used.
    """

    def __init__(self, bundle: Bundle, device: str = "auto", threads: int = 0) -> None:
        self._model = ModelPair(bundle, device, threads)
        self._method = METHODS[bundle.manifest.method]

    @property
    def device(self) -> str:
        """The device really in use, `cpu` or `cuda`."""
        return self._model.device

    def explain(self, tensor: NDArray[np.float32]) -> Explanation:
        """Judge one picture and show where the evidence lies.

        Args:
            tensor: float32 (1, S, S, 1), 0..255.

        Returns:
            The answer.

        Raises:
            ModelError: the model gave no usable answer.
        """
        logit, probability, features, gradient = self._model.judge(tensor)
        return Explanation(logit, probability, self._method(features, gradient))
