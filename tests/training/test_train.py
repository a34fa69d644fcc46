"""The whole way on drawn pictures: train, look at what is left behind, export, predict."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from edge_app.imaging.images import decode_image
from edge_app.imaging.preprocess import preprocess
from edge_app.predictor import Predictor
from export.__main__ import main as export_main
from tests.conftest import ROOT
from tests.drawn_dataset import write_drawn_class_folders, write_drawn_mura
from tests.training.drawn_training import Training, rows, run_apart
from training.cli import TENSORFLOW_LOG_LEVEL
from training.runs import rundir

pytestmark = [
    pytest.mark.slow,
    # TensorFlow and Keras use what NumPy and Python are about to drop
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


def test_run_directory_holds_everything(finished: Path) -> None:
    # whether the free lock's file stays is filelock's to say
    assert {path.name for path in finished.iterdir()} - {rundir.LOCK} == {
        "best_model.keras",
        "checkpoint",
        "config.json",
        "evaluation.json",
        "history.csv",
        "provenance.json",
        "split.csv",
        "tensorboard",
        "validation_predictions.csv",
    }
    history = rows(finished / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2", "3", "4"]
    assert [row["stage"] for row in history] == ["head", "all", "all", "all"]
    best = max(history, key=lambda row: float(row["validation_auroc"]))["epoch"]
    checkpoints = {path.name for path in (finished / "checkpoint").iterdir()}
    assert checkpoints == {"last.npz", f"chosen-00{best}.npz"}


@pytest.mark.filterwarnings("ignore")  # TensorBoard's reader warns of its own dependencies
def test_tensorboard_reads_what_every_epoch_gave(finished: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(finished / "tensorboard")).Reload()
    found = [(event.step, float(tf.make_ndarray(event.tensor_proto))) for event in events.Tensors("loss")]
    expected = [(int(row["epoch"]), float(row["loss"])) for row in rows(finished / "history.csv")]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


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


def test_method_of_the_heat_map_is_chosen_on_validation(finished: Path) -> None:
    evaluation = json.loads((finished / "evaluation.json").read_text())
    games = evaluation["heatmap"]["pointing_game"]
    assert set(games) == {"grad-cam", "grad-cam++", "hirescam", "layercam"}
    assert {game["samples"] for game in games.values()} == {evaluation["fractured"]}
    assert evaluation["pointing_game"] == games[evaluation["heatmap"]["method"]]
    assert evaluation["pointing_game"]["value"] == max(game["value"] for game in games.values())


def test_finished_run_is_not_trained_again(finished: Path, drawn: Training) -> None:
    before = (finished / "best_model.keras").stat().st_mtime_ns
    done = drawn.run(finished)
    assert done.returncode == 0
    assert "finished already" in done.said
    assert (finished / "best_model.keras").stat().st_mtime_ns == before


def test_training_ends_when_validation_stops_getting_better(drawn: Training, tmp_path: Path) -> None:
    words = ["--learning-rate", "1e-12", "--epochs", "20", "--patience", "2"]
    done = drawn.run(tmp_path / "run", *words)
    assert "No better epoch for 2 epochs; training ends here." in done.said
    areas = [float(row["validation_auroc"]) for row in rows(tmp_path / "run" / "history.csv")]
    best = areas.index(max(areas)) + 1
    assert len(areas) == max(best, 6) + 2 < 20  # the last stage begins after six epochs


def test_mura_trains_on_its_patients_and_leaves_its_test_side_alone(tmp_path: Path) -> None:
    data_dir = write_drawn_mura(tmp_path / "MURA-v1.1")
    words = ["--balance", "part", "--cache", str(tmp_path / "cache.npy"), "--epochs", "8"]
    done = Training(data_dir, "none").run(tmp_path / "run", *words)
    assert done.returncode == 0, done.said
    split = rows(tmp_path / "run" / "split.csv")
    assert {row["side"] for row in split} == {"train", "validation", "test"}
    assert all((row["side"] == "test") == row["image_id"].startswith("valid/") for row in split)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["localisation"] == 0.0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "/nowhere"], "There is no folder /nowhere"),
        (["--batch_size", "1000"], "--batch_size 1000 exceeds"),
        (["--model", "resnet"], "invalid choice: 'resnet'"),
        (["--epochs", "none"], "expected a whole number"),
        (["--learning_rate", "-1"], "expected a number above 0"),
        (["--learning-rate", "fast"], "expected a number above 0"),
        (["--image_size", "100"], "expected a multiple of 32"),
        (["--dropout", "1"], "expected a number of 0 or more, below 1"),
        (["--weights", "/nowhere.h5"], "There is no weights file /nowhere.h5"),
        (["--split", "/nowhere.csv"], "/nowhere.csv: No such file or directory"),
        (["--seed", "99999999999"], "expected a whole number of 0 or more"),
        (["--speed", "9"], "unrecognized arguments: --speed 9"),
    ],
)
def test_wrong_options_are_explained_in_a_sentence(
    drawn: Training, tmp_path: Path, words: list[str], message: str
) -> None:
    done = drawn.run(tmp_path / "run", *words)
    assert done.returncode in (1, 2)
    assert message in done.said


def test_diverged_training_is_told(drawn: Training, finished: Path, tmp_path: Path) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "copy"))
    (run_dir / "evaluation.json").unlink()
    last = run_dir / "checkpoint" / "last.npz"
    with np.load(last) as arrays:
        state = {name: value * np.float32(np.nan) for name, value in arrays.items() if value.ndim}
        integers = {name: value for name, value in arrays.items() if value.dtype.kind in "iu"}
    np.savez(last, allow_pickle=False, **{**state, **integers, "epochs_done": np.array(2)})
    done = drawn.run(run_dir)
    assert done.returncode == 1
    assert "The training diverged" in done.said


def test_run_is_exported_and_serves(finished: Path, tmp_path: Path, drawn_png: bytes) -> None:
    assert export_main(["--run", str(finished), "--out", str(tmp_path), "--variants", "none"]) == 0
    model = keras.saving.load_model(finished / "best_model.keras", compile=False)
    expected = model.predict_on_batch(preprocess(decode_image(drawn_png), 32)).item()
    assert Predictor(tmp_path, device="cpu").predict(drawn_png).probability == pytest.approx(
        expected, abs=1e-5
    )
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    evaluation = json.loads((finished / "evaluation.json").read_text())
    assert manifest["operating_point"] == evaluation["operating_point"]
    assert manifest["training"]["dataset"]["licence"] == "licence not stated"


def test_export_of_an_unfinished_run_is_explained(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert export_main(["--run", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "is not a finished run" in caplog.text


def test_nothing_but_own_lines_is_shown(finished: Path, drawn: Training, tmp_path: Path) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    (run_dir / "evaluation.json").unlink()
    environment = {name: value for name, value in os.environ.items() if name != TENSORFLOW_LOG_LEVEL}
    evaluate = ["--model", str(run_dir), "--data", str(drawn.data_dir)]
    export = ["--run", str(run_dir), "--out", str(tmp_path / "bundle"), "--variants", "none"]
    for command in (
        drawn.command(run_dir),
        [sys.executable, "-m", "training.evaluate", *evaluate],
        [sys.executable, "-m", "export", *export],
    ):
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert "0000 00:00:" not in done.stdout


def test_words_are_understood_before_tensorflow_is_loaded() -> None:
    modules = "training.train, training.evaluate, training.explore, export.__main__"
    script = f"import sys, {modules}; print(sorted({{'tensorflow', 'keras'}} & set(sys.modules)))"
    assert run_apart([sys.executable, "-c", script]).stdout == "[]\n"


def test_unknown_patients_are_warned_of(finished: Path, drawn: Training, tmp_path: Path) -> None:
    told = "The patients are not known: X-rays of one patient may stand on both sides"
    class_folders = write_drawn_class_folders(tmp_path / "data", ("train", "validation"))
    assert told in replace(drawn, data_dir=class_folders).run(tmp_path / "run", "--batch_size", "1000").said
    assert told not in drawn.run(finished).said
