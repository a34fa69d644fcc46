"""A finished training, which several test files look at."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from tests.training.drawn_training import Training
from training.networks.architectures import build_model


@pytest.fixture(scope="session")
def drawn(drawn_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """Return the training on drawn X-rays from the weights of a small network."""
    keras.utils.set_random_seed(0)
    weights = tmp_path_factory.mktemp("weights") / "start.weights.h5"
    build_model("custom", 32).save_weights(weights)
    return Training(drawn_dataset, str(weights))


@pytest.fixture(scope="session")
def finished(drawn: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run directory of a finished training; tests change copies of it."""
    run_dir = tmp_path_factory.mktemp("runs") / "whole"
    done = drawn.run(run_dir)
    assert done.returncode == 0, done.said
    return run_dir
