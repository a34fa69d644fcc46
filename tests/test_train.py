"""The whole way on drawn pictures: train, kill, resume, export, predict."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge_app.predictor import Predictor
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

OPTIONS = ["--image-size", "32", "--epochs", "3", "--batch_size", "8", "--seed", "1"]


def training(data_dir: Path, run_dir: Path, *more: str) -> list[str]:
    words = ["--data", str(data_dir), "--out", str(run_dir), *OPTIONS, *more]
    return [sys.executable, "-m", "training.train", *words]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(drawn_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "whole"
    done = run(training(drawn_dataset, run_dir))
    assert done.returncode == 0, done.stdout + done.stderr
    return run_dir


def test_run_directory_holds_everything(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == {
        "best_model.keras",
        "checkpoint",
        "config.json",
        "evaluation.json",
        "history.csv",
        "provenance.json",
        "split.csv",
        "validation_predictions.csv",
    }
    assert [row["epoch"] for row in rows(finished / "history.csv")] == ["1", "2", "3"]
    assert json.loads((finished / "config.json").read_text())["weights"] == "auto"


def test_split_is_written_down_with_what_was_left_out(finished: Path) -> None:
    split = rows(finished / "split.csv")
    assert len(split) == 64
    assert [row["image_id"] for row in split if row["side"] == "unreadable"] == ["IMG0000000.jpg"]
    validated = {row["image_id"] for row in split if row["side"] == "validation"}
    predictions = rows(finished / "validation_predictions.csv")
    assert {row["image_id"] for row in predictions} == validated
    evaluation = json.loads((finished / "evaluation.json").read_text())
    assert evaluation["samples"] == len(validated)
    assert evaluation["operating_point"]["sensitivity"]["value"] >= 0.9


def test_finished_run_is_not_trained_again(finished: Path, drawn_dataset: Path) -> None:
    before = (finished / "best_model.keras").stat().st_mtime_ns
    done = run(training(drawn_dataset, finished))
    assert done.returncode == 0
    assert "finished already" in done.stdout
    assert (finished / "best_model.keras").stat().st_mtime_ns == before


def test_killed_run_goes_on_and_ends_like_an_uninterrupted_one(
    finished: Path, drawn_dataset: Path, tmp_path: Path
) -> None:
    command = training(drawn_dataset, tmp_path / "killed")
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        for line in process.stdout:
            if line.startswith("Epoch 1:"):
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "evaluation.json").exists()
    done = run(command)
    assert done.returncode == 0, done.stdout + done.stderr
    # the killed process may have come an epoch further before the signal reached it
    assert re.search(r"Going on after epoch [12] of 3\.", done.stdout)
    assert rows(tmp_path / "killed" / "history.csv") == rows(finished / "history.csv")
    names = ("validation_predictions.csv", "evaluation.json", "split.csv")
    for name in names:
        assert (tmp_path / "killed" / name).read_text() == (finished / name).read_text(), name


def test_other_settings_do_not_resume_a_run(finished: Path, drawn_dataset: Path) -> None:
    done = run(training(drawn_dataset, finished, "--seed", "2"))
    assert done.returncode == 1
    assert "seed was 1, now 2" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "/nowhere"], "does not have the FracAtlas layout"),
        (["--batch_size", "1000"], "--batch_size 1000 exceeds"),
        (["--model", "resnet"], "invalid choice: 'resnet'"),
        (["--epochs", "none"], "expected a whole number"),
        (["--learning_rate", "-1"], "expected a number above 0"),
    ],
)
def test_wrong_options_are_explained_in_a_sentence(
    drawn_dataset: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    done = run(training(drawn_dataset, tmp_path / "run", *words))
    assert done.returncode in (1, 2)
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_run_is_exported_and_serves(finished: Path, tmp_path: Path, drawn_png: bytes) -> None:
    out_dir = tmp_path / "bundle"
    done = run([sys.executable, "-m", "export", "--run", str(finished), "--out", str(out_dir)])
    assert done.returncode == 0, done.stderr
    prediction = Predictor(out_dir, device="cpu").predict(drawn_png)
    assert 0 < prediction.probability < 1
    manifest = json.loads((out_dir / "manifest.json").read_text())
    evaluation = json.loads((finished / "evaluation.json").read_text())
    assert manifest["operating_point"] == evaluation["operating_point"]
    assert manifest["training"]["dataset"]["licence"] == "licence not stated"


def test_export_of_an_unfinished_run_is_explained(tmp_path: Path) -> None:
    done = run([sys.executable, "-m", "export", "--run", str(tmp_path), "--out", str(tmp_path / "out")])
    assert done.returncode == 1
    assert "is not a finished run" in done.stderr
    assert "Traceback" not in done.stderr
