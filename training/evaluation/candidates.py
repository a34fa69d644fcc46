"""A model to be judged: how it scores, and what its training left beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_app.errors import RunError, SettingsError
from edge_app.model.bundle import MANIFEST, load_bundle, sha256_of
from edge_app.model.gradcam import GRAD_CAM, METHODS
from training.evaluation.metrics import Scored
from training.evaluation.scorers import (
    BundleScorer,
    KerasScorer,
    Scorer,
    read_model,
    read_weights,
)
from training.runs import rundir
from training.runs.config import BATCH_SIZE

_WEIGHTS_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True)
class Candidate:
    """A model to be judged; what is not known about its training stays empty.

    `kind` is "run", "bundle", "model file" or "weights file"; `sha256` tells the file, or the bundle's
    manifest. `trained_on` is the SHA-256 of the data set it was trained on, `finding` what it was trained
    to find. `method` names its heat maps. `threshold` is the probability from which it reports a finding,
    chosen for `target_sensitivity`. `split` is the run's `split.csv`, `validation` the scores that its
    calibration and threshold were chosen on.
    """

    name: str
    kind: str
    sha256: str
    scorer: Scorer
    trained_on: str = ""
    finding: str = ""
    method: str = GRAD_CAM
    threshold: float | None = None
    target_sensitivity: float | None = None
    split: Path | None = None
    validation: Scored | None = None


def open_candidate(
    path: Path, architecture: str | None = None, size_px: int | None = None, batch_size: int = BATCH_SIZE
) -> Candidate:
    """Open what `--model` names.

    Args:
        path: A run directory or the `best_model.keras` in it, a bundle directory, or a `.h5` weights file.
        architecture: What a weights file fits; for nothing else.
        size_px: The input side that it was trained at; for nothing else.
        batch_size: Squares scored at once.

    Returns:
        The candidate.

    Raises:
        EdgeError: nothing is there, it is of another kind, unfinished, damaged, or does not fit.
    """
    if not path.exists():
        raise RunError(f"There is no model at {path}. Name best_model.keras of a run with --model.")
    if path.suffix in _WEIGHTS_SUFFIXES:
        return _weights_file(path, architecture, size_px, batch_size)
    if architecture or size_px:
        raise SettingsError("--architecture and --image_size are only for a weights file; leave them out.")
    if (path / MANIFEST).is_file():
        return _bundle(path)
    file = path / rundir.BEST_MODEL if path.is_dir() else path
    if file.suffix != ".keras" or not file.is_file():
        raise RunError(
            f"{path} is no model. Expected {rundir.BEST_MODEL} of a run directory, a bundle directory or "
            "a .h5 weights file."
        )
    return _model_file(file, batch_size)


def _weights_file(path: Path, architecture: str | None, size_px: int | None, batch_size: int) -> Candidate:
    if architecture is None or size_px is None:
        raise SettingsError(
            f"{path} holds weights only. Name the --architecture and the --image_size of their training."
        )
    scorer = KerasScorer(read_weights(path, architecture, size_px), batch_size)
    return Candidate(path.name, "weights file", sha256_of(path.read_bytes()), scorer)


def _bundle(bundle_dir: Path) -> Candidate:
    bundle = load_bundle(bundle_dir)
    manifest = (bundle_dir / MANIFEST).read_bytes()
    content = json.loads(manifest)
    training = content["training"]
    settings = training.get("settings")
    return Candidate(
        name=bundle.manifest.name,
        kind="bundle",
        sha256=sha256_of(manifest),
        scorer=BundleScorer(bundle),
        trained_on=str(settings.get("dataset_sha256", "")) if isinstance(settings, dict) else "",
        finding=training["dataset"].get("finding", ""),
        method=bundle.manifest.heatmap.method,
        threshold=bundle.manifest.operating_point.threshold,
        target_sensitivity=content["operating_point"].get("target_sensitivity"),
    )


def _model_file(path: Path, batch_size: int) -> Candidate:
    if path.name == rundir.BEST_MODEL and (path.parent / rundir.CONFIG).is_file():
        return _run(path, batch_size)
    scorer = KerasScorer(read_model(path), batch_size)
    return Candidate(path.name, "model file", sha256_of(path.read_bytes()), scorer)


def _run(path: Path, batch_size: int) -> Candidate:
    run_dir = path.parent
    if not rundir.is_finished(run_dir):
        raise RunError(f"{run_dir} is not a finished run. Repeat the training command to finish it.")
    scorer = KerasScorer(read_model(path), batch_size)
    try:
        config, provenance, evaluation = (
            json.loads((run_dir / name).read_bytes())
            for name in (rundir.CONFIG, rundir.PROVENANCE, rundir.EVALUATION)
        )
        point = evaluation["operating_point"]
        method = evaluation.get("heatmap", {}).get("method", GRAD_CAM)
        if method not in METHODS:
            raise ValueError(f"unknown heat map {method!r}")
        rows = rundir.read_csv(run_dir / rundir.PREDICTIONS)
        return Candidate(
            name=run_dir.resolve().name,
            kind="run",
            sha256=sha256_of(path.read_bytes()),
            scorer=scorer,
            trained_on=config["dataset_sha256"],
            finding=provenance["dataset"].get("finding", ""),
            method=method,
            threshold=float(point["threshold"]),
            target_sensitivity=float(point["target_sensitivity"]),
            split=run_dir / rundir.SPLIT,
            validation=Scored(
                np.array([row["fractured"] for row in rows], np.float32),
                np.array([row["logit"] for row in rows], np.float64),
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{run_dir} is not as training writes it ({error!r}). Train again in a new directory."
        ) from error
