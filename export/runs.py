"""Read a finished run directory; only its files matter, not the code that wrote them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from edge_app.errors import RunError


@dataclass(frozen=True)
class Run:
    """A finished training: its model, its settings, where it comes from, and how good it is."""

    model: keras.Model
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    evaluation: Mapping[str, Any]


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
    needed = ("best_model.keras", "config.json", "provenance.json", "evaluation.json")
    missing = [name for name in needed if not (run_dir / name).is_file()]
    if missing:
        raise RunError(
            f"{run_dir} is not a finished run: {', '.join(missing)} not found. "
            "Repeat the training command to finish it."
        )
    try:
        model = keras.saving.load_model(run_dir / needed[0], compile=False)
        config, provenance, evaluation = (
            json.loads((run_dir / name).read_text(encoding="utf-8")) for name in needed[1:]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{run_dir} cannot be read: {error}. Train again.") from error
    lacking = [
        name
        for name, content, keys in (
            ("config.json", config, {"model"}),
            ("provenance.json", provenance, {"dataset", "weights", "sides", "commit"}),
            ("evaluation.json", evaluation, {"auroc", "operating_point", "calibration", "pointing_game"}),
        )
        if not isinstance(content, dict) or keys - content.keys()
    ]
    if lacking:
        raise RunError(f"{run_dir / lacking[0]} is not as training writes it. Train again.")
    return Run(model, config, provenance, evaluation)
