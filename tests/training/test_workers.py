"""A training shared among workers and replicas learns what one process learns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.training.drawn_training import Training, rows, run_apart

pytestmark = [
    pytest.mark.slow,
    # TensorFlow and Keras use what NumPy and Python are about to drop
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

# Without dropout, which differs between workers, and in small steps: differences of rounding must not grow.
# So few of them leave an average of the weights, and windows of pictures, behind.
SMALL = ["--dropout", "0", "--learning-rate", "1e-4", "--averaging", "0", "--zoom", "0", "--seed", "2"]


def two_workers(command: list[str], ports: tuple[int, int]) -> list[subprocess.Popen[str]]:
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in (0, 1)
    ]


def losses(run_dir: Path) -> list[float]:
    return [float(row["loss"]) for row in rows(run_dir / "history.csv")]


@pytest.fixture(scope="module")
def losses_of_one(drawn: Training, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    run_dir = tmp_path_factory.mktemp("runs") / "one"
    done = drawn.run(run_dir, *SMALL)
    assert done.returncode == 0, done.said
    assert len(losses(run_dir)) == 4
    return losses(run_dir)


def test_two_workers_have_the_losses_of_one(
    losses_of_one: list[float], drawn: Training, tmp_path: Path, free_ports: tuple[int, int]
) -> None:
    workers = two_workers(drawn.command(tmp_path / "two", *SMALL), free_ports)
    outputs = [worker.communicate(timeout=900)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    assert losses(tmp_path / "two") == pytest.approx(losses_of_one, rel=1e-5)


def test_two_replicas_in_a_process_have_the_losses_of_one(
    losses_of_one: list[float], drawn: Training, tmp_path: Path
) -> None:
    script = """
import sys
import tensorflow as tf
from training.train import main
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.exit(main(sys.argv[1:]))
"""
    words = drawn.options(tmp_path / "two", *SMALL, "--strategy", "mirrored")
    done = run_apart([sys.executable, "-c", script, *words])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(2 replicas)" in done.stdout
    assert losses(tmp_path / "two") == pytest.approx(losses_of_one, rel=1e-5)


def test_workers_that_nobody_named_are_explained(
    drawn: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", "{}")
    done = drawn.run(tmp_path / "run", "--strategy", "multi_worker")
    assert done.returncode == 1
    assert "TF_CONFIG does not name the workers" in done.said
