from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import BundleError, ModelError
from edge_app.model.bundle import load_bundle
from edge_app.model.fallback import FallbackModel
from edge_app.model.golden import replay
from edge_app.model.inference import Explanation, ModelPair


class FailingGpu:
    """Explains as the model within until it is taken away."""

    device = "cuda"

    def __init__(self, model: ModelPair, error: Exception) -> None:
        self.is_there = True
        self._model, self._error = model, error

    def explain(self, tensor: np.ndarray) -> Explanation:
        if not self.is_there:
            raise self._error
        return self._model.explain(tensor)


@pytest.fixture
def pair(toy_bundle: Path) -> ModelPair:
    return ModelPair(load_bundle(toy_bundle).graphs, "cpu")


WHITE = np.full((1, 32, 32, 1), 255, np.float32)


@pytest.mark.parametrize("error", [RuntimeError("CUDA failure 46: device lost"), ModelError("no number")])
def test_picture_at_which_the_gpu_fails_is_explained_by_the_cpu(
    toy_bundle: Path, pair: ModelPair, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    gpu, starts = FailingGpu(pair, error), []
    bundle = load_bundle(toy_bundle)

    def start() -> ModelPair:
        starts.append("cpu")
        replay(bundle, pair)
        return pair

    model = FallbackModel(gpu, start)
    before = model.explain(WHITE)
    assert (model.device, starts) == ("cuda", [])
    gpu.is_there = False
    after = model.explain(WHITE)
    assert after.probability == before.probability == pytest.approx(0.982014, abs=1e-6)
    assert model.device == "cpu"
    model.explain(WHITE)
    assert starts == ["cpu"]
    assert "Going on with the CPU" in caplog.text


def test_cpu_that_does_not_give_the_golden_answers_gives_none(pair: ModelPair) -> None:
    gpu = FailingGpu(pair, RuntimeError("device lost"))
    gpu.is_there = False

    def start() -> ModelPair:
        raise BundleError("another answer")

    model = FallbackModel(gpu, start)
    for _ in range(2):
        with pytest.raises(BundleError, match="another answer"):
            model.explain(WHITE)


def test_failure_of_the_other_model_is_told(pair: ModelPair) -> None:
    first, second = (FailingGpu(pair, ModelError("no number")) for _ in range(2))
    first.is_there = second.is_there = False
    model = FallbackModel(first, lambda: second)
    for _ in range(2):
        with pytest.raises(ModelError):
            model.explain(WHITE)
