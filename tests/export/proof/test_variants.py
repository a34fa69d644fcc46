from __future__ import annotations

import logging
import resource
from dataclasses import replace

import numpy as np
import onnx
import pytest

from edge_app.errors import ExportError
from edge_app.imaging.preprocess import to_tensor
from edge_app.model.bundle import Graphs
from edge_app.model.golden import CanExplain
from edge_app.model.inference import open_session
from export.graph.graphs import build_graphs
from export.graph.split import split_model
from export.proof.gate import Figures
from export.proof.variants import make_int8, to_int8
from tests.networks import HEADS, SIZE_PX, network
from tests.toy import graphs_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

GOOD = Figures(8, 4, auroc=0.9, threshold=0.5, sensitivity=0.9, specificity=0.8, pointing_game=0.5)
BAD = Figures(8, 4, auroc=0.8, threshold=0.5, sensitivity=0.9, specificity=0.8, pointing_game=0.5)


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


@pytest.fixture(scope="module")
def pair_of_graphs(graphs: dict[str, bytes], squares: np.ndarray) -> tuple:
    features = graphs["features.onnx"]
    return features, to_int8(features, squares)


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


def test_variant_has_the_same_bytes_again(graphs: dict[str, bytes], squares: np.ndarray) -> None:
    features = graphs["features.onnx"]
    assert to_int8(features, squares) == to_int8(features, squares)


@pytest.fixture(scope="module")
def whole(graphs: dict[str, bytes]) -> Graphs:
    return graphs_of(graphs["features.onnx"], graphs["classifier.onnx"], SIZE_PX, grid=8)


def test_variant_that_passes_is_kept_with_its_figures(
    whole: Graphs, squares: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "export")
    variant = make_int8(whole, squares, Measured(GOOD, SIZE_PX))
    assert variant is not None
    assert (variant.file, variant.graphs.variant, variant.graphs.devices) == (
        "features.int8.onnx",
        "int8",
        ("cpu",),
    )
    assert variant.graphs.features == to_int8(whole.features, squares)
    assert (variant.figures, variant.reference) == (GOOD, GOOD)
    assert caplog.messages == [
        "int8: AUROC 0.9000, sensitivity 0.9000 and specificity 0.8000 at 0.5000, pointing game 0.5000; "
        "float32: AUROC 0.9000, sensitivity 0.9000 and specificity 0.8000 at 0.5000, pointing game 0.5000."
    ]


def test_variant_that_loses_too_much_is_left_out_and_says_so(
    whole: Graphs, squares: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    assert make_int8(whole, squares, Measured(BAD, SIZE_PX)) is None
    assert caplog.messages[0].startswith("int8: AUROC 0.8000, sensitivity 0.9000")
    assert caplog.messages[0].endswith(
        "It is left out: the most that it may lose is auroc 0.005, specificity 0.02, pointing_game 0.02."
    )


def test_variant_without_a_number_is_left_out_and_says_so(
    whole: Graphs, squares: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    silent = replace(whole, classifier=classifier_of_nothing(whole.classifier))
    assert make_int8(silent, squares, Measured(GOOD, SIZE_PX)) is None
    assert caplog.messages == [
        "int8 is left out: The model gave no number for this picture, so nothing was predicted."
    ]


def classifier_of_nothing(classifier: bytes) -> bytes:
    """Return a classifier whose weights are not numbers."""
    model = onnx.load_model_from_string(classifier)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = np.full_like(onnx.numpy_helper.to_array(tensor), np.nan)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return model.SerializeToString()


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
