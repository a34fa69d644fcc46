"""Keras against ONNX Runtime, number by number; no bundle is written unless they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edge_app.errors import ExportError
from edge_app.imaging.preprocess import to_square, to_tensor
from edge_app.model.bundle import CLASSIFIER, FEATURES, MODEL
from edge_app.model.gradcam import METHODS
from edge_app.model.inference import open_session
from export.graph.split import SplitModel
from export.proof.drawn import draw_xray

BATCH_SIZES = (1, 3)
TOLERANCES: Mapping[str, float] = {
    "logit": 1e-4,
    "probability": 1e-4,
    "whole model's probability": 1e-4,
    "gradient": 1e-5,
    "gradient by finite differences": 1e-5,
    "heat map": 1e-4,
}
_STEP = 1e-4  # in 64-bit: far above rounding, far below the distance to most corners of a head
_CORNER = 1e-3
_PLACES = 24

Tensors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Difference:
    """The largest difference of one tensor over all batches, where it was, and what it may be.

    A gradient's difference is a fraction of the gradient's largest value for the same picture and class;
    the others are absolute. `place` names the batch and the index in the tensor.
    """

    tensor: str
    value: float
    tolerance: float
    place: str

    @property
    def is_allowed(self) -> bool:
        """Whether the difference is within its tolerance; no number never is."""
        return self.value <= self.tolerance

    def is_worse_than(self, other: Difference) -> bool:
        """Whether the difference is larger than another one; no number is worse than any."""
        return self.value > other.value or np.isnan(self.value) > np.isnan(other.value)


def compare(
    model: SplitModel, graphs: Mapping[str, bytes], squares: NDArray[np.uint8] | None = None
) -> list[Difference]:
    """Run Keras and ONNX Runtime on drawn pictures, noise and X-rays, in batches of one and three.

    Logits, probabilities and heat maps, these by every method, are compared from image to result. The
    gradient is compared at the same features, with TensorFlow's own and with finite differences of the
    logit in 64-bit.

    Args:
        model: The Keras model, split.
        graphs: The ONNX graphs by file name.
        squares: X-rays, uint8 (N, S, S); the first three are used.

    Returns:
        One difference a tensor.

    Raises:
        ExportError: a difference exceeds its tolerance; the message tells which, where, and by how much.
    """
    runtime = _Runtime(graphs)
    worst: dict[str, Difference] = {}
    for name, images in _batches(model.features.input_shape[1], squares).items():
        received = runtime.outputs(images)
        errors = {
            **_errors(keras_outputs(model, images), received),
            "gradient": _gradient_errors(model, received),
            "gradient by finite differences": _slope_errors(model, received),
        }
        for tensor, error in errors.items():
            difference = _largest(tensor, error, name)
            if tensor not in worst or difference.is_worse_than(worst[tensor]):
                worst[tensor] = difference
    broken = [
        f"{each.tensor} differs by {each.value:.2g} at {each.place}, allowed is {each.tolerance:g}"
        for each in worst.values()
        if not each.is_allowed
    ]
    if broken:
        raise ExportError(f"ONNX Runtime disagrees with Keras: {'; '.join(broken)}. Nothing was written.")
    return list(worst.values())


def keras_outputs(model: SplitModel, images: NDArray[np.float32]) -> Tensors:
    """Compute everything from the images with Keras' own layers and TensorFlow's own gradients.

    Args:
        model: The Keras model, split.
        images: float32 (N, S, S, 1), 0..255.

    Returns:
        `features` (N, h, w, C), `logit` and `probability` (N, K), `gradient` (N, K, h, w, C).
    """
    features = model.features(images, training=False).numpy()
    logit, gradient = keras_head(model, features)
    probability = model.model(images, training=False).numpy()
    return {"features": features, "logit": logit, "probability": probability, "gradient": gradient}


def keras_head(
    model: SplitModel, features: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute logit and gradient of features with Keras' own layers and TensorFlow's own gradients.

    Args:
        model: The Keras model, split.
        features: float32 (N, h, w, C).

    Returns:
        The logit (N, K) and the gradient (N, K, h, w, C).
    """
    inputs = tf.constant(features)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        logit = model.head(inputs, training=False)
        logits = tf.unstack(logit, axis=1)
    gradient = tf.stack([tape.gradient(each, inputs) for each in logits], axis=1)
    return logit.numpy(), gradient.numpy()


