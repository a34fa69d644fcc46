"""Write a model bundle, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from edge_app.bundle import (
    CLASSIFIER,
    FEATURES,
    MANIFEST,
    MODEL,
    SCHEMA_VERSION,
    parse_manifest,
    sha256_of,
)
from edge_app.errors import ExportError
from edge_app.preprocess import INTERPOLATION, PADDING
from export.card import CARD, model_card
from export.convert import OPSET
from export.parity import Difference
from export.runs import Run


def describe(
    run: Run, size_px: int, graphs: Mapping[str, bytes], differences: Sequence[Difference]
) -> dict[str, Any]:
    """Put together what a manifest tells, but for the files.

    Args:
        run: The finished run.
        size_px: The model's input side in pixels.
        graphs: The ONNX graphs by file name; the version holds a part of their hash.
        differences: What the parity check found.

    Returns:
        The manifest as a JSON object.
    """
    evaluation = dict(run.evaluation)
    operating_point = evaluation.pop("operating_point")
    calibration = evaluation.pop("calibration")
    today = date.today()
    return {
        "schema_version": SCHEMA_VERSION,
        "name": f"{run.config['model']}-{size_px}",
        "version": f"{today:%Y.%m.%d}-{sha256_of(b''.join(graphs.values()))[:8]}",
        "created": today.isoformat(),
        "architecture": run.config["model"],
        "precision": "float32",
        "opset": OPSET,
        "input": {"size_px": size_px, "interpolation": INTERPOLATION, "padding": PADDING},
        "tensors": {
            FEATURES: {"inputs": ["image"], "outputs": ["features"]},
            CLASSIFIER: {"inputs": ["features"], "outputs": ["logit", "probability", "gradient"]},
            MODEL: {"inputs": ["image"], "outputs": ["probability"]},
        },
        "classes": [run.provenance["dataset"]["finding"]],
        "operating_point": operating_point,
        "calibration": calibration,
        "validation": evaluation,
        "training": {"settings": dict(run.config), **run.provenance},
        "parity": [asdict(difference) for difference in differences],
    }


def write_bundle(out_dir: Path, description: Mapping[str, Any], graphs: Mapping[str, bytes]) -> None:
    """Write a bundle beside its place and move it there when it is complete.

    Args:
        out_dir: The bundle's directory; an earlier bundle there is replaced.
        description: The manifest without `files`.
        graphs: The ONNX graphs by file name.

    Raises:
        ExportError: the place holds something that is not a bundle, or cannot be written.
    """
    try:
        parse_manifest(description)
    except (KeyError, TypeError, ValueError) as error:
        raise ExportError(f"The run lacks or misstates {error}. Train again.") from error
    if out_dir.exists() and not _is_replaceable(out_dir):
        raise ExportError(f"{out_dir} holds something that is no model bundle. Name another directory.")
    files = {**graphs, CARD: model_card(description).encode()}
    hashes = {name: sha256_of(data) for name, data in files.items()}
    manifest = json.dumps({**description, "files": hashes}, indent=2, ensure_ascii=False) + "\n"
    out_dir = out_dir.resolve()
    partial = out_dir.with_name(f".{out_dir.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, data in {**files, MANIFEST: manifest.encode()}.items():
            (partial / name).write_bytes(data)
        _move_into_place(partial, out_dir)
    except OSError as error:
        raise ExportError(f"The bundle could not be written to {out_dir}: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _move_into_place(partial: Path, out_dir: Path) -> None:
    replaced = out_dir.with_name(f".{out_dir.name}.replaced")
    if replaced.exists() and not out_dir.exists():
        os.replace(replaced, out_dir)  # an earlier export died between its two moves
    shutil.rmtree(replaced, ignore_errors=True)
    if out_dir.exists():
        os.replace(out_dir, replaced)
    try:
        os.replace(partial, out_dir)
    except OSError:
        if replaced.exists():
            os.replace(replaced, out_dir)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def _is_replaceable(place: Path) -> bool:
    """Tell whether a place is an empty directory or a bundle and nothing more."""
    if not place.is_dir():
        return False
    names = {path.name for path in place.iterdir()}
    if not names:
        return True
    try:
        listed = json.loads((place / MANIFEST).read_bytes())["files"].keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return names <= {MANIFEST, *listed}
