from __future__ import annotations

import logging
import resource

import numpy as np
import onnx
import pytest

from edge_app.errors import ExportError
from edge_app.imaging.preprocess import to_tensor
from edge_app.model.golden import CanExplain
from edge_app.model.inference import ModelPair, open_session
from export.graph.graphs import build_graphs
from export.graph.split import split_model
from export.proof.gate import Figures
from export.proof.variants import make_variants, to_float16, to_int8
from tests.networks import HEADS, SIZE_PX, network
from tests.toy import classifier_graph, features_graph, graphs_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

GOOD = Figures(samples=8, fractured=4, auroc=0.9, sensitivity=0.9, specificity=0.8, pointing_game=0.5)
BAD = Figures(samples=8, fractured=4, auroc=0.8, sensitivity=0.9, specificity=0.8, pointing_game=0.5)


class Measured:
    """A gate that has measured already; it runs what it is given once."""

    reference = GOOD

    def __init__(self, figures: Figures, size_px: int) -> None:
        self._figures = figures
        self._square = np.full((size_px, size_px), 255, np.uint8)

    def measure(self, model: CanExplain, name: str) -> Figures:
        model.explain(to_tensor(self._square[np.newaxis]))
        return self._figures

    def admits(self, figures: Figures) -> bool:
        return figures == GOOD


@pytest.fixture(scope="module")
def graphs() -> dict[str, bytes]:
    return build_graphs(split_model(network(HEADS["average"]())))


@pytest.fixture(scope="module")
def squares() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, SIZE_PX, SIZE_PX), np.uint8)


@pytest.fixture(scope="module", params=["int8", "float16"])
def pair_of_graphs(request: pytest.FixtureRequest, graphs: dict[str, bytes], squares: np.ndarray) -> tuple:
    features = graphs["features.onnx"]
    smaller = to_int8(features, squares) if request.param == "int8" else to_float16(features)
    return features, smaller


def operators(graph: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_model_from_string(graph).graph.node]


def test_variant_gives_nearly_the_same_features_in_32_bit(
    pair_of_graphs: tuple, squares: np.ndarray
) -> None:
    image = squares[:3, ..., np.newaxis].astype(np.float32)
    expected, found = (
        open_session(graph).run(["features"], {"image": image})[0] for graph in pair_of_graphs
    )
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < 0.05 * expected.max()


def test_variant_is_standard_onnx_of_one_file_and_smaller(pair_of_graphs: tuple) -> None:
    features, smaller = pair_of_graphs
    model = onnx.load_model_from_string(smaller)
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    assert {node.domain for node in model.graph.node} == {""}
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert len(smaller) < len(features) + 4000


def test_int8_weights_are_quantised_by_channel(graphs: dict[str, bytes], squares: np.ndarray) -> None:
    graph = onnx.load_model_from_string(to_int8(graphs["features.onnx"], squares)).graph
    kernels = [tensor for tensor in graph.initializer if len(tensor.dims) == 4]
    assert {tensor.data_type for tensor in kernels} == {onnx.TensorProto.INT8}
    stored = {tensor.name: tensor for tensor in graph.initializer}
    unpacked = {node.input[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    for kernel in kernels:
        scales = stored[unpacked[kernel.name].input[1]]
        assert list(scales.dims) == [kernel.dims[0]]


def test_float16_holds_its_weights_in_float16(graphs: dict[str, bytes]) -> None:
    graph = onnx.load_model_from_string(to_float16(graphs["features.onnx"])).graph
    kernels = [tensor for tensor in graph.initializer if len(tensor.dims) == 4]
    assert {tensor.data_type for tensor in kernels} == {onnx.TensorProto.FLOAT16}


def test_variants_have_the_same_bytes_again(graphs: dict[str, bytes], squares: np.ndarray) -> None:
    features = graphs["features.onnx"]
    assert to_int8(features, squares) == to_int8(features, squares)
    assert to_float16(features) == to_float16(features)


def make(
    figures: Figures, names: list[str], graphs: dict[str, bytes], squares: np.ndarray, grid: int = 8
) -> dict:
    size_px = squares.shape[1]

    def open_model(features: bytes) -> ModelPair:
        return ModelPair(graphs_of(features, graphs["classifier.onnx"], size_px, grid), "cpu")

    gate = Measured(figures, size_px)
    return make_variants(names, graphs["features.onnx"], squares, open_model, gate)


def test_variants_that_pass_are_kept_with_their_figures(
    graphs: dict[str, bytes], squares: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "export")
    found = make(GOOD, ["int8", "float16"], graphs, squares)
    assert {name: (each.file, each.devices) for name, each in found.items()} == {
        "int8": ("features.int8.onnx", ("cpu",)),
        "float16": ("features.fp16.onnx", ("cuda",)),
    }
    assert all((each.figures, each.reference) == (GOOD, GOOD) for each in found.values())
    assert (
        "int8: AUROC 0.9000, pointing game 0.5000; float32: AUROC 0.9000, pointing game 0.5000."
        in caplog.messages
    )


def test_variant_that_loses_too_much_is_left_out_and_says_so(
    graphs: dict[str, bytes], squares: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    assert make(BAD, ["float16"], graphs, squares) == {}
    assert caplog.messages == [
        "float16: AUROC 0.8000, pointing game 0.5000; float32: AUROC 0.9000, pointing game 0.5000. "
        "It is left out: AUROC may fall by 0.005, the pointing game by 0.02."
    ]


def test_variant_that_overflows_is_left_out_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    # White over 1e-3 is 255000, which is more than a 16-bit number can be.
    large = {"features.onnx": features_graph(white=1e-3), "classifier.onnx": classifier_graph()}
    assert make(GOOD, ["float16"], large, np.zeros((1, 32, 32), np.uint8), grid=16) == {}
    assert caplog.messages == [
        "float16 is left out: The model gave no number for this picture, so nothing was predicted."
    ]


def test_full_disk_is_told(graphs: dict[str, bytes], squares: np.ndarray) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # the kernel refuses larger files
    try:
        with pytest.raises(
            ExportError, match="temporary files of int8 could not be written: File too large"
        ):
            to_int8(graphs["features.onnx"], squares)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
