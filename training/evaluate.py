"""Judge a trained model: scores, calibration, operating point, and how sure the figures are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge_app.errors import DataError
from edge_app.preprocess import to_picture, to_tensor
from training import metrics
from training.datasets import Box, Sample

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


def pointing_game(
    model: keras.Model,
    squares: NDArray[np.uint8],
    samples: Sequence[Sample],
    shapes: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> dict[str, Any]:
    """Measure how often the warmest place lies inside a fracture's box.

    The map is the evidence without its constant part, which is what Grad-CAM gives for this head: the
    mean gradient of a channel is its weight in the evidence, up to a common factor.

    Args:
        model: A model with a layer named `evidence`.
        squares: uint8 (N, S, S).
        samples: N samples; those without a box are passed over.
        shapes: int64 (N, 2), the pictures' heights and widths.
        groups: int64 (N,), for the bootstrap.

    Returns:
        A JSON object: the share with its 95 % interval, and how many samples were judged.

    Raises:
        DataError: no sample has a box.

    Source:
        Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016, section 4.1.
    """
    boxed = np.array([index for index, sample in enumerate(samples) if sample.boxes], np.int64)
    if not boxed.size:
        raise DataError("No validation X-ray has a fracture box, so the heat map cannot be judged.")
    layer = model.get_layer("evidence")
    to_evidence = keras.Model(model.input, layer.output)
    constant = layer.get_weights()[1].item()
    hits = []
    for index in boxed:
        evidence = to_evidence.predict_on_batch(to_tensor(squares[index : index + 1]))[0, :, :, 0]
        height, width = map(int, shapes[index])
        heatmap = to_picture(np.maximum(evidence - constant, 0), height, width, squares.shape[1])
        hits.append(points_inside(heatmap, samples[index].boxes))
    share = metrics.bootstrap(lambda drawn: float(np.mean(np.array(hits)[drawn])), groups[boxed])
    return {"samples": len(hits), **asdict(share)}


def points_inside(heatmap: NDArray[np.float32], boxes: Sequence[Box]) -> bool:
    """Tell whether a map's peak lies in a box.

    Args:
        heatmap: float32 (h, w) over the whole picture.
        boxes: Fractions of the picture.

    Returns:
        True when it does; False also for an empty map.
    """
    if not heatmap.any():
        return False
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    y, x = (row + 0.5) / heatmap.shape[0], (column + 0.5) / heatmap.shape[1]
    return any(b.x <= x <= b.x + b.width and b.y <= y <= b.y + b.height for b in boxes)


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
