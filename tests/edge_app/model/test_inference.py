from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.compose
import pytest

from edge_app.errors import BundleError, DeviceError, ModelError
from edge_app.model.bundle import load_bundle
from edge_app.model.inference import ModelPair, open_session
from tests import toy


@pytest.fixture
def pair(toy_bundle: Path) -> ModelPair:
    return ModelPair(load_bundle(toy_bundle).graphs, device="cpu")


def test_toy_model_gives_the_values_worked_out_by_hand(pair: ModelPair) -> None:
    explanation = pair.explain(white())
    assert explanation.logit == pytest.approx(4.0)
    assert explanation.probability == pytest.approx(1 / (1 + np.exp(-4)))
    assert explanation.features.shape == (16, 16, 2)
    np.testing.assert_allclose(explanation.gradient[..., 0], 4 / 256)
    np.testing.assert_allclose(explanation.gradient[..., 1], -2 / 256)
    np.testing.assert_array_equal(explanation.heatmap, np.ones((16, 16)))


def test_auto_is_the_cpu_where_there_is_no_nvidia_driver(toy_bundle: Path) -> None:
    if Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi"):
        pytest.skip("an NVIDIA driver is here")
    assert ModelPair(load_bundle(toy_bundle).graphs, device="auto").device == "cpu"


def test_cuda_that_cannot_be_used_is_refused_not_replaced(toy_bundle: Path) -> None:
    if has_cuda(toy_bundle):
        pytest.skip("CUDA works here")
    with pytest.raises(DeviceError, match="--device cpu"):
        ModelPair(load_bundle(toy_bundle).graphs, device="cuda")


def test_broken_graph_is_not_blamed_on_cuda(toy_bundle: Path) -> None:
    graphs = load_bundle(toy_bundle).graphs
    with pytest.raises(BundleError, match="no ONNX file"):
        ModelPair(replace(graphs, features=b"not a graph"), device="cuda")
    with pytest.raises(BundleError, match="do not run"):
        ModelPair(replace(graphs, features=graphs.classifier), device="cuda")
    without_number = toy.classifier_graph(np.full((2, 1), np.nan, "f4"))
    with pytest.raises(ModelError, match="gave no number"):
        ModelPair(replace(graphs, classifier=without_number), device="cuda")


def test_variant_that_is_not_for_the_device_is_refused(tmp_path: Path) -> None:
    graphs = load_bundle(toy.write_two_variants(tmp_path), "int8").graphs
    assert ModelPair(graphs, device="auto").device == "cpu"
    with pytest.raises(DeviceError, match=r"int8 is for cpu, not for cuda.*edge_app\.choose"):
        ModelPair(graphs, device="cuda")


def test_finding_of_several_classes_has_its_own_logit_and_gradient(tmp_path: Path) -> None:
    weights = np.array([[1.0, 4.0], [3.0, -2.0]], np.float32)
    toy.write_toy_bundle(
        tmp_path,
        {"classifier.onnx": toy.classifier_graph(weights)},
        classes=["normal", "fracture"],
    )
    explanation = ModelPair(load_bundle(tmp_path).graphs, device="cpu").explain(white())
    # white: features (1, 0), so the logits are 1 and 4; softmax of (1, 4)
    assert explanation.logit == pytest.approx(4.0)
    assert explanation.probability == pytest.approx(1 / (1 + np.exp(1 - 4)))
    assert explanation.gradient.shape == (16, 16, 2)
    np.testing.assert_allclose(explanation.gradient[..., 0], 4 / 256)
    np.testing.assert_allclose(explanation.gradient[..., 1], -2 / 256)


def test_only_the_class_that_is_asked_about_is_shown(tmp_path: Path) -> None:
    # Logits of a white picture: 1 for the first class, -3 for the second.
    weights = np.array([[1, -3], [0, 0]], np.float32)
    classifier = {"classifier.onnx": toy.classifier_graph(weights)}
    toy.write_toy_bundle(tmp_path, classifier, classes=["normal", "fracture"])
    graphs = load_bundle(tmp_path).graphs
    second = ModelPair(graphs, device="cpu").explain(white())
    first = ModelPair(replace(graphs, finding_index=0), device="cpu").explain(white())
    assert first.probability == pytest.approx(1 / (1 + np.exp(-4)))
    assert second.probability == pytest.approx(1 / (1 + np.exp(4)), abs=1e-6)
    np.testing.assert_array_equal(first.heatmap, np.ones((16, 16)))
    np.testing.assert_array_equal(second.heatmap, np.zeros((16, 16)))


