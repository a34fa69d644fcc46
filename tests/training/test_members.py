"""A training of several networks that begin alike, and whose weights are averaged."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training.drawn_training import Training, rows
from training.runs import rundir

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

TWO = ("--members", "2")


@pytest.fixture(scope="module")
def averaged(drawn: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "averaged"
    done = drawn.run(run_dir, *TWO)
    assert done.returncode == 0, done.said
    return run_dir


def kept_weights(member_dir: Path) -> Iterator[np.ndarray]:
    """Give what was kept of a member, in the model's order."""
    (path,) = (member_dir / "checkpoint").glob("chosen-*.npz")
    state = rundir.read_state(path)
    return (state[f"weight_{index}"] for index in range(len(state) - 1))


def test_model_has_the_mean_of_its_members(averaged: Path) -> None:
    first, second = kept_weights(averaged), kept_weights(averaged / "member-2")
    model = keras.saving.load_model(averaged / "best_model.keras", compile=False)
    calibrated = {id(variable) for variable in model.get_layer("logit").variables}
    compared = 0
    for variable, one, other in zip(model.variables, first, second, strict=True):
        if id(variable) not in calibrated and variable.dtype == "float32":
            np.testing.assert_allclose(variable.numpy(), (one + other) / 2, rtol=1e-6, atol=1e-9)
            compared += not np.array_equal(one, other)
    assert compared > 10


def test_first_member_is_the_training_of_one(averaged: Path, finished: Path) -> None:
    assert rows(averaged / "history.csv") == rows(finished / "history.csv")
    assert rows(averaged / "member-2" / "history.csv") != rows(finished / "history.csv")


def test_figures_are_those_of_the_mean(averaged: Path, finished: Path) -> None:
    one, mean = (rows(run_dir / "validation_predictions.csv") for run_dir in (finished, averaged))
    assert [row["image_id"] for row in one] == [row["image_id"] for row in mean]
    assert [row["raw_logit"] for row in one] != [row["raw_logit"] for row in mean]


def test_training_that_was_broken_off_between_members_goes_on(
    averaged: Path, drawn: Training, tmp_path: Path
) -> None:
    run_dir = Path(shutil.copytree(averaged, tmp_path / "run"))
    shutil.rmtree(run_dir / "member-2")
    (run_dir / "evaluation.json").unlink()
    before = (run_dir / "checkpoint" / "last.npz").stat().st_mtime_ns
    assert drawn.run(run_dir, *TWO).returncode == 0
    assert (run_dir / "checkpoint" / "last.npz").stat().st_mtime_ns == before
    for name in ("validation_predictions.csv", "evaluation.json", "member-2/history.csv"):
        assert (run_dir / name).read_text() == (averaged / name).read_text(), name


def test_another_number_of_members_is_refused(averaged: Path, drawn: Training) -> None:
    done = drawn.run(averaged, "--members", "3")
    assert done.returncode == 1
    assert "members was 2, now 3" in done.said


def test_random_starts_are_warned_of(drawn_dataset: Path, tmp_path: Path) -> None:
    done = Training(drawn_dataset, "none").run(tmp_path / "run", *TWO, "--epochs", "1")
    assert "what cannot be averaged" in done.said
