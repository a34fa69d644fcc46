"""A Keras model cut in two: features, and a classifier whose gradient is made of ONNX operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import keras
import tensorflow as tf
from keras import layers

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
    *head_layers, last = model.layers[model.layers.index(cut) + 1 :]
    if not (isinstance(last, layers.Activation) and last.activation is keras.activations.sigmoid):
        raise ExportError(f"Expected a sigmoid Activation as the last layer, found {_called(last)}.")
    _check_chain([cut, *head_layers, last])
    features = keras.Model(model.input, cut.output, name="features")
    head = keras.Model(cut.output, last.input, name="head")
    return Pair(features, head, tuple(_exportable(layer) for layer in head_layers))


def _last_feature_map(model: keras.Model) -> keras.Layer:
    maps = [layer for layer in model.layers[1:] if len(layer.output.shape) == 4]
    if not maps:
        raise ExportError("The model has no layer with a feature map (N, h, w, C) to explain.")
    return maps[-1]


def _check_chain(chain: list[keras.Layer]) -> None:
    for before, layer in pairwise(chain):
        if layer.input is not before.output:
            raise ExportError(
                f"The head must be a chain of layers, but {_called(layer)} does not take its input from "
                f"{_called(before)} alone."
            )


def _exportable(layer: keras.Layer) -> Step:
    if isinstance(layer, layers.Dropout):
        return tf.identity
    if isinstance(layer, layers.GlobalAveragePooling2D) and not layer.keepdims:
        return global_average
    if isinstance(layer, layers.ReLU) and _is_plain(layer):
        return relu
    if isinstance(layer, layers.Activation) and layer.activation is keras.activations.relu:
        return relu
    if isinstance(layer, layers.Dense) and layer.activation is keras.activations.linear:
        return _dense(layer)
    raise ExportError(
        f"The head holds {_called(layer)}, for which no exact gradient can be exported. Supported are "
        "GlobalAveragePooling2D, Dense with linear activation, ReLU and Dropout."
    )


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


def _dense(layer: layers.Dense) -> Step:
    # As numpy arrays they become constants of the graph; as tensors they would become its inputs.
    kernel, *bias = layer.get_weights()

    def dense(values: tf.Tensor) -> tf.Tensor:
        product = tf.linalg.matmul(values, kernel)
        return tf.add(product, bias[0]) if bias else product

    return dense


def _called(layer: keras.Layer) -> str:
    return f"the layer {layer.name!r} ({type(layer).__name__})"
