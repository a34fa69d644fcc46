"""The whole way on drawn pictures: train, kill, resume, share among workers, export, predict."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pytest

from edge_app.imaging.images import decode_image
from edge_app.imaging.preprocess import preprocess
from edge_app.predictor import Predictor
from export.__main__ import main as export_main
from tests.conftest import ROOT
from tests.drawn_dataset import write_drawn_class_folders, write_drawn_mura
from training import train
from training.cli import TENSORFLOW_LOG_LEVEL
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

OPTIONS = ["--image-size", "32", "--epochs", "4", "--batch_size", "8", "--seed", "1"]
# Without dropout, which differs between workers, and in small steps: differences of rounding must not grow.
# So few of them leave an average of the weights, and windows of pictures, behind.
SMALL = ["--dropout", "0", "--learning-rate", "1e-4", "--averaging", "0", "--zoom", "0", "--seed", "2"]


@dataclass
class Done:
    """How a command ended, and all that it said."""

    returncode: int
    said: str


def options(data_dir: Path, run_dir: Path, *more: str) -> list[str]:
    return ["--data", str(data_dir), "--out", str(run_dir), *OPTIONS, *more]


def training(data_dir: Path, run_dir: Path, *more: str) -> list[str]:
    """Return the command for a process of its own."""
    return [sys.executable, "-m", "training.train", *options(data_dir, run_dir, *more)]


def run(data_dir: Path, run_dir: Path, *more: str) -> Done:
    """Run the command in this process, where TensorFlow is loaded already."""
    said, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(said), root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with redirect_stderr(said):
            returncode = train.main(options(data_dir, run_dir, *more))
    except SystemExit as stopped:
        returncode = int(stopped.code or 0)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return Done(returncode, said.getvalue())


def run_apart(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(drawn_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "whole"
    done = run(drawn_dataset, run_dir)
    assert done.returncode == 0, done.said
    return run_dir


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


def test_tensorboard_reads_what_every_epoch_gave(finished: Path) -> None:
    # in a process of its own: the reader warns of its own dependencies
    script = """
import sys
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1])
events.Reload()
for event in events.Tensors("loss"):
    print(event.step, float(tf.make_ndarray(event.tensor_proto)))
"""
    done = run_apart([sys.executable, "-W", "ignore", "-c", script, str(finished / "tensorboard")])
    found = np.array([line.split() for line in done.stdout.splitlines()], float)
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


def test_finished_run_is_not_trained_again(finished: Path, drawn_dataset: Path) -> None:
    before = (finished / "best_model.keras").stat().st_mtime_ns
    done = run(drawn_dataset, finished)
    assert done.returncode == 0
    assert "finished already" in done.said
    assert (finished / "best_model.keras").stat().st_mtime_ns == before


def same_results(run_dir: Path, expected: Path) -> None:
    names = ("history.csv", "validation_predictions.csv", "evaluation.json", "split.csv", "config.json")
    for name in names:
        assert (run_dir / name).read_text() == (expected / name).read_text(), name


def kill_after(command: list[str], sign: str, seconds: float = 0) -> None:
    """Run a command and kill it some time after the line that begins with the sign; it must be at work."""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert any(line.startswith(sign) for line in process.stdout)
        time.sleep(seconds)
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_killed_run_goes_on_and_ends_like_an_uninterrupted_one(
    finished: Path, drawn_dataset: Path, tmp_path: Path
) -> None:
    kill_after(training(drawn_dataset, tmp_path / "killed"), "Epoch 2 ")
    assert not (tmp_path / "killed" / "evaluation.json").exists()
    done = run(drawn_dataset, tmp_path / "killed")
    assert done.returncode == 0, done.said
    # the killed process may have come an epoch further before the signal reached it
    assert re.search(r"Going on after epoch [23] of 4\.", done.said)
    same_results(tmp_path / "killed", finished)


def test_resumed_run_keeps_the_day_on_which_it_was_begun(
    drawn_dataset: Path, finished: Path, tmp_path: Path
) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    (run_dir / "evaluation.json").unlink()
    provenance = json.loads((run_dir / "provenance.json").read_text())
    (run_dir / "provenance.json").write_text(json.dumps({**provenance, "created": "2020-02-20"}))
    done = run(drawn_dataset, run_dir)
    assert done.returncode == 0, done.said
    assert json.loads((run_dir / "provenance.json").read_text())["created"] == "2020-02-20"
    same_results(run_dir, finished)


@pytest.fixture
def under_way(drawn_dataset: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a long training of a small network that reads its images again and again."""
    data_dir = shutil.copytree(drawn_dataset, tmp_path / "drawn")
    words = ["--model", "custom", "--epochs", "500", "--patience", "500", "--cache", "none"]
    with subprocess.Popen(
        training(data_dir, tmp_path / "run", *words),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert any(line.startswith("Epoch 1 ") for line in process.stdout)
        yield process
        process.kill()


@pytest.mark.usefixtures("under_way")
def test_second_training_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path / "drawn", tmp_path / "run", "--seed", "2")
    assert done.returncode == 1
    assert f"Another training is at work in {tmp_path / 'run'}. Let it end" in done.said


