from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from edge_app.bundle import Bundle, load_bundle
from edge_app.errors import BundleError, DeviceError, ModelError
from edge_app.inference import ModelPair, open_session
from tests import toy


@pytest.fixture
def pair(toy_bundle: Path) -> ModelPair:
    return ModelPair(load_bundle(toy_bundle), device="cpu")


def test_toy_model_gives_the_values_worked_out_by_hand(pair: ModelPair) -> None:
    judgement = pair.judge(np.full((1, 32, 32, 1), 255, np.float32))
    assert judgement.logit == pytest.approx(4.0)
    assert judgement.probability == pytest.approx(1 / (1 + np.exp(-4)))
    assert judgement.features.shape == (16, 16, 2)
    np.testing.assert_allclose(judgement.gradient[..., 0], 4 / 256)
    np.testing.assert_allclose(judgement.gradient[..., 1], -2 / 256)


def test_auto_is_the_cpu_where_there_is_no_nvidia_driver(toy_bundle: Path) -> None:
    device = ModelPair(load_bundle(toy_bundle), device="auto").device
    assert device == ("cuda" if has_cuda(toy_bundle) else "cpu")


def test_cuda_that_cannot_be_used_is_refused_not_replaced(toy_bundle: Path) -> None:
    if has_cuda(toy_bundle):
        pytest.skip("CUDA works here")
    with pytest.raises(DeviceError, match="--device cpu"):
        ModelPair(load_bundle(toy_bundle), device="cuda")


def test_swapped_graphs_are_refused(toy_bundle: Path) -> None:
    bundle = load_bundle(toy_bundle)
    swapped = Bundle(bundle.manifest, bundle.classifier, bundle.features)
    with pytest.raises(BundleError, match="do not run"):
        ModelPair(swapped, device="cpu")


def test_model_without_a_number_is_refused(toy_bundle: Path) -> None:
    bundle = load_bundle(toy_bundle)
    broken = Bundle(bundle.manifest, bundle.features, toy.classifier_graph(np.full((2, 1), np.nan, "f4")))
    with pytest.raises(ModelError, match="gave no number"):
        ModelPair(broken, device="cpu")


def test_tensors_in_other_files_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = onnx.load_model_from_string(toy.classifier_graph())
    (weights,) = (tensor for tensor in graph.graph.initializer if tensor.name == "weights")
    (tmp_path / "w.bin").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="w.bin")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match="cannot load the model"):
        open_session(graph.SerializeToString())


def test_gradient_equals_finite_differences(toy_bundle: Path) -> None:
    session = onnxruntime.InferenceSession(toy.classifier_graph(), providers=["CPUExecutionProvider"])
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
        return ModelPair(load_bundle(bundle_dir), device="cuda").device == "cuda"
    except DeviceError:
        return False
