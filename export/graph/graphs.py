"""A split model to the three ONNX graphs of a bundle."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from edge_app.model.bundle import CLASSIFIER, FEATURES, MODEL
from export.graph.convert import to_bytes, to_onnx
from export.graph.grey import fold_input
from export.graph.split import SplitModel


def build_graphs(model: SplitModel) -> dict[str, bytes]:
    """Convert a split model.

    Args:
        model: The two halves.

    Returns:
        The graphs by file name: features, classifier, and the whole model, which consists of the same
        operations as the pair and gives the same probability.

    Raises:
        ExportError: something in the model cannot be converted.
    """
    image_shape = model.features.input_shape
    convertible = _with_resizing(model.features)

    def features(image: tf.Tensor) -> tf.Tensor:
        return convertible(image, training=False)

    def whole(image: tf.Tensor) -> tf.Tensor:
        return model.classify(features(image))[1]

    return {
        FEATURES: to_bytes(fold_input(to_onnx(features, "image", image_shape, ("features",)))),
        CLASSIFIER: classifier_graph(model),
        MODEL: to_bytes(fold_input(to_onnx(whole, "image", image_shape, ("probability",)))),
    }


def classifier_graph(model: SplitModel) -> bytes:
    """Convert a head with its gradient: features to logit, probability and gradient.

    Args:
        model: The two halves.

    Returns:
        The graph.

    Raises:
        ExportError: something in the head cannot be converted.
    """
    outputs = ("logit", "probability", "gradient")
    return to_bytes(to_onnx(model.explain, "features", model.features.output_shape, outputs))


class _Enlarged(layers.Layer):
    """Repeat rows and columns, as one ONNX operator; Keras' own way converts to two dozen."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self._size = (height, width)

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.ResizeNearestNeighbor(images=maps, size=self._size)


def _with_resizing(model: keras.Model) -> keras.Model:
    """Copy a model so that it enlarges maps with an operator that ONNX has."""

    def call(layer: layers.Layer, *inputs: Any, **options: Any) -> Any:
        if isinstance(layer, layers.UpSampling2D) and layer.interpolation == "nearest":
            _, height, width, _ = layer.compute_output_shape(inputs[0].shape)
            return _Enlarged(height, width)(*inputs)
        return layer(*inputs, **options)

    copied = keras.models.clone_model(model, call_function=call)
    copied.set_weights(model.get_weights())
    return copied