class _Runtime:
    """The three graphs in ONNX Runtime on the CPU."""

    def __init__(self, graphs: Mapping[str, bytes]) -> None:
        self._features, self._classifier, self._model = (
            open_session(graphs[name]) for name in (FEATURES, CLASSIFIER, MODEL)
        )

    def outputs(self, images: NDArray[np.float32]) -> Tensors:
        """Compute what `keras_outputs` does, and the whole model's probability."""
        (features,) = self._features.run(["features"], {"image": images})
        logit, probability, gradient = self._classifier.run(
            ["logit", "probability", "gradient"], {"features": features}
        )
        (whole,) = self._model.run(["probability"], {"image": images})
        if gradient.ndim == 4:
            gradient = gradient[:, np.newaxis]
        return {
            "features": features,
            "logit": logit,
            "probability": probability,
            "gradient": gradient,
            "whole model's probability": whole,
        }


def _batches(size_px: int, squares: NDArray[np.uint8] | None) -> dict[str, NDArray[np.float32]]:
    largest = max(BATCH_SIZES)
    sources = {
        "drawn pictures": np.stack(
            [to_square(draw_xray(seed, fractured=seed == 0), size_px) for seed in range(largest)]
        ),
        "noise": np.random.default_rng(0).integers(0, 256, (largest, size_px, size_px), np.uint8),
    }
    if squares is not None and len(squares):
        sources["X-rays"] = squares
    return {
        f"{name}, batch of {size}": to_tensor(source[:size])
        for name, source in sources.items()
        for size in BATCH_SIZES
    }


def _errors(expected: Tensors, received: Tensors) -> dict[str, NDArray[np.float64]]:
    """Return the absolute differences of what both computed from the images."""
    expected = {**expected, "whole model's probability": expected["probability"]}
    names = ("logit", "probability", "whole model's probability")
    errors = {name: np.abs(expected[name].astype(np.float64) - received[name]) for name in names}
    errors["heat map"] = np.abs(_heatmaps(expected) - _heatmaps(received))
    return errors


def _gradient_errors(model: SplitModel, received: Tensors) -> NDArray[np.float64]:
    """Compare the gradient with TensorFlow's at the same features, as a share of its largest value."""
    expected = keras_head(model, received["features"])[1].astype(np.float64)
    return np.abs(expected - received["gradient"]) / _peak(expected, (2, 3, 4))


def _heatmaps(tensors: Tensors) -> NDArray[np.float64]:
    """Explain each picture by each method and for each class, (N, methods, K, h, w)."""
    return np.array(
        [
            [[method(features, gradient) for gradient in gradients] for method in METHODS.values()]
            for features, gradients in zip(tensors["features"], tensors["gradient"], strict=True)
        ],
        np.float64,
    )


def _slope_errors(model: SplitModel, received: Tensors) -> NDArray[np.float64]:
    """Compare the first picture's gradient with slopes of the logit, at its largest places and at others.

    Where the slopes before and behind a place differ, the head has a corner and no derivative.

    Returns:
        float64 (K, places), the differences as a share of the gradient's largest value; 0 at corners.
    """
    features, gradient = received["features"][0], received["gradient"][0].astype(np.float64)
    flat = gradient.reshape(model.classes, -1)
    places = np.random.default_rng(0).permutation(flat.shape[1])[:_PLACES]
    places = np.unique([*np.abs(flat).max(axis=0).argsort()[-_PLACES:], *places])
    moves = np.zeros((len(places), features.size))
    moves[np.arange(len(places)), places] = _STEP
    here = features.astype(np.float64).reshape(1, -1)
    behind, middle, before = (
        model.classify(tf.constant(moved.reshape(-1, *features.shape)))[0].numpy().T
        for moved in (here - moves, here, here + moves)
    )
    peak = _peak(gradient, (1, 2, 3)).reshape(-1, 1)
    is_corner = np.abs(before - 2 * middle + behind) / _STEP > _CORNER * peak
    if is_corner.all():
        raise ExportError("The head has no derivative at any place that was tried, so nothing was proven.")
    slopes = (before - behind) / (2 * _STEP)
    return np.where(is_corner, 0.0, np.abs(slopes - flat[:, places]) / peak)


def _peak(values: NDArray[np.float64], axes: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the largest magnitude over axes, kept; 1 where all is zero."""
    largest = np.abs(values).max(axis=axes, keepdims=True)
    return np.where(largest == 0, 1.0, largest)


def _largest(tensor: str, error: NDArray[np.float64], batch: str) -> Difference:
    index = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
    place = f"{[int(each) for each in index]} ({batch})"
    return Difference(tensor, float(error[index]), TOLERANCES[tensor], place)