def test_image_that_disappears_during_the_training_is_named(
    under_way: subprocess.Popen[str], tmp_path: Path
) -> None:
    split = rows(tmp_path / "run" / "split.csv")
    image = tmp_path / "drawn" / next(row["file"] for row in split if row["side"] == "train")
    image.unlink()
    output = under_way.communicate(timeout=60)[0]
    assert under_way.returncode == 1
    assert f"{image} disappeared during the training. Restore it" in output
    assert "Traceback" not in output


def test_run_that_is_killed_again_and_again_at_any_moment_ends_the_same(
    finished: Path, drawn_dataset: Path, tmp_path: Path
) -> None:
    command = training(drawn_dataset, tmp_path / "killed")
    generator = random.Random(0)  # noqa: S311
    for sign in ("The run goes to", "Epoch 1 ", "Going on after epoch"):
        kill_after(command, sign, generator.uniform(0, 2))
        assert not (tmp_path / "killed" / "evaluation.json").exists()
    done = run(drawn_dataset, tmp_path / "killed")
    assert done.returncode == 0, done.said
    assert re.search(r"Going on after epoch [123] of 4\.", done.said)
    same_results(tmp_path / "killed", finished)


def test_training_ends_when_validation_stops_getting_better(drawn_dataset: Path, tmp_path: Path) -> None:
    words = ["--learning-rate", "1e-12", "--epochs", "20", "--patience", "2"]
    done = run(drawn_dataset, tmp_path / "run", *words)
    assert "No better epoch for 2 epochs; training ends here." in done.said
    areas = [float(row["validation_auroc"]) for row in rows(tmp_path / "run" / "history.csv")]
    best = areas.index(max(areas)) + 1
    assert len(areas) == max(best, 6) + 2 < 20  # the last stage begins after six epochs


def test_other_settings_do_not_resume_a_run(finished: Path, drawn_dataset: Path) -> None:
    done = run(drawn_dataset, finished, "--seed", "2")
    assert done.returncode == 1
    assert "seed was 1, now 2" in done.said


def test_run_does_not_go_on_when_an_image_reads_otherwise(
    drawn_dataset: Path, finished: Path, tmp_path: Path
) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    (run_dir / "evaluation.json").unlink()
    data_dir = Path(shutil.copytree(drawn_dataset, tmp_path / "drawn"))
    [image_id] = [row["image_id"] for row in rows(run_dir / "split.csv") if row["side"] == "train"][:1]
    image = data_dir / "images" / image_id
    image.write_bytes(image.read_bytes()[:1000])
    done = run(data_dir, run_dir)
    assert done.returncode == 1
    assert f"{image_id} was train when this run was begun, and is unreadable now" in done.said


def test_run_does_not_go_on_from_other_start_weights(
    drawn_dataset: Path, finished: Path, tmp_path: Path
) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    (run_dir / "evaluation.json").unlink()
    provenance = json.loads((run_dir / "provenance.json").read_text())
    provenance["weights"]["source"] = "random weights"
    (run_dir / "provenance.json").write_text(json.dumps(provenance))
    done = run(drawn_dataset, run_dir)
    assert done.returncode == 1
    assert "This run was begun from random weights, and EfficientNet-Lite0" in done.said


