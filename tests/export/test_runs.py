from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from edge_app.errors import RunError
from edge_app.model.pointing import Box
from export.runs import read_probabilities, read_run, read_split
from tests.drawn_run import change_json, evidence_model, write_run

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return evidence_model()


@pytest.fixture
def run_dir(tmp_path: Path, model: keras.Model) -> Path:
    return write_run(tmp_path / "run", model)


def test_finished_run_is_read(run_dir: Path, model: keras.Model) -> None:
    run = read_run(run_dir)
    assert run.config["model"] == "small"
    assert run.provenance["created"] == "2026-01-02"
    assert run.evaluation["heatmap"]["method"] == "grad-cam"
    for read, written in zip(run.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(read, written)


@pytest.mark.parametrize("name", ["best_model.keras", "config.json", "evaluation.json"])
def test_unfinished_run_is_refused(run_dir: Path, name: str) -> None:
    (run_dir / name).unlink()
    with pytest.raises(RunError, match=f"not a finished run: {name}"):
        read_run(run_dir)


def test_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="There is no run directory"):
        read_run(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"PK broken", b""])
def test_broken_model_file_is_refused(run_dir: Path, content: bytes) -> None:
    (run_dir / "best_model.keras").write_bytes(content)
    with pytest.raises(RunError, match=r"best_model\.keras cannot be read"):
        read_run(run_dir)


def test_damaged_model_file_is_refused(run_dir: Path) -> None:
    path = run_dir / "best_model.keras"
    data = path.read_bytes()
    path.write_bytes(data[:2000] + bytes(200) + data[2200:])
    with pytest.raises(RunError, match=r"best_model\.keras cannot be read"):
        read_run(run_dir)


@pytest.mark.parametrize("content", ["", "{", "\udcff"])
def test_unreadable_json_is_refused(run_dir: Path, content: str) -> None:
    (run_dir / "config.json").write_text(content, errors="surrogateescape")
    with pytest.raises(RunError, match=r"config\.json cannot be read"):
        read_run(run_dir)


@pytest.mark.parametrize("content", ["[]", "{}", "1"])
def test_foreign_evaluation_is_refused(run_dir: Path, content: str) -> None:
    (run_dir / "evaluation.json").write_text(content)
    with pytest.raises(RunError, match=r"not as training writes it: it lacks samples, .*Train again"):
        read_run(run_dir)


def test_run_of_an_earlier_release_is_told_what_it_lacks(run_dir: Path) -> None:
    change_json(run_dir / "evaluation.json", heatmap=None)
    with pytest.raises(RunError, match=r"it lacks heatmap\.method, heatmap\.pointing_game\. Train again"):
        read_run(run_dir)


@pytest.mark.parametrize("created", ["yesterday", None, 20260102])
def test_run_without_a_date_is_refused(run_dir: Path, created: object) -> None:
    change_json(run_dir / "provenance.json", created=created)
    with pytest.raises(RunError, match="which is no date"):
        read_run(run_dir)


def test_split_tells_files_sides_labels_and_boxes(run_dir: Path) -> None:
    split = read_split(run_dir)
    assert [xray.file for xray in split] == [f"{index}.png" for index in range(16)]
    assert [xray.side for xray in split] == 8 * ["train"] + 8 * ["validation"]
    assert [xray.fractured for xray in split] == 8 * [False, True]
    assert split[0].boxes == ()
    assert split[1].boxes == (Box(0.25, 0.25, 0.25, 0.25),)


def test_several_boxes_are_read(run_dir: Path) -> None:
    (run_dir / "split.csv").write_text(
        "image_id,fractured,group,side,reason,file,boxes\nX,1,0,train,,a/X.png,0 0.5 1 0.25;0.1 0 0.2 1\n"
    )
    (xray,) = read_split(run_dir)
    assert xray.boxes == (Box(0, 0.5, 1, 0.25), Box(0.1, 0, 0.2, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,fractured,group,side,reason\nX,1,0,train,\n", "no column 'file', which --data needs"),
        ("image_id,fractured,side,file,boxes\nX,1,train,X.png,one two\n", "cannot be read"),
        ("image_id,fractured,side,file,boxes\nX,1,train\n", "cannot be read"),
    ],
)
def test_split_that_does_not_tell_is_refused(run_dir: Path, text: str, message: str) -> None:
    (run_dir / "split.csv").write_text(text)
    with pytest.raises(RunError, match=message):
        read_split(run_dir)


def test_missing_split_is_refused(run_dir: Path) -> None:
    (run_dir / "split.csv").unlink()
    with pytest.raises(RunError, match=r"split\.csv cannot be read"):
        read_split(run_dir)


def test_probabilities_are_read_by_image_id(run_dir: Path) -> None:
    (run_dir / "validation_predictions.csv").write_text("image_id,logit,probability\nA,0,0.5\nB,1,0.73\n")
    assert read_probabilities(run_dir) == {"A": 0.5, "B": 0.73}


@pytest.mark.parametrize("text", ["image_id\nA\n", "image_id,probability\nA,high\n"])
def test_probabilities_that_are_none_are_refused(run_dir: Path, text: str) -> None:
    (run_dir / "validation_predictions.csv").write_text(text)
    with pytest.raises(RunError, match=r"validation_predictions\.csv cannot be read"):
        read_probabilities(run_dir)
