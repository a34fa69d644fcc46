"""Each architecture that can be trained becomes three graphs that agree with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import keras
import numpy as np
import onnx
import pytest

from edge_app.imaging.preprocess import to_square, to_tensor
from export.graph.graphs import build_graphs
from export.graph.split import split_model
from export.proof.drawn import draw_xray
from export.proof.parity import TOLERANCES, compare
from training.networks.architectures import BACKBONES, build_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

SIZE_PX = 96


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Let go of a network before the next one is built."""
    yield
    keras.utils.clear_session(free_memory=True)


def settled(architecture: str) -> keras.Model:
    """Return a network with random weights whose batch normalisation has seen pictures."""
    keras.utils.set_random_seed(0)
    model = build_model(architecture, SIZE_PX)
    evidence = model.get_layer("evidence")
    kernel, bias = evidence.get_weights()
    evidence.set_weights([np.random.default_rng(0).normal(0, 0.1, kernel.shape), bias])
    drawn = [to_square(draw_xray(seed), SIZE_PX) for seed in range(6)]
    # Pictures as different as these: among alike ones variances are tiny, and rounding counts for much.
    noise = np.random.default_rng(0).integers(0, 256, (6, SIZE_PX, SIZE_PX), np.uint8)
    pictures = to_tensor(np.stack([*drawn, *noise]))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # what it sees is what it keeps
    model(pictures, training=True)
    return model


@pytest.mark.parametrize("architecture", BACKBONES)
def test_network_is_exported_exactly(architecture: str) -> None:
    pair = split_model(settled(architecture))
    assert pair.layer == "features"
    graphs = build_graphs(pair)
    for difference in compare(pair, graphs):
        assert difference.value <= TOLERANCES[difference.tensor]
    operators = {
        name: Counter(node.op_type for node in onnx.load_model_from_string(graph).graph.node)
        for name, graph in graphs.items()
    }
    # Runtimes keep channels first, features are (N, h, w, C): that takes one, at the end.
    assert {name: found["Transpose"] for name, found in operators.items()} == {
        "features.onnx": 1,
        "classifier.onnx": 0,
        "model.onnx": 1,
    }
    assert not operators["features.onnx"].keys() & {"Shape", "Cast", "Gather", "Tile", "Slice", "Unsqueeze"}
