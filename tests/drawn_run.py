"""A finished run small enough to work out by hand, and the pictures that it was trained on.

Each cell of 16 x 16 pixels has the feature b, its mean brightness in 0..1, beside half of it, and the
evidence 4 b - 3; the logit is the log-sum-exp of the 16 cells' evidence. Fractured pictures hold one bright
cell on a dark ground, which is their box; normal ones are grey throughout. At the threshold all are told
apart, and every heat map peaks in its box.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from edge_app.imaging.images import encode_png

SIZE_PX = 64
GRID = 4
CELL_PX = SIZE_PX // GRID
THRESHOLD = 0.72
MEASURED = {"value": 0.9, "low": 0.8, "high": 0.95}
POINTING = {"samples": 4, **MEASURED}
METHODS = ("grad-cam", "grad-cam++", "hirescam", "layercam")
_TRAIN, _VALIDATION = 8, 8


def evidence_model(classes: int = 1) -> keras.Model:
    """Return the model; of several classes the last has the evidence, and the others have none."""
    image = layers.Input((SIZE_PX, SIZE_PX, 1), name="image")
    cells = layers.AveragePooling2D(CELL_PX, name="cells")(layers.Rescaling(1 / 255)(image))
    features = layers.Conv2D(classes + 1, 1, activation="relu", name="features")(cells)
    evidence = layers.Conv2D(classes, 1, name="evidence")(features)
    logit = keras.ops.logsumexp(evidence, axis=(1, 2))
    end = layers.Activation("sigmoid" if classes == 1 else "softmax", name="probability")
    model = keras.Model(image, end(logit))
    kernel = np.full((1, 1, 1, classes + 1), 0.5)
    kernel[..., 0] = 1
    scores = np.zeros((1, 1, classes + 1, classes))
    scores[0, 0, 0, -1] = 4
    model.get_layer("features").set_weights([kernel, np.zeros(classes + 1)])
    model.get_layer("evidence").set_weights([scores, np.full(classes, -3.0)])
    return model


def draw_square(index: int, fractured: bool) -> np.ndarray:
    """Draw a picture; the bright cell of fractured ones moves with the index."""
    square = np.full((SIZE_PX, SIZE_PX), 40 + index, np.uint8)
    if fractured:
        row, column = (CELL_PX * place for place in cell_of(index))
        square[row : row + CELL_PX, column : column + CELL_PX] = 230 + index
    return square


def cell_of(index: int) -> tuple[int, int]:
    """Return the row and column of a fractured picture's bright cell."""
    return index % GRID, (index // 2 + 1) % GRID


def write_data(data_dir: Path) -> Path:
    """Write the pictures, every second one fractured."""
    data_dir.mkdir(parents=True)
    for index in range(_TRAIN + _VALIDATION):
        (data_dir / f"{index}.png").write_bytes(encode_png(draw_square(index, bool(index % 2))))
    return data_dir


def write_run(run_dir: Path, model: keras.Model, classes: Sequence[str] = ("fracture",)) -> Path:
    """Write a run directory as training leaves it."""
    run_dir.mkdir(parents=True)
    model.save(run_dir / "best_model.keras")
    for name, content in contents(classes).items():
        (run_dir / name).write_text(json.dumps(content))
    rows = [_row(index) for index in range(_TRAIN + _VALIDATION)]
    _write_csv(run_dir / "split.csv", rows)
    squares = np.stack([draw_square(index, bool(index % 2)) for index in range(_TRAIN, len(rows))])
    answers = model.predict_on_batch(squares[..., np.newaxis].astype(np.float32))[:, -1]
    predictions = [
        {"image_id": row["image_id"], "probability": f"{answer:.6f}"}
        for row, answer in zip(rows[_TRAIN:], answers, strict=True)
    ]
    _write_csv(run_dir / "validation_predictions.csv", predictions)
    return run_dir


def change_json(path: Path, **changes: Any) -> None:
    """Replace values of a JSON object in a file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _row(index: int) -> dict[str, object]:
    row, column = cell_of(index)
    box = f"{column / GRID} {row / GRID} {1 / GRID} {1 / GRID}" if index % 2 else ""
    return {
        "image_id": f"X{index}",
        "fractured": index % 2,
        "group": index,
        "side": "train" if index < _TRAIN else "validation",
        "reason": "",
        "file": f"{index}.png",
        "boxes": box,
    }


def contents(classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the JSON files by name; the finding is the last class."""
    return {
        "config.json": {"model": "small", "epochs": 1},
        "provenance.json": {
            "dataset": {
                "name": "Drawn",
                "citation": "nobody",
                "licence": "Apache-2.0",
                "body_parts": ["hand"],
                "limits": ["Drawn pictures only."],
                "finding": classes[-1],
                "groups": "drawn hands",
                **({"classes": list(classes)} if len(classes) > 1 else {}),
            },
            "weights": {"source": "random", "licence": "none needed"},
            "sides": {"train": _TRAIN, "validation": _VALIDATION},
            "commit": "unknown",
            "created": "2026-01-02",
        },
        "evaluation.json": {
            "samples": 8,
            "fractured": 4,
            "groups": 2,
            "auroc": MEASURED,
            "pointing_game": POINTING,
            "heatmap": {"method": "grad-cam", "pointing_game": dict.fromkeys(METHODS, POINTING)},
            "operating_point": {
                "target_sensitivity": 0.9,
                "threshold": THRESHOLD,
                "sensitivity": MEASURED,
                "specificity": MEASURED,
            },
            "calibration": {"method": "platt", "slope": 1.0, "intercept": 0.0},
        },
    }


def _write_csv(path: Path, rows: Sequence[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