def test_tensors_have_the_names_that_the_manifest_tells(tmp_path: Path) -> None:
    graphs = {"features.onnx": toy.features_graph(), "classifier.onnx": toy.classifier_graph()}
    renamed = {name: with_prefix(graph, "my_") for name, graph in graphs.items()}
    tensors = {role: f"my_{name}" for role, name in toy.manifest()["tensors"].items()}
    toy.write_toy_bundle(tmp_path, renamed, tensors=tensors)
    assert ModelPair(load_bundle(tmp_path).graphs, device="cpu").explain(white()).logit == pytest.approx(
        4.0
    )


def test_other_grid_than_the_manifest_tells_is_refused(tmp_path: Path) -> None:
    toy.write_toy_bundle(tmp_path, heatmap={"method": "grad-cam", "grid": [8, 16]}, golden=[])
    with pytest.raises(BundleError, match=r"grid \(8, 16\)"):
        ModelPair(load_bundle(tmp_path).graphs, device="cpu")


def test_swapped_graphs_are_refused(toy_bundle: Path) -> None:
    graphs = load_bundle(toy_bundle).graphs
    swapped = replace(graphs, features=graphs.classifier, classifier=graphs.features)
    with pytest.raises(BundleError, match="do not run"):
        ModelPair(swapped, device="cpu")


def test_model_without_a_number_is_refused(toy_bundle: Path) -> None:
    graphs = load_bundle(toy_bundle).graphs
    broken = replace(graphs, classifier=toy.classifier_graph(np.full((2, 1), np.nan, "f4")))
    with pytest.raises(ModelError, match="gave no number"):
        ModelPair(broken, device="cpu")


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
def test_picture_that_gives_no_number_is_refused(pair: ModelPair, nothing: float) -> None:
    tensor = white()
    tensor[0, 3, 5, 0] = nothing
    with pytest.raises(ModelError, match="gave no number"):
        pair.explain(tensor)
    assert pair.explain(white()).logit == pytest.approx(4.0)


def test_operators_that_are_not_onnx_own_are_refused() -> None:
    graph = onnx.load_model_from_string(toy.features_graph())
    graph.graph.node[0].domain = "com.microsoft"
    with pytest.raises(BundleError, match=r"com\.microsoft"):
        open_session(graph.SerializeToString())


def test_tensors_in_other_files_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = onnx.load_model_from_string(toy.classifier_graph())
    (weights,) = (tensor for tensor in graph.graph.initializer if tensor.name == "weights")
    (tmp_path / "w.bin").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="w.bin")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match="data in another file"):
        open_session(graph.SerializeToString())


def test_gradient_equals_finite_differences(toy_bundle: Path) -> None:
    session = open_session(toy.classifier_graph())
    features = np.random.default_rng(0).random((1, 16, 16, 2), np.float32)
    (gradient,) = session.run(["gradient"], {"features": features})
    for place in [(0, 0, 0, 0), (0, 7, 3, 1), (0, 15, 15, 0)]:
        higher, lower = features.copy(), features.copy()
        higher[place] += 1
        lower[place] -= 1
        (above,), (below,) = (session.run(["logit"], {"features": f}) for f in (higher, lower))
        assert (above - below).item() / 2 == pytest.approx(gradient[place], abs=1e-6)


def has_cuda(bundle_dir: Path) -> bool:
    try:
        return ModelPair(load_bundle(bundle_dir).graphs, device="cuda").device == "cuda"
    except DeviceError:
        return False


def white() -> np.ndarray:
    return np.full((1, 32, 32, 1), 255, np.float32)


def with_prefix(graph: bytes, prefix: str) -> bytes:
    return onnx.compose.add_prefix(onnx.load_model_from_string(graph), prefix).SerializeToString()
