from __future__ import annotations

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers
from onnx import numpy_helper

from edge_app.model.inference import open_session
from export.graph.convert import to_bytes, to_onnx
from export.graph.grey import fold_input
from tests.networks import images

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SIZE_PX = 16
ALIKE = ([1 / 128] * 3, [-127 / 128] * 3)
IMAGENET = ([1 / 58.395, 1 / 57.12, 1 / 57.375], [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225])


def converted(model: keras.Model) -> onnx.ModelProto:
    def run(image: tf.Tensor) -> tf.Tensor:
        return model(image, training=False)

    return to_onnx(run, "image", model.input_shape, ("maps",))


def colour_network(scaling: tuple[list[float], list[float]], padded: bool = False) -> keras.Model:
    """Return a network that repeats grey as three colours, scales each, and convolves."""
    keras.utils.set_random_seed(3)
    image = layers.Input((SIZE_PX, SIZE_PX, 1))
    x = layers.Rescaling(*scaling)(layers.Concatenate()([image] * 3))
    if padded:
        x = layers.ZeroPadding2D(3)(x)
    maps = layers.Conv2D(5, 7, 2, "valid" if padded else "same")(x)
    return keras.Model(image, maps)


def assert_same_result(model: keras.Model, folded: onnx.ModelProto) -> None:
    given = images(2, model.input_shape[1])
    expected = model(given).numpy()
    (received,) = open_session(to_bytes(folded)).run(["maps"], {"image": given})
    np.testing.assert_allclose(received, expected, atol=2e-6 * np.abs(expected).max())


def kernel_shape(model: onnx.ModelProto) -> tuple[int, ...]:
    convolution = next(node for node in model.graph.node if node.op_type == "Conv")
    (kernel,) = (tensor for tensor in model.graph.initializer if tensor.name == convolution.input[1])
    return numpy_helper.to_array(kernel).shape


def before_convolution(model: onnx.ModelProto) -> list[str]:
    operators = [node.op_type for node in model.graph.node]
    return operators[: operators.index("Conv")]


@pytest.mark.parametrize("padded", [False, True])
def test_three_channels_with_the_same_zero_become_one(padded: bool) -> None:
    model = colour_network(ALIKE, padded)
    folded = fold_input(converted(model))
    assert kernel_shape(folded) == (5, 1, 7, 7)
    assert before_convolution(folded) == ["Reshape", "Sub"]
    assert_same_result(model, folded)


@pytest.mark.parametrize("padded", [False, True])
def test_three_channels_with_zeros_of_their_own_become_two(padded: bool) -> None:
    model = colour_network(IMAGENET, padded)
    folded = fold_input(converted(model))
    assert kernel_shape(folded) == (5, 2, 7, 7)
    assert before_convolution(folded) == ["Reshape", "Sub", "Mul", "Add", "Concat"]
    assert_same_result(model, folded)


def test_grey_network_loses_its_scaling_only() -> None:
    image = layers.Input((SIZE_PX, SIZE_PX, 1))
    model = keras.Model(image, layers.Conv2D(2, 3, padding="same")(layers.Rescaling(1 / 255)(image)))
    folded = fold_input(converted(model))
    assert kernel_shape(folded) == (2, 1, 3, 3)
    assert_same_result(model, folded)


def test_more_than_a_scaling_is_left_alone() -> None:
    image = layers.Input((SIZE_PX, SIZE_PX, 1))
    smoothed = layers.AveragePooling2D(3, 1, "same")(image)
    model = keras.Model(image, layers.Conv2D(2, 3)(smoothed))
    graph = converted(model)
    assert fold_input(graph) is graph


def test_scaling_that_is_no_straight_line_is_left_alone() -> None:
    image = layers.Input((SIZE_PX, SIZE_PX, 1))
    model = keras.Model(image, layers.Conv2D(2, 3)(keras.ops.sqrt(image)))
    graph = converted(model)
    assert fold_input(graph) is graph


def test_network_without_a_convolution_is_left_alone() -> None:
    image = layers.Input((SIZE_PX, SIZE_PX, 1))
    graph = converted(keras.Model(image, layers.AveragePooling2D(2)(image)))
    assert fold_input(graph) is graph
