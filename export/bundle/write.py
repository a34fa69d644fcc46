"""Write a model bundle, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from edge_app.errors import ExportError
from edge_app.files import write_whole
from edge_app.imaging.preprocess import INTERPOLATION, PADDING
from edge_app.model.bundle import CLASSIFIER, FEATURES, MANIFEST, SIGNATURE, sha256_of
from edge_app.model.choice import CHOICE
from edge_app.model.manifest import FLOAT32, SCHEMA_VERSION, Tensors, parse_manifest
from edge_app.model.quality import InputGate
from export.bundle.card import CARD, model_card
from export.graph.averages import AVERAGES
from export.graph.convert import OPSET
from export.input_gate.making import GateFigures
from export.proof.parity import Difference
from export.proof.variants import VariantGraph
from export.runs import Run

GATE = "input-gate.npz"
# Every tensor is called what it is.
TENSORS = Tensors(*Tensors.__struct_fields__)


@dataclass(frozen=True)
class Export:
    """Everything that an export makes of a run.

    `feature_layer` is where the model was cut, `grid` the heat map's rows and columns; `graphs` and
    `pictures` are files by name, `golden` what the manifest tells of the pictures.
    """

    size_px: int
    classes: tuple[str, ...]
    feature_layer: str
    grid: tuple[int, int]
    graphs: Mapping[str, bytes]
    differences: Sequence[Difference]
    variants: Mapping[str, VariantGraph]
    pictures: Mapping[str, bytes]
    golden: Sequence[Mapping[str, Any]]

    @property
    def files(self) -> dict[str, bytes]:
        """Every file but the manifest and the card, by name."""
        smaller = {variant.file: variant.graphs.features for variant in self.variants.values()}
        return {**self.graphs, **smaller, **self.pictures}


def describe(run: Run, export: Export) -> dict[str, Any]:
    """Put together what a manifest tells, but for the files.

    Args:
        run: The finished run.
        export: What was made of it; the version holds a part of the hash of its files.

    Returns:
        The manifest as a JSON object; the same run gives the same.
    """
    evaluation = dict(run.evaluation)
    operating_point, calibration, heatmap = (
        evaluation.pop(key) for key in ("operating_point", "calibration", "heatmap")
    )
    rule_out = evaluation.pop("rule_out", None)  # runs of earlier releases have none
    created = run.provenance["created"]
    return {
        "schema_version": SCHEMA_VERSION,
        "name": f"{run.config['model']}-{export.size_px}",
        "version": version_of(created, export.files),
        "created": created,
        "architecture": run.config["model"],
        "opset": OPSET,
        "input": {"size_px": export.size_px, "interpolation": INTERPOLATION, "padding": PADDING},
        "tensors": msgspec.structs.asdict(TENSORS),
        "classes": list(export.classes),
        "finding": run.provenance["dataset"]["finding"],
        "variants": _describe_variants(export.variants),
        "heatmap": {
            "method": heatmap["method"],
            "layer": export.feature_layer,
            "grid": list(export.grid),
            "pointing_game": heatmap["pointing_game"],
        },
        "operating_point": operating_point,
        "rule_out": rule_out,
        "calibration": calibration,
        "validation": evaluation,
        "training": {"settings": dict(run.config), **run.provenance},
        "parity": [asdict(difference) for difference in export.differences],
        "golden": list(export.golden),
    }


def version_of(created: str, files: Mapping[str, bytes]) -> str:
    """Name a version by the day of its training and by what its files hold."""
    return f"{created.replace('-', '.')}-{sha256_of(b''.join(files.values()))[:8]}"


def describe_gate(gate: InputGate, figures: GateFigures) -> dict[str, Any]:
    """Put together what a manifest tells of an input gate.

    Args:
        gate: The gate.
        figures: How it was judged.

    Returns:
        The manifest's `input_gate`.
    """
    return {
        "file": GATE,
        "averages": list(AVERAGES),
        "kinds": list(gate.kinds),
        "acceptance": gate.acceptance,
        "refusal": gate.refusal,
        "limits": [distance.limit for distance in gate.distances],
        "figures": figures.as_json(),
    }


def write_bundle(out_dir: Path, description: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Write a bundle beside its place and move it there when it is complete.

    Args:
        out_dir: The bundle's directory; an earlier bundle there is replaced.
        description: The manifest without `files`.
        files: The graphs and pictures by file name.

    Raises:
        ExportError: the place holds something that is not a bundle, or cannot be written.
    """
    require_replaceable(out_dir)
    files = {**files, CARD: model_card(description).encode()}
    manifest = _manifest(description, files)
    out_dir = out_dir.resolve()
    partial = out_dir.with_name(f".{out_dir.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, data in {**files, MANIFEST: manifest}.items():
            with write_whole(partial / name) as place:
                place.write_bytes(data)
        _move_into_place(partial, out_dir)
    except OSError as error:
        raise ExportError(f"The bundle could not be written to {out_dir}: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_replaceable(out_dir: Path) -> None:
    """Refuse a place that holds more than a bundle.

    Args:
        out_dir: Where a bundle should go.

    Raises:
        ExportError: something else is there.
    """
    if out_dir.exists() and not _is_replaceable(out_dir):
        raise ExportError(f"{out_dir} holds something that is no model bundle. Name another directory.")


def _manifest(description: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """Write a manifest that the app's own reader understands."""
    hashes = {name: sha256_of(data) for name, data in files.items()}
    text = json.dumps({**description, "files": hashes}, indent=2, ensure_ascii=False) + "\n"
    try:
        parse_manifest(text.encode())
    except msgspec.DecodeError as error:
        raise ExportError(f"The run does not tell what the app needs: {error}. Train again.") from error
    return text.encode()


def _describe_variants(variants: Mapping[str, VariantGraph]) -> dict[str, dict[str, Any]]:
    smaller = {
        name: {
            "features": variant.file,
            "classifier": CLASSIFIER,
            "devices": list(variant.graphs.devices),
            "validation": {**asdict(variant.figures), FLOAT32: asdict(variant.reference)},
        }
        for name, variant in variants.items()
    }
    whole = {"features": FEATURES, "classifier": CLASSIFIER, "devices": ["cpu", "cuda"]}
    return {FLOAT32: whole, **smaller}


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
        files = json.loads((place / MANIFEST).read_bytes())["files"].keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return names <= {MANIFEST, SIGNATURE, CHOICE, *files}
