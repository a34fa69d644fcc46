"""Judge a trained model: scores, calibration, operating point, and how sure the figures are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge_app.errors import DataError
from edge_app.preprocess import to_tensor
from training import metrics

TARGET_SENSITIVITY = 0.90
_BATCH = 32


class LogitModel:
    """A model up to its layer `logit`.

    Args:
        model: A model with a layer of that name.
    """

    def __init__(self, model: keras.Model) -> None:
        self._to_logit = keras.Model(model.input, model.get_layer("logit").output)

    def __call__(self, squares: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Compute the logits.

        Args:
            squares: uint8 (N, S, S).

        Returns:
            float64 (N,).

        Raises:
            DataError: a logit is not a number, since the training diverged.
        """
        batches = (squares[start : start + _BATCH] for start in range(0, len(squares), _BATCH))
        logits = [self._to_logit.predict_on_batch(to_tensor(batch)) for batch in batches]
        values = np.concatenate(logits)[:, 0].astype(np.float64)
        if not np.isfinite(values).all():
            raise DataError("The training diverged: the model gives no numbers. Lower --learning_rate.")
        return values


def fold_calibration(model: keras.Model, calibration: metrics.Calibration) -> None:
    """Scale and shift a model's logit for good, so that its probability is the calibrated one."""
    kernel, bias = model.get_layer("logit").get_weights()
    model.get_layer("logit").set_weights(
        [kernel * calibration.slope, bias * calibration.slope + calibration.intercept]
    )


def evaluate_scores(
    labels: NDArray[np.float32], probabilities: NDArray[np.float64], groups: NDArray[np.int64]
) -> dict[str, Any]:
    """Measure calibrated probabilities and choose the operating threshold.

    Args:
        labels: float32 (N,), 0 or 1.
        probabilities: float64 (N,), 0..1.
        groups: int64 (N,), for the bootstrap.

    Returns:
        A JSON object: counts, AUROC, and the operating point with its sensitivity and specificity,
        each with a 95 % interval.
    """
    threshold = metrics.choose_threshold(labels, probabilities, TARGET_SENSITIVITY)

    def measured(measure: metrics.Measure) -> dict[str, float]:
        return asdict(metrics.estimate(measure, labels, probabilities, groups))

    return {
        "samples": len(labels),
        "fractured": int(labels.sum()),
        "groups": len(np.unique(groups)),
        "auroc": measured(metrics.auroc),
        "operating_point": {
            "target_sensitivity": TARGET_SENSITIVITY,
            "threshold": threshold,
            "sensitivity": measured(metrics.sensitivity_at(threshold)),
            "specificity": measured(metrics.specificity_at(threshold)),
        },
    }
