"""A model on a GPU that goes on with the CPU when the GPU fails at work."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edge_app.model.golden import CanExplain
from edge_app.model.inference import Explanation

logger = logging.getLogger(__name__)


class FallbackModel:
    """Explains with a model until that fails, and from then on with another; not safe to share.

    A GPU can be taken away, run out of memory or give no numbers. The picture that it fails at is explained
    by the other model, so no answer is lost, and `device` tells who answers.

    Args:
        model: The one that may fail.
        start_other: Starts the other, and proves with golden cases that it answers as it should.
    """

    def __init__(self, model: CanExplain, start_other: Callable[[], CanExplain]) -> None:
        self._model = model
        self._start_other: Callable[[], CanExplain] | None = start_other

    @property
    def device(self) -> str:
        """The device really in use, `cpu` or `cuda`."""
        return self._model.device

    def explain(self, tensor: NDArray[np.float32]) -> Explanation:
        """Explain one picture that is laid out for the model.

        Args:
            tensor: float32 (1, S, S, 1), 0..255.

        Returns:
            The explanation.

        Raises:
            ModelError: neither model gave a usable answer.
            BundleError: the other model does not answer as it should.
        """
        try:
            return self._model.explain(tensor)
        except Exception as error:  # onnxruntime's errors share no base class
            if self._start_other is None:
                raise
            logger.error("The device %s failed: %s. Going on with the CPU.", self._model.device, error)
        self._model, self._start_other = self._start_other(), None
        return self._model.explain(tensor)
