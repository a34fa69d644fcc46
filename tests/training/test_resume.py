"""A training that is broken off goes on, with the same data and settings only, and ends the same."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.training.drawn_training import Training, rows, run_apart
from training.data.datasets import read_dataset
from training.data.prepare import split_rows
from training.learning.training import split_data
from training.runs import rundir
from training.runs.config import Config

pytestmark = [
    pytest.mark.slow,
    # TensorFlow and Keras use what NumPy and Python are about to drop
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


def same_results(run_dir: Path, expected: Path) -> None:
    names = ("history.csv", "validation_predictions.csv", "evaluation.json", "split.csv", "config.json")
    for name in names:
        assert (run_dir / name).read_text() == (expected / name).read_text(), name


def kill_after(command: list[str], sign: str, cpu_seconds: float) -> None:
    """Run a command and kill it some work after the line that begins with the sign.

    It must be at work then; how busy the machine is makes no difference to how far it is.
    """
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert any(line.startswith(sign) for line in process.stdout)
        end = worked_seconds(process.pid) + cpu_seconds
        while worked_seconds(process.pid) < end:
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL


def worked_seconds(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def test_killed_run_goes_on_and_ends_like_an_uninterrupted_one(
    finished: Path, drawn: Training, tmp_path: Path
) -> None:
    """Let it be killed by its own line, so that it dies after the second epoch on any machine."""
    script = """
import logging, os, signal, sys
from training.train import main
def kill(record):
    if record.getMessage().startswith("Epoch 2 "):
        os.kill(os.getpid(), signal.SIGKILL)
    return True
