"""Every kind of head: its logit, probability and gradient against Keras, TensorFlow and slopes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from edge_app.errors import ExportError
from edge_app.model.inference import open_session
from export.graph.graphs import classifier_graph
from export.graph.split import split_model
from export.proof.parity import keras_outputs
from tests.networks import HEADS, Head, evidence, images, network

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

MODELS = {
    **{name: (head, 1, "sigmoid") for name, head in HEADS.items()},
    "softmax of three": (HEADS["relu"], 3, "softmax"),
    "softmax of evidence": (lambda: evidence(2), 2, "softmax"),
    "sigmoids of two": (HEADS["batch normalisation"], 2, "sigmoid"),
}
EVERY_HEAD = pytest.mark.parametrize(("head", "classes", "end"), MODELS.values(), ids=MODELS.keys())


@EVERY_HEAD
def test_exported_head_equals_keras_and_tensorflow(
    head: Callable[[], list[Head]], classes: int, end: str
) -> None:
    pair = split_model(network(head(), classes, end), "last_map")
    session = open_session(classifier_graph(pair))
    for count in (1, 3):
        expected = keras_outputs(pair, images(count))
        names = ["logit", "probability", "gradient"]
        received = session.run(names, {"features": expected["features"]})
        grid = (8, 8, 12)
        assert received[2].shape == ((count, *grid) if classes == 1 else (count, classes, *grid))
        np.testing.assert_allclose(received[0], expected["logit"], atol=1e-5)
        np.testing.assert_allclose(received[1], expected["probability"], atol=1e-6)
        gradient = expected["gradient"][:, 0] if classes == 1 else expected["gradient"]
        np.testing.assert_allclose(received[2], gradient, atol=2e-6 * np.abs(gradient).max())


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (layers.Dense(4, activation="gelu", name="fancy"), "'fancy' .Dense"),
        (layers.LayerNormalization(name="norm"), "'norm' .LayerNormalization"),
        (layers.Dense(4, activation="swish", name="smooth"), "'smooth' .Dense"),
        (layers.LeakyReLU(name="leaky"), "'leaky' .LeakyReLU"),
        (layers.ReLU(negative_slope=0.1, name="leaking"), "'leaking' .ReLU"),
        (layers.ReLU(max_value=6.0, name="capped"), "'capped' .ReLU"),
        (layers.ReLU(threshold=1.0, name="late"), "'late' .ReLU"),
        (layers.Activation("tanh", name="tanh"), "'tanh' .Activation"),
        (layers.Softmax(name="soft"), "'soft' .Softmax"),
        (lambda x: keras.ops.cumsum(x, axis=-1), "'cumsum' .Cumsum"),
    ],
)
def test_layer_without_an_exact_gradient_is_refused_by_name(layer: Head, name: str) -> None:
    with pytest.raises(ExportError, match=name):
        split_model(network([layers.GlobalAveragePooling2D(), layer]))


@pytest.mark.parametrize(
    "options",
    [{"kernel_size": 3}, {"strides": 2}, {"groups": 2}],
    ids=lambda options: next(iter(options)),
)
def test_convolution_of_another_kind_is_refused_by_name(options: dict[str, Any]) -> None:
    head = [layers.Conv2D(4, **{"kernel_size": 1, **options}, name="wide"), layers.GlobalAveragePooling2D()]
    with pytest.raises(ExportError, match=r"'wide' .Conv2D"):
        split_model(network(head), "last_map")
