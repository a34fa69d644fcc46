from __future__ import annotations

from pathlib import Path

import pytest

from edge_app.errors import RunError
from training.rundir import is_finished, load_model, open_run, read_csv, write_csv, write_json


def test_same_settings_take_up_a_run(tmp_path: Path) -> None:
    for _ in range(2):
        open_run(tmp_path / "run", {"seed": 1})
    assert (tmp_path / "run" / "config.json").is_file()


def test_other_settings_are_refused_with_what_differs(tmp_path: Path) -> None:
    open_run(tmp_path / "run", {"seed": 1, "epochs": 3})
    with pytest.raises(RunError, match=r"seed was 1, now 2"):
        open_run(tmp_path / "run", {"seed": 2, "epochs": 3})


def test_directory_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("keep me")
    with pytest.raises(RunError, match="Name a new directory"):
        open_run(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunError, match="is a file"):
        open_run(tmp_path / "run", {})


@pytest.mark.parametrize("text", ["", "[1", "7"])
def test_broken_settings_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(RunError, match="cannot be read"):
        open_run(tmp_path, {})


def test_run_is_finished_when_it_is_evaluated(tmp_path: Path) -> None:
    assert not is_finished(tmp_path)
    write_json(tmp_path / "evaluation.json", {})
    assert is_finished(tmp_path)


def test_broken_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / "last.keras").write_bytes(b"")
    with pytest.raises(RunError, match=r"last\.keras cannot be read"):
        load_model(tmp_path / "last.keras")


def test_table_comes_back_and_leaves_no_partial_file(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", [{"a": 1, "b": "x,y"}, {"a": 2, "b": ""}])
    assert read_csv(tmp_path / "t.csv") == [{"a": "1", "b": "x,y"}, {"a": "2", "b": ""}]
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
