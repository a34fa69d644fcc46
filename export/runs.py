"""Read a finished run directory; only its files matter, not the code that wrote them."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import keras

from edge_app.errors import RunError
from edge_app.model.pointing import Box

_MODEL = "best_model.keras"
_SPLIT = "split.csv"
_PREDICTIONS = "validation_predictions.csv"
_DATASET = ("name", "citation", "licence", "body_parts", "limits", "finding", "groups")
_NEEDED = {
    "config.json": ("model",),
    "provenance.json": (
        "created",
        "commit",
        "sides",
        "weights.source",
        "weights.licence",
        *(f"dataset.{key}" for key in _DATASET),
    ),
    "evaluation.json": (
        "samples",
        "fractured",
        "groups",
        "auroc.value",
        "operating_point.threshold",
        "operating_point.target_sensitivity",
        "operating_point.sensitivity.value",
        "operating_point.specificity.value",
        "calibration",
        "pointing_game",
        "heatmap.method",
        "heatmap.pointing_game",
    ),
}


@dataclass(frozen=True)
class Run:
    """A finished training: its model, its settings, where it comes from, and how good it is."""

    model: keras.Model
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    evaluation: Mapping[str, Any]


@dataclass(frozen=True)
class XrayRecord:
    """An X-ray as a run lists it.

    `file` is its path in the data directory; those of one `group` may be of one patient.
    """

    image_id: str
    file: str
    fractured: bool
    side: str
    boxes: tuple[Box, ...]
    group: str = ""


def read_run(run_dir: Path) -> Run:
    """Read a run directory.

    Args:
        run_dir: What `python -m training.train` left.

    Returns:
        The run.

    Raises:
        RunError: the directory is missing, unfinished or unreadable.
    """
    if not run_dir.is_dir():
        raise RunError(f"There is no run directory {run_dir}.")
    missing = [name for name in (_MODEL, *_NEEDED) if not (run_dir / name).is_file()]
    if missing:
        raise RunError(
            f"{run_dir} is not a finished run: {', '.join(missing)} not found. "
            "Repeat the training command to finish it."
        )
    config, provenance, evaluation = (_read_json(run_dir / name, keys) for name, keys in _NEEDED.items())
    _check_date(run_dir, provenance["created"])
    return Run(_read_model(run_dir / _MODEL), config, provenance, evaluation)


def read_split(run_dir: Path) -> list[XrayRecord]:
    """Read which X-rays a run was trained on and which it was validated on.

    Args:
        run_dir: The run directory.

    Returns:
        Every X-ray that the run lists, in its order.

    Raises:
        RunError: the run does not tell where the X-rays lie.
    """
    path = run_dir / _SPLIT
    try:
        return [
            XrayRecord(
                row["image_id"],
                row["file"],
                row["fractured"] == "1",
                row["side"],
                _boxes(row["boxes"]),
                row["group"],
            )
            for row in _rows(path)
        ]
    except KeyError as error:
        raise RunError(f"{path} has no column {error}, which --data needs. Train again.") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _unreadable(path, error) from error


def read_probabilities(run_dir: Path) -> dict[str, float]:
    """Read what the model said of each validation X-ray when its training ended.

    Args:
        run_dir: The run directory.

    Returns:
        Probabilities in 0..1 by image id.

    Raises:
        RunError: the run does not tell.
    """
    path = run_dir / _PREDICTIONS
    try:
        return {row["image_id"]: float(row["probability"]) for row in _rows(path)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, error) from error


def _read_json(path: Path, needed: Iterable[str]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    lacking = [key for key in needed if not _has(content, key.split("."))]
    if lacking:
        raise RunError(f"{path} is not as training writes it: it lacks {', '.join(lacking)}. Train again.")
    return dict(content)


def _has(content: Any, keys: list[str]) -> bool:
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            return False
        content = content[key]
    return True


def _check_date(run_dir: Path, created: Any) -> None:
    try:
        date.fromisoformat(created)
    except (TypeError, ValueError) as error:
        raise RunError(
            f"{run_dir / 'provenance.json'} was created on {created!r}, which is no date. Train again."
        ) from error


def _read_model(path: Path) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _boxes(text: str) -> tuple[Box, ...]:
    return tuple(Box(*map(float, box.split())) for box in text.split(";") if box)


def _unreadable(path: Path, error: Exception) -> RunError:
    return RunError(f"{path} cannot be read: {error}. Train again.")
