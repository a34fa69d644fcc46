"""Keras against ONNX Runtime, number by number; no bundle is written unless they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edge_app.errors import ExportError
from edge_app.inference import open_session
from edge_app.preprocess import to_square, to_tensor
from export.drawn import draw_xray
from export.split import Pair

LOGIT_TOLERANCE = 1e-4
PROBABILITY_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-5
BATCH_SIZES = (1, 3)

Tensors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Difference:
    """The largest difference of one tensor over all batches, and what it may be.

    The gradient's difference is a fraction of its largest value in the same picture; the others are
    absolute.
    """

    tensor: str
    value: float
    tolerance: float


def compare(pair: Pair, features: bytes, classifier: bytes, model: bytes) -> list[Difference]:
    """Run Keras and ONNX Runtime on drawn pictures and on noise, in batches of one and three.

    Args:
        pair: The Keras model, split.
        features: The features graph.
        classifier: The classifier graph.
        model: The whole graph.

    Returns:
        One difference a tensor.

    Raises:
        ExportError: a difference exceeds its tolerance.
    """
    runtime = _Runtime(features, classifier, model)
    size_px = pair.features.input_shape[1]
    worst: dict[str, float] = {}
    for batch in _batches(size_px):
        differences = _differences(keras_outputs(pair, batch), runtime.outputs(batch))
        # numpy's maximum keeps a NaN, which must fail the check
        worst = {
            name: float(np.maximum(value, worst.get(name, 0.0))) for name, value in differences.items()
        }
    found = [Difference(name, value, _TOLERANCES[name]) for name, value in worst.items()]
    broken = [
        f"{difference.tensor} differs by {difference.value:.2g}, allowed is {difference.tolerance:g}"
        for difference in found
        if not difference.value <= difference.tolerance
    ]
    if broken:
        raise ExportError(f"ONNX Runtime disagrees with Keras: {'; '.join(broken)}. Nothing was written.")
    return found


def keras_outputs(pair: Pair, images: NDArray[np.float32]) -> Tensors:
    """Compute logit, probability and gradient with Keras' own layers and TensorFlow's own gradients.

    Args:
        pair: The Keras model, split.
        images: float32 (N, S, S, 1), 0..255.

    Returns:
        `logit` and `probability` (N, 1), `gradient` (N, h, w, C).
    """
    features = tf.convert_to_tensor(pair.features(images, training=False))
    with tf.GradientTape() as tape:
        tape.watch(features)
        logit = pair.head(features, training=False)
    gradient = tape.gradient(logit, features)
    tensors = {"logit": logit, "probability": tf.sigmoid(logit), "gradient": gradient}
    return {name: tensor.numpy() for name, tensor in tensors.items()}


class _Runtime:
    def __init__(self, features: bytes, classifier: bytes, model: bytes) -> None:
        self._features, self._classifier, self._model = (
            open_session(graph) for graph in (features, classifier, model)
        )

    def outputs(self, images: NDArray[np.float32]) -> Tensors:
        (features,) = self._features.run(["features"], {"image": images})
        names = ["logit", "probability", "gradient"]
        outputs = self._classifier.run(names, {"features": features})
        (whole,) = self._model.run(["probability"], {"image": images})
        return {**dict(zip(names, outputs, strict=True)), "whole model's probability": whole}


_TOLERANCES: Mapping[str, float] = {
    "logit": LOGIT_TOLERANCE,
    "probability": PROBABILITY_TOLERANCE,
    "gradient": GRADIENT_TOLERANCE,
    "whole model's probability": PROBABILITY_TOLERANCE,
}


def _batches(size_px: int) -> list[NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    drawn = [to_square(draw_xray(seed, fractured=seed == 0), size_px) for seed in range(max(BATCH_SIZES))]
    noise = generator.integers(0, 256, (max(BATCH_SIZES), size_px, size_px), np.uint8)
    return [to_tensor(np.asarray(source[:size])) for source in (drawn, noise) for size in BATCH_SIZES]


def _differences(expected: Tensors, received: Tensors) -> dict[str, float]:
    expected = {**expected, "whole model's probability": expected["probability"]}
    differences = {name: float(np.abs(expected[name] - value).max()) for name, value in received.items()}
    axes = (1, 2, 3)
    error = np.abs(expected["gradient"] - received["gradient"]).max(axis=axes)
    largest = np.abs(expected["gradient"]).max(axis=axes)
    differences["gradient"] = float((error / np.where(largest > 0, largest, 1)).max())
    return differences