logging.getLogger("training.learning.fit").addFilter(kill)
main(sys.argv[1:])
"""
    killed = run_apart([sys.executable, "-c", script, *drawn.options(tmp_path / "killed")])
    assert killed.returncode == -signal.SIGKILL, killed.stdout
    done = drawn.run(tmp_path / "killed")
    assert done.returncode == 0, done.said
    assert "Going on after epoch 2 of 4." in done.said
    same_results(tmp_path / "killed", finished)


def test_run_that_is_killed_again_and_again_at_any_moment_ends_the_same(
    finished: Path, drawn: Training, tmp_path: Path
) -> None:
    command = drawn.command(tmp_path / "killed")
    generator = random.Random(0)  # noqa: S311
    for sign in ("The run goes to", "Epoch 1 ", "Going on after epoch"):
        kill_after(command, sign, generator.uniform(0, 1))
        assert not (tmp_path / "killed" / "evaluation.json").exists()
    done = drawn.run(tmp_path / "killed")
    assert done.returncode == 0, done.said
    assert re.search(r"Going on after epoch [1-4] of 4\.", done.said)
    same_results(tmp_path / "killed", finished)


def test_resumed_run_keeps_the_day_on_which_it_was_begun(
    drawn: Training, finished: Path, tmp_path: Path
) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    (run_dir / "evaluation.json").unlink()
    provenance = json.loads((run_dir / "provenance.json").read_text())
    (run_dir / "provenance.json").write_text(json.dumps({**provenance, "created": "2020-02-20"}))
    done = drawn.run(run_dir)
    assert done.returncode == 0, done.said
    assert json.loads((run_dir / "provenance.json").read_text())["created"] == "2020-02-20"
    same_results(run_dir, finished)


@pytest.fixture
def copied(drawn: Training, tmp_path: Path) -> Training:
    return replace(drawn, data_dir=Path(shutil.copytree(drawn.data_dir, tmp_path / "drawn")))


@pytest.fixture
def under_way(copied: Training, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a training that reads its images again and again, and does not end by itself."""
    words = ["--epochs", "1000000", "--patience", "1000000", "--cache", "none"]
    with subprocess.Popen(
        copied.command(tmp_path / "run", *words),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert any(line.startswith("Epoch 1 ") for line in process.stdout)
        yield process
        process.kill()


@pytest.mark.usefixtures("under_way")
def test_second_training_in_the_same_directory_is_refused(copied: Training, tmp_path: Path) -> None:
    done = copied.run(tmp_path / "run", "--seed", "2")
    assert done.returncode == 1
    assert f"Another training is at work in {tmp_path / 'run'}. Let it end" in done.said


def test_image_that_disappears_during_the_training_is_named(
    under_way: subprocess.Popen[str], copied: Training, tmp_path: Path
) -> None:
    split = rows(tmp_path / "run" / "split.csv")
    image = copied.data_dir / next(row["file"] for row in split if row["side"] == "train")
    image.unlink()
    output = under_way.communicate(timeout=600)[0]
    assert under_way.returncode == 1
    assert f"{image} disappeared during the training. Restore it" in output
    assert "Traceback" not in output


def test_other_settings_do_not_resume_a_run(finished: Path, drawn: Training) -> None:
    done = drawn.run(finished, "--seed", "2")
    assert done.returncode == 1
    assert "seed was 1, now 2" in done.said


def test_run_does_not_go_on_when_an_image_reads_otherwise(
    copied: Training, finished: Path, tmp_path: Path
) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    (run_dir / "evaluation.json").unlink()
    [image_id] = [row["image_id"] for row in rows(run_dir / "split.csv") if row["side"] == "train"][:1]
    image = copied.data_dir / "images" / image_id
    image.write_bytes(image.read_bytes()[:1000])
    done = copied.run(run_dir)
    assert done.returncode == 1
    assert f"{image_id} was train when this run was begun, and is unreadable now" in done.said


def test_run_does_not_go_on_from_other_start_weights(
    drawn: Training, finished: Path, tmp_path: Path
) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    (run_dir / "evaluation.json").unlink()
    provenance = json.loads((run_dir / "provenance.json").read_text())
    provenance["weights"]["source"] = "random weights"
    (run_dir / "provenance.json").write_text(json.dumps(provenance))
    done = drawn.run(run_dir)
    assert done.returncode == 1
    assert "This run was begun from random weights, and start.weights.h5" in done.said


def test_damaged_state_is_told(drawn: Training, finished: Path, tmp_path: Path) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "copy"))
    (run_dir / "evaluation.json").unlink()
    last = run_dir / "checkpoint" / "last.npz"
    last.write_bytes(last.read_bytes()[:1000])
    done = drawn.run(run_dir)
    assert done.returncode == 1
    assert re.search(r"last\.npz cannot be read\. Begin again", done.said)


def test_split_of_other_settings_is_not_followed_before_an_epoch_has_ended(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    """Workers come here while the chief still has to replace what an earlier start left."""
    dataset = read_dataset(drawn_dataset)
    config = Config(
        model="custom",
        weights="none",
        image_size=32,
        epochs=1,
        members=1,
        batch_size=8,
        learning_rate=1e-3,
        dropout=0,
        epoch_size=0,
        fractured_share=0,
        window=0,
        zoom=0,
        smoothing=0,
        localisation=0,
        averaging=0,
        schedule="stages",
        frozen_stride=0,
        balance="none",
        keep="best",
        patience=1,
        precision="float32",
        leaks="stop",
        hold_out_test=False,
        split_sha256="",
        seed=1,
        dataset="",
        dataset_sha256="",
    )
    earlier, _ = split_data(replace(config, seed=2), dataset, tmp_path)
    expected, _ = split_data(config, dataset, tmp_path)
    assert expected.sides.tolist() != earlier.sides.tolist()
    with rundir.open_run(tmp_path, asdict(config)):
        rundir.write_csv(tmp_path / rundir.SPLIT, split_rows(earlier, drawn_dataset))
    with rundir.open_run(tmp_path, asdict(config)):
        assert (tmp_path / rundir.SPLIT).exists()  # another worker may be reading it
        found, _ = split_data(config, dataset, tmp_path)
    assert found.sides.tolist() == expected.sides.tolist()
