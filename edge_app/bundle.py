"""The model bundle: its manifest, and files that are used only if every hash is right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_app.errors import BundleError
from edge_app.preprocess import INTERPOLATION, PADDING

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
FEATURES = "features.onnx"
CLASSIFIER = "classifier.onnx"
MODEL = "model.onnx"
_SIZE_RANGE_PX = (32, 2048)


@dataclass(frozen=True)
class Dataset:
    """What a model was trained on, for people: a name, a citation, a licence, and body parts."""

    name: str
    citation: str
    licence: str
    body_parts: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """What serving needs to know about a model.

    `size_px` is the input side; `threshold` is the probability from which a fracture is reported, and
    `sensitivity` and `specificity` were measured there, on validation X-rays. `pointing` is the share of
    fractured ones on which the heat map's peak lay in a fracture's box, None where that is not known.
    `dataset` is what the model was trained on.
    """

    name: str
    version: str
    created: str
    size_px: int
    threshold: float
    sensitivity: float
    specificity: float
    pointing: float | None
    dataset: Dataset


@dataclass(frozen=True)
class Bundle:
    """A verified model: the bytes that were hashed are the bytes that run."""

    manifest: Manifest
    features: bytes
    classifier: bytes


def load_bundle(bundle_dir: Path) -> Bundle:
    """Read a bundle and verify every file that its manifest lists.

    Args:
        bundle_dir: A directory with `manifest.json` and the files it names.

    Returns:
        The verified bundle.

    Raises:
        BundleError: the manifest is missing, unreadable or of another schema, or a file is missing or
            altered.
    """
    content = _read_manifest(bundle_dir / MANIFEST)
    try:
        manifest = parse_manifest(content)
        hashes = dict(content["files"])
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"{bundle_dir / MANIFEST} lacks or misstates {error}. Install the model bundle again."
        ) from error
    unlisted = {FEATURES, CLASSIFIER} - hashes.keys()
    if unlisted:
        raise BundleError(
            f"{bundle_dir / MANIFEST} lists no {' and no '.join(sorted(unlisted))}. "
            "Install the model bundle again."
        )
    files = {name: _read_verified(bundle_dir, name, sha256) for name, sha256 in hashes.items()}
    return Bundle(manifest, files[FEATURES], files[CLASSIFIER])


def parse_manifest(content: Mapping[str, Any]) -> Manifest:
    """Turn a manifest's JSON object into what serving needs.

    Args:
        content: The JSON object.

    Returns:
        The manifest.

    Raises:
        BundleError: the schema, or how pictures must be laid into the input, is not known here, or the
            model tells of something else than fractures.
        KeyError, TypeError, ValueError: a value is missing or of the wrong kind.
    """
    version = content["schema_version"]
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"The model bundle has schema version {version}; this app reads version {SCHEMA_VERSION}. "
            "Install an app and a model of the same release."
        )
    geometry = content["input"]
    known = {"interpolation": INTERPOLATION, "padding": PADDING}
    for key, expected in known.items():
        if geometry[key] != expected:
            raise BundleError(
                f"The model expects {key} {geometry[key]!r}; this app knows {expected!r}. "
                "Install an app and a model of the same release."
            )
    if content["classes"] != ["fracture"]:
        told = ", ".join(map(str, content["classes"]))
        raise BundleError(
            f"The model tells of {told}; this app tells of fractures only. Install a model for fractures."
        )
    point, dataset = content["operating_point"], content["training"]["dataset"]
    game = content["validation"]["pointing_game"]
    return Manifest(
        name=str(content["name"]),
        version=str(content["version"]),
        created=str(content["created"]),
        size_px=int(_within(geometry["size_px"], *_SIZE_RANGE_PX, "input.size_px")),
        threshold=_share(point["threshold"], "operating_point.threshold"),
        sensitivity=_share(point["sensitivity"]["value"], "operating_point.sensitivity"),
        specificity=_share(point["specificity"]["value"], "operating_point.specificity"),
        pointing=None if game is None else _share(game["value"], "pointing_game"),
        dataset=Dataset(
            name=str(dataset["name"]),
            citation=str(dataset["citation"]),
            licence=str(dataset["licence"]),
            body_parts=tuple(map(str, dataset["body_parts"])),
        ),
    )


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of bytes as lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BundleError(
            f"No model bundle at {path.parent}: {MANIFEST} was not found. "
            "Name the bundle's directory with --bundle."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path} cannot be read as JSON. Install the model bundle again.") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path} is not a JSON object. Install the model bundle again.")
    return content


def _read_verified(bundle_dir: Path, name: str, sha256: str) -> bytes:
    if Path(name).name != name:
        raise BundleError(f"The manifest names {name!r}, which is outside the bundle. Do not use it.")
    try:
        data = (bundle_dir / name).read_bytes()
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{name} is missing from the model bundle {bundle_dir}. Install the model bundle again."
        ) from error
    if sha256_of(data) != sha256:
        raise BundleError(
            f"{name} in {bundle_dir} is not the file that was released: its SHA-256 differs from the "
            "manifest's. Install the model bundle again."
        )
    return data


def _share(value: float, name: str) -> float:
    return float(_within(value, 0, 1, name))


def _within(value: float, low: float, high: float, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name}: expected a number from {low} to {high}, found {value!r}")
    return value
