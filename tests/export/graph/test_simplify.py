from __future__ import annotations

from collections import Counter

import keras
import numpy as np
import onnx
import pytest
from keras import layers

from edge_app.model.inference import open_session
from export.graph.convert import to_bytes
from tests.export.graph.test_grey import converted
from tests.networks import images, shaken

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SIZE_PX = 16


def operators(model: keras.Model) -> Counter[str]:
    """Convert a network, see that it computes the same, and return its operators."""
    graph = to_bytes(converted(model))
    given = images(2, SIZE_PX)
    expected = model(given).numpy()
    (received,) = open_session(graph).run(["maps"], {"image": given})
    np.testing.assert_allclose(received, expected, atol=2e-6 * np.abs(expected).max())
    return Counter(node.op_type for node in onnx.load_model_from_string(graph).graph.node)


def test_batch_normalisation_after_a_convolution_is_folded_into_it() -> None:
    image = layers.Input((SIZE_PX, SIZE_PX, 1))
    x = layers.DepthwiseConv2D(3, depth_multiplier=4)(image)
    found = operators(shaken(keras.Model(image, layers.BatchNormalization()(x))))
    assert not found.keys() & {"Mul", "Add", "BatchNormalization"}


def test_batch_normalisation_before_a_convolution_is_one_operator() -> None:
    image = layers.Input((SIZE_PX, SIZE_PX, 1))
    x = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, activation="relu")(image))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    found = operators(shaken(keras.Model(image, layers.Conv2D(2, 3)(x))))
    assert found["BatchNormalization"] == 1
    assert not found.keys() & {"Mul", "Add"}


def test_scale_without_a_shift_is_one_operator() -> None:
    image = layers.Input((SIZE_PX, SIZE_PX, 1))
    x = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, activation="relu")(image))
    found = operators(
        keras.Model(image, layers.Conv2D(2, 3)(x * np.array([1.0, 2.0, 3.0, 4.0], np.float32)))
    )
    assert found["BatchNormalization"] == 1
    assert not found["Mul"]


def test_scaled_map_that_is_used_twice_keeps_its_value() -> None:
    image = layers.Input((SIZE_PX, SIZE_PX, 1))
    x = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, activation="relu")(image))
    scaled = x * np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    shifted = scaled + np.array([4.0, 3.0, 2.0, 1.0], np.float32)
    operators(keras.Model(image, layers.Concatenate()([scaled, shifted])))
