"""A Keras model cut in two: features, and a classifier whose gradient is made of ONNX operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from edge_app.errors import ExportError

Step = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Pair:
    """A model cut at its last feature map.

    `features` goes from image (N, S, S, 1) to features (N, h, w, C); `head` from features to the logit
    (N, 1), as Keras computes it; `steps` is the same head in operations whose gradients ONNX knows.
    """

    features: keras.Model
    head: keras.Model
    steps: tuple[Step, ...]

    def classify(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Compute logit (N, 1), probability (N, 1), and d logit / d features (N, h, w, C)."""
        with tf.GradientTape() as tape:
            tape.watch(features)
            logit = features
            for step in self.steps:
                logit = step(logit)
        return logit, tf.sigmoid(logit), tape.gradient(logit, features)


def split_model(model: keras.Model) -> Pair:
    """Cut a model where its last feature map is, and make the head's gradient exportable.

    TensorFlow's own gradients of pooling and ReLU are not ONNX operators, so these steps carry
    gradients of their own, equal to TensorFlow's. A layer without such a step is refused: a wrong
    gradient would give a wrong heat map that looks right.

    Args:
        model: A flat functional model that ends in a sigmoid over one logit.

    Returns:
        The two halves.

    Raises:
        ExportError: the model has no feature map, another end, or a head layer that is not supported.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1 or model.output_shape[1:] != (1,):
        raise ExportError(
            f"Expected one image in and one probability out, found {len(model.inputs)} inputs and an "
            f"output of shape {model.output_shape}."
        )
    cut = _last_feature_map(model)
    *head, last = model.operations[model.operations.index(cut) + 1 :]
    if not (isinstance(last, layers.Activation) and last.activation is keras.activations.sigmoid):
        raise ExportError(f"Expected a sigmoid Activation as the last layer, found {_called(last)}.")
    _check_chain([cut, *head, last])
    features = keras.Model(model.input, cut.output, name="features")
    logit = keras.Model(cut.output, last.input, name="head")
    return Pair(features, logit, tuple(_exportable(step) for step in head))


def _last_feature_map(model: keras.Model) -> keras.Operation:
    maps = [
        layer
        for layer in model.layers[1:]
        if len(layer.output.shape) == 4
        and layer.output.shape[-1] > 1
        and not isinstance(layer, layers.Dropout)
    ]
    if not maps:
        raise ExportError("The model has no layer with a feature map (N, h, w, C) to explain.")
    return maps[-1]


def _check_chain(chain: list[keras.Operation]) -> None:
    for before, step in pairwise(chain):
        if step.input is not before.output:
            raise ExportError(
                f"The head must be a chain of layers, but {_called(step)} does not take its input from "
                f"{_called(before)} alone."
            )


def _exportable(step: keras.Operation) -> Step:
    if isinstance(step, layers.Dropout):
        return tf.identity
    if isinstance(step, layers.GlobalAveragePooling2D) and not step.keepdims:
        return global_average
    if type(step).__name__ == "Logsumexp" and (list(step.axis), step.keepdims) == ([1, 2], False):
        return log_sum_exp
    if isinstance(step, layers.ReLU) and _is_plain(step):
        return relu
    if isinstance(step, layers.Activation) and step.activation is keras.activations.relu:
        return relu
    if isinstance(step, layers.Dense) and step.activation is keras.activations.linear:
        return _dense(*step.get_weights())
    if isinstance(step, layers.Conv2D) and _is_pointwise(step):
        kernel, *bias = step.get_weights()
        return _dense(kernel[0, 0], *bias)
    raise ExportError(
        f"The head holds {_called(step)}, for which no exact gradient can be exported. Supported are "
        "GlobalAveragePooling2D, logsumexp over rows and columns, Dense and 1 x 1 Conv2D with linear "
        "activation, ReLU and Dropout."
    )


def _is_pointwise(layer: layers.Conv2D) -> bool:
    plain = layer.kernel_size == layer.strides == layer.dilation_rate == (1, 1) and layer.groups == 1
    return plain and layer.activation is keras.activations.linear


def _is_plain(layer: layers.ReLU) -> bool:
    return layer.max_value is None and not layer.negative_slope and not layer.threshold


@tf.custom_gradient
def global_average(features: tf.Tensor) -> tuple[tf.Tensor, Step]:
    """Average over rows and columns, (N, h, w, C) to (N, C); each place gets an equal share back."""
    _, height, width, _ = features.shape

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        share = upstream[:, tf.newaxis, tf.newaxis, :] / (height * width)
        return tf.tile(share, [1, height, width, 1])

    return tf.reduce_mean(features, axis=[1, 2]), gradient


@tf.custom_gradient
def relu(values: tf.Tensor) -> tuple[tf.Tensor, Step]:
    """Keep what is positive; the gradient passes where it was."""
    result = tf.nn.relu(values)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return upstream * tf.cast(result > 0, upstream.dtype)

    return result, gradient


@tf.custom_gradient
def log_sum_exp(values: tf.Tensor) -> tuple[tf.Tensor, Step]:
    """Pool (N, h, w, C) to (N, C) by the logarithm of summed exponentials; its gradient is their share."""
    largest = tf.reduce_max(values, axis=[1, 2], keepdims=True)
    exponentials = tf.exp(values - largest)
    total = tf.reduce_sum(exponentials, axis=[1, 2], keepdims=True)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return upstream[:, tf.newaxis, tf.newaxis, :] * exponentials / total

    return tf.squeeze(tf.math.log(total) + largest, axis=[1, 2]), gradient


def _dense(kernel: NDArray[np.float32], bias: NDArray[np.float32] | None = None) -> Step:
    """Make a step that multiplies the last axis; kept as numpy arrays, weights become constants."""

    @tf.custom_gradient
    def dense(values: tf.Tensor) -> tuple[tf.Tensor, Step]:
        product = tf.linalg.matmul(values, kernel)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return tf.linalg.matmul(upstream, kernel.T)

        return product if bias is None else tf.add(product, bias), gradient

    return dense


def _called(step: keras.Operation) -> str:
    return f"the layer {step.name!r} ({type(step).__name__})"
