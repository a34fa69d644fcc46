from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import RunError
from training.runs.rundir import (
    assign_state,
    has_begun,
    is_finished,
    open_run,
    read_csv,
    read_state,
    write_csv,
    write_json,
    write_state,
)


def refused(message: str) -> AbstractContextManager[object]:
    return pytest.raises(RunError, match=message)


def test_same_settings_take_up_a_run(tmp_path: Path) -> None:
    for _ in range(2):
        with open_run(tmp_path / "run", {"seed": 1}):
            pass
    assert (tmp_path / "run" / "config.json").is_file()


def test_other_settings_are_refused_with_what_differs(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", {"seed": 1, "epochs": 3}):
        write_state(tmp_path / "run" / "checkpoint" / "last.npz", {})
    with refused("seed was 1, now 2"), open_run(tmp_path / "run", {"seed": 2, "epochs": 3}):
        pass


def test_directory_is_for_one_training_at_a_time(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", {"seed": 1}):
        (tmp_path / "run" / "split.csv").write_text("of the first")
        with (
            refused("Another training is at work in .*name a new"),
            open_run(tmp_path / "run", {"seed": 2}),
        ):
            pass
        assert (tmp_path / "run" / "split.csv").read_text() == "of the first"
    with open_run(tmp_path / "run", {"seed": 2}):
        assert '"seed": 2' in (tmp_path / "run" / "config.json").read_text()


def test_directory_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("keep me")
    with refused("Name a new directory"), open_run(tmp_path, {}):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with refused("is a file"), open_run(tmp_path / "run", {}):
        pass


@pytest.mark.parametrize("text", ["", "[1", "7"])
def test_broken_settings_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    (tmp_path / "checkpoint").mkdir()
    write_state(tmp_path / "checkpoint" / "last.npz", {})
    with refused("cannot be read"), open_run(tmp_path, {}):
        pass


def test_run_is_finished_when_it_is_evaluated(tmp_path: Path) -> None:
    (tmp_path / "best_model.keras").write_bytes(b"model")
    assert not is_finished(tmp_path)
    write_json(tmp_path / "evaluation.json", {"auroc": 0.9})
    assert is_finished(tmp_path)


def test_empty_evaluation_or_no_model_is_not_finished(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_bytes(b"")
    (tmp_path / "best_model.keras").write_bytes(b"model")
    assert not is_finished(tmp_path)
    write_json(tmp_path / "evaluation.json", {"auroc": 0.9})
    (tmp_path / "best_model.keras").unlink()
    assert not is_finished(tmp_path)


def test_settings_may_change_until_an_epoch_has_ended(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", {"seed": 1}):
        assert not has_begun(tmp_path / "run")
    with open_run(tmp_path / "run", {"seed": 2}):
        assert not has_begun(tmp_path / "run")
    assert '"seed": 2' in (tmp_path / "run" / "config.json").read_text()


@pytest.mark.parametrize("left", [(), (".lock",), (".123-config.json",), ("config.json",)])
def test_kill_while_the_directory_is_made_leaves_it_usable(tmp_path: Path, left: tuple[str, ...]) -> None:
    for name in left:
        (tmp_path / name).write_bytes(b"")
    with open_run(tmp_path, {"seed": 1}):
        assert (tmp_path / "checkpoint").is_dir()


class Variable:
    """Like a variable of Keras."""

    def __init__(self, value: float) -> None:
        self.value = np.full(3, value, np.float32)

    def assign(self, value: np.ndarray) -> None:
        if value.shape != self.value.shape:
            raise ValueError("shapes differ")
        self.value = value


def test_state_comes_back_into_its_variables(tmp_path: Path) -> None:
    written = {"weight_0": np.arange(3, dtype=np.float32), "weight_1": np.ones(3, np.float32)}
    write_state(tmp_path / "last.npz", written)
    variables = [Variable(0), Variable(0)]
    assign_state(tmp_path / "last.npz", read_state(tmp_path / "last.npz"), "weight", variables)
    assert [variable.value.tolist() for variable in variables] == [[0, 1, 2], [1, 1, 1]]
    assert [path.name for path in tmp_path.iterdir()] == ["last.npz"]


def test_no_state_is_an_empty_one(tmp_path: Path) -> None:
    assert read_state(tmp_path / "last.npz") == {}


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"not an archive"])
def test_broken_state_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "last.npz").write_bytes(data)
    with pytest.raises(RunError, match=r"last\.npz cannot be read"):
        read_state(tmp_path / "last.npz")


@pytest.mark.parametrize("state", [{}, {"weight_0": np.zeros(4, np.float32)}])
def test_state_of_another_model_is_told(tmp_path: Path, state: dict[str, np.ndarray]) -> None:
    with pytest.raises(RunError, match=r"last\.npz cannot be read"):
        assign_state(tmp_path / "last.npz", state, "weight", [Variable(0)])


def test_table_comes_back_and_leaves_no_partial_file(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", [{"a": 1, "b": "x,y"}, {"a": 2, "b": ""}])
    assert read_csv(tmp_path / "t.csv") == [{"a": "1", "b": "x,y"}, {"a": "2", "b": ""}]
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
