"""The run directory: what a training leaves on disk, written so that a kill never leaves half a file."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from edge_app.errors import RunError
from edge_app.files import write_whole

LOCK = ".lock"
CONFIG = "config.json"
SPLIT = "split.csv"
PROVENANCE = "provenance.json"
HISTORY = "history.csv"
LAST_CHECKPOINT = "checkpoint/last.npz"
TENSORBOARD = "tensorboard"
PREDICTIONS = "validation_predictions.csv"
BEST_MODEL = "best_model.keras"
EVALUATION = "evaluation.json"


@contextmanager
def open_run(run_dir: Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Hold a run directory for one training: a new one, or the one that the same configuration began.

    Until the first epoch has ended nothing is lost, and another configuration starts anew.

    Args:
        run_dir: The directory.
        config: Everything that the result depends on; JSON values.

    Raises:
        RunError: another training holds the directory, or it belongs to another configuration or holds
            something else.
    """
    _make_dir(run_dir)
    try:
        alone = FileLock(run_dir / LOCK).acquire(blocking=False)
    except Timeout as error:
        raise RunError(
            f"Another training is at work in {run_dir}. Let it end, or name a new directory with --out."
        ) from error
    with alone:
        _begin(run_dir, config)
        yield


def has_begun(run_dir: Path) -> bool:
    """Tell whether an epoch has ended; what else lies there before may be of other settings."""
    return (run_dir / LAST_CHECKPOINT).exists()


def is_finished(run_dir: Path) -> bool:
    """Tell whether the training came to its end: its evaluation is whole, and written after its model."""
    return (run_dir / BEST_MODEL).is_file() and bool(_read_json(run_dir / EVALUATION))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file in one step."""
    with write_whole(path) as place:
        place.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table in one step; the first row names the columns."""
    with write_whole(path) as place, place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a table as one dictionary a row."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def member_dir(run_dir: Path, member: int) -> Path:
    """Return where a member, from 0, keeps its history and states; the first in the run itself."""
    return run_dir / f"member-{member + 1}" if member else run_dir


def chosen_checkpoint(run_dir: Path, epoch: int) -> Path:
    """Return where the chosen state is kept, which came out of an epoch counted from 1."""
    return run_dir / "checkpoint" / f"chosen-{epoch:03d}.npz"


def write_state(path: Path, state: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name in one step."""
    with write_whole(path) as place, place.open("wb") as file:
        np.savez(file, allow_pickle=False, **state)


def read_state(path: Path) -> dict[str, NDArray[Any]]:
    """Read what `write_state` wrote, or nothing where there is no such file.

    Raises:
        RunError: the file cannot be read.
    """
    if not path.exists():
        return {}
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path) from error


def assign_state(
    path: Path, state: Mapping[str, NDArray[Any]], name: str, variables: Iterable[Any]
) -> None:
    """Give variables the arrays `name`_0, `name`_1, ... of a state.

    Args:
        path: Where the state came from, for the message.
        state: What `read_state` returned.
        name: "weight" or "learner".
        variables: Of Keras, in the order in which they were written.

    Raises:
        RunError: the state is not of these variables.
    """
    try:
        for index, variable in enumerate(variables):
            variable.assign(state[f"{name}_{index}"])
    except (KeyError, ValueError) as error:
        raise _unreadable(path) from error


def save_model(path: Path, model: keras.Model) -> None:
    """Save a model in one step."""
    with write_whole(path) as place:
        model.save(place)


def _make_dir(run_dir: Path) -> None:
    """Make a directory where there is none; refuse one that no training made."""
    if run_dir.exists() and not run_dir.is_dir():
        raise RunError(f"{run_dir} is a file. Name a directory with --out.")
    run_dir.mkdir(parents=True, exist_ok=True)
    # a kill may leave the lock, and the configuration half written
    strangers = [path for path in run_dir.iterdir() if path.name != LOCK and not path.match(f".*-{CONFIG}")]
    if strangers and not (run_dir / CONFIG).exists():
        raise RunError(f"{run_dir} holds other files and no {CONFIG}. Name a new directory with --out.")


def _begin(run_dir: Path, config: Mapping[str, Any]) -> None:
    """Write the configuration down, or compare it with the one that epochs were trained with."""
    path = run_dir / CONFIG
    if not has_begun(run_dir):
        write_json(path, config)
        (run_dir / LAST_CHECKPOINT).parent.mkdir(exist_ok=True)
    found = _read_json(path)
    if found is None:
        raise RunError(f"{path} cannot be read. Name a new directory with --out.")
    differing = [key for key in {*found, *config} if found.get(key) != config.get(key)]
    if differing:
        changes = ", ".join(f"{k} was {found.get(k)}, now {config.get(k)}" for k in sorted(differing))
        raise RunError(
            f"{run_dir} was begun with other settings ({changes}). Use the same settings to resume it, "
            "or name a new directory with --out."
        )


def _unreadable(path: Path) -> RunError:
    return RunError(f"{path} cannot be read. Begin again in a new directory with --out.")


def _read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a file; None where there is no file or no object in it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