def test_damaged_state_is_told(drawn_dataset: Path, finished: Path, tmp_path: Path) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "copy"))
    (run_dir / "evaluation.json").unlink()
    last = run_dir / "checkpoint" / "last.npz"
    last.write_bytes(last.read_bytes()[:1000])
    done = run(drawn_dataset, run_dir)
    assert done.returncode == 1
    assert re.search(r"last\.npz cannot be read\. Begin again", done.said)


def test_mura_trains_on_its_patients_and_leaves_its_test_side_alone(tmp_path: Path) -> None:
    data_dir = write_drawn_mura(tmp_path / "MURA-v1.1")
    words = [
        "--model",
        "custom",
        "--balance",
        "part",
        "--cache",
        str(tmp_path / "cache.npy"),
        "--epochs",
        "8",
    ]
    done = run(data_dir, tmp_path / "run", *words)
    assert done.returncode == 0, done.said
    split = rows(tmp_path / "run" / "split.csv")
    assert {row["side"] for row in split} == {"train", "validation", "test"}
    assert all((row["side"] == "test") == row["image_id"].startswith("valid/") for row in split)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["localisation"] == 0.0


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
def losses_of_one(drawn_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    run_dir = tmp_path_factory.mktemp("runs") / "one"
    done = run(drawn_dataset, run_dir, *SMALL)
    assert done.returncode == 0, done.said
    assert len(losses(run_dir)) == 4
    return losses(run_dir)


def test_two_workers_have_the_losses_of_one(
    losses_of_one: list[float], drawn_dataset: Path, tmp_path: Path, free_ports: tuple[int, int]
) -> None:
    workers = two_workers(training(drawn_dataset, tmp_path / "two", *SMALL), free_ports)
    outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs
    assert losses(tmp_path / "two") == pytest.approx(losses_of_one, rel=1e-5)


def test_two_replicas_in_a_process_have_the_losses_of_one(
    losses_of_one: list[float], drawn_dataset: Path, tmp_path: Path
) -> None:
    script = """
import sys
import tensorflow as tf
from training.train import main
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.exit(main(sys.argv[1:]))
"""
    words = options(drawn_dataset, tmp_path / "two", *SMALL, "--strategy", "mirrored")
    done = run_apart([sys.executable, "-c", script, *words])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(2 replicas)" in done.stdout
    assert losses(tmp_path / "two") == pytest.approx(losses_of_one, rel=1e-5)


def test_workers_that_nobody_named_are_explained(
    drawn_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", "{}")
    done = run(drawn_dataset, tmp_path / "run", "--strategy", "multi_worker")
    assert done.returncode == 1
    assert "TF_CONFIG does not name the workers" in done.said


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
    drawn_dataset: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    done = run(drawn_dataset, tmp_path / "run", *words)
    assert done.returncode in (1, 2)
    assert message in done.said


def test_diverged_training_is_told(drawn_dataset: Path, finished: Path, tmp_path: Path) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "copy"))
    (run_dir / "evaluation.json").unlink()
    last = run_dir / "checkpoint" / "last.npz"
    with np.load(last) as arrays:
        state = {name: value * np.float32(np.nan) for name, value in arrays.items() if value.ndim}
        integers = {name: value for name, value in arrays.items() if value.dtype.kind in "iu"}
    np.savez(last, allow_pickle=False, **{**state, **integers, "epochs_done": np.array(2)})
    done = run(drawn_dataset, run_dir)
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


def test_nothing_but_own_lines_is_shown(finished: Path, drawn_dataset: Path, tmp_path: Path) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    (run_dir / "evaluation.json").unlink()
    environment = {name: value for name, value in os.environ.items() if name != TENSORFLOW_LOG_LEVEL}
    evaluate = ["--model", str(run_dir), "--data", str(drawn_dataset)]
    export = ["--run", str(run_dir), "--out", str(tmp_path / "bundle"), "--variants", "none"]
    for command in (
        training(drawn_dataset, run_dir),
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


def test_unknown_patients_are_warned_of(finished: Path, drawn_dataset: Path, tmp_path: Path) -> None:
    told = "The patients are not known: X-rays of one patient may stand on both sides"
    class_folders = write_drawn_class_folders(tmp_path / "data", ("train", "validation"))
    assert told in run(class_folders, tmp_path / "run", "--batch_size", "1000").said
    assert told not in run(drawn_dataset, finished).said


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
