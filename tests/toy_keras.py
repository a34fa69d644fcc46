"""A Keras model small enough to work out by hand, and a run directory that holds it.

Each cell of 16 x 16 pixels has the feature b, its mean brightness in 0..1, and the evidence 4 b - 3.
A picture of brightness b throughout has 16 equal cells and so the logit 4 b - 3 + ln 16. All cells weigh
the same in the heat map, which is therefore b / the largest b.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from keras import layers

from training.data.samples import Dataset

SIZE_PX = 64
LOG_CELLS = np.log(16)


def toy_model() -> keras.Model:
    """Return the model."""
    image = layers.Input((SIZE_PX, SIZE_PX, 1), name="image")
    cells = layers.AveragePooling2D(16)(layers.Rescaling(1 / 255)(image))
    features = layers.Conv2D(1, 1, activation="relu", name="features")(cells)
    evidence = layers.Conv2D(1, 1, name="evidence")(features)
    logit = layers.Dense(1, name="logit")(keras.ops.logsumexp(evidence, axis=(1, 2)))
    model = keras.Model(image, layers.Activation("sigmoid", name="probability")(logit))
    model.get_layer("features").set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    model.get_layer("evidence").set_weights([np.full((1, 1, 1, 1), 4.0), np.full(1, -3.0)])
    model.get_layer("logit").set_weights([np.ones((1, 1)), np.zeros(1)])
    return model


def write_toy_run(run_dir: Path, dataset: Dataset, sides: Mapping[str, str], threshold: float) -> Path:
    """Write what a finished training on a data set leaves, as far as others read it.

    The validation scores on disk are made up: logit 1 for the fractured, -1 for the others.

    Args:
        run_dir: The directory, which must not exist.
        dataset: What it was trained on.
        sides: Side by image id; what is not named is unreadable.
        threshold: The stored operating threshold.

    Returns:
        The run directory.
    """
    run_dir.mkdir(parents=True)
    toy_model().save(run_dir / "best_model.keras")
    (run_dir / "config.json").write_text(json.dumps({"dataset_sha256": dataset.sha256}))
    (run_dir / "provenance.json").write_text(json.dumps({"dataset": {"finding": dataset.positive}}))
    point = {"threshold": threshold, "target_sensitivity": 0.9}
    (run_dir / "evaluation.json").write_text(json.dumps({"operating_point": point}))
    split = [["image_id", "fractured", "group", "side", "reason"]]
    predictions = [["image_id", "fractured", "group", "logit", "probability"]]
    for sample in dataset.samples:
        side, fractured = sides.get(sample.image_id, "unreadable"), int(sample.fractured)
        group = (sample.number or 0) // 50
        known = [group, side, ""] if side != "unreadable" else ["", side, "broken"]
        split.append([sample.image_id, fractured, *known])
        if side == "validation":
            logit = 2 * fractured - 1
            predictions.append([sample.image_id, fractured, group, logit, 1 / (1 + np.exp(-logit))])
    _write(run_dir / "split.csv", split)
    _write(run_dir / "validation_predictions.csv", predictions)
    return run_dir


def _write(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
