"""The model bundle: files that are used only if every hash, and where asked for the signature, is right."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge_app.errors import BundleError
from edge_app.model.manifest import FLOAT32, Manifest, Tensors, parse_manifest
from edge_app.model.quality import InputGate, unpack_gate
from edge_app.model.signature import verify_manifest

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
FEATURES = "features.onnx"
CLASSIFIER = "classifier.onnx"
MODEL = "model.onnx"


@dataclass(frozen=True)
class Graphs:
    """The two graphs of a variant, and what to know to run them.

    `features` goes from an image of `size_px` to a feature map with (h, w) `grid`, `classifier` from there
    to the logit, the probability and the gradient of each class; `finding_index` is the class that is asked
    about, `method` makes the heat map. `devices` are those that the variant is for. `averages` names what
    the features graph tells for the input gate.
    """

    features: bytes
    classifier: bytes
    size_px: int
    grid: tuple[int, int]
    finding_index: int
    method: str
    tensors: Tensors
    variant: str
    devices: tuple[str, ...]
    averages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bundle:
    """A verified model in one variant: the bytes that were hashed are the bytes that run.

    `pictures` are the golden cases' files by name; `gate` is None where the bundle has no input gate.
    """

    manifest: Manifest
    variant: str
    graphs: Graphs
    pictures: Mapping[str, bytes]
    gate: InputGate | None = None


def load_bundle(bundle_dir: Path, variant: str = FLOAT32, trusted_key: Path | None = None) -> Bundle:
    """Read one variant of a bundle and verify every file that its manifest lists.

    Args:
        bundle_dir: A directory with `manifest.json` and the files it names.
        variant: Which of the manifest's variants to read.
        trusted_key: A PEM file with the Ed25519 public key that must have signed the manifest; by default
            a signature is neither needed nor looked at.

    Returns:
        The verified bundle.

    Raises:
        BundleError: the manifest is missing, unreadable or of another schema, is not signed as asked, knows
            no such variant, or a file is altered or missing; only `model.onnx`, which no app runs, may be.
    """
    text = _read(bundle_dir / MANIFEST)
    if trusted_key is not None:
        verify_manifest(text, _read_signature(bundle_dir), trusted_key)
    manifest = _understand(text, bundle_dir / MANIFEST)
    if variant not in manifest.variants:
        raise BundleError(
            f"The bundle {bundle_dir} has no variant {variant}; it has {', '.join(manifest.variants)}."
        )
    names, pictures = manifest.variants[variant], {case.picture for case in manifest.golden}
    gate = {manifest.input_gate.file} if manifest.input_gate else set()
    kept = _verify(bundle_dir, manifest.files, {names.features, names.classifier, *pictures, *gate})
    graphs = _graphs(manifest, variant, kept)
    return Bundle(manifest, variant, graphs, {name: kept[name] for name in pictures}, _gate(manifest, kept))


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 of bytes as lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(
            f"No model bundle at {path.parent}: {MANIFEST} was not found. "
            "Name the bundle's directory with --bundle."
        ) from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error


def _read_signature(bundle_dir: Path) -> bytes:
    try:
        return (bundle_dir / SIGNATURE).read_bytes()
    except OSError as error:
        raise BundleError(
            f"The model bundle {bundle_dir} is not signed: {SIGNATURE} was not found, and --trusted-key "
            "asks for it. Install a bundle that is signed with that key."
        ) from error


def _understand(text: bytes, path: Path) -> Manifest:
    try:
        return parse_manifest(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BundleError(f"{path} is not as expected: {error}. Install the model bundle again.") from error


def _graphs(manifest: Manifest, variant: str, files: Mapping[str, bytes]) -> Graphs:
    names = manifest.variants[variant]
    return Graphs(
        features=files[names.features],
        classifier=files[names.classifier],
        size_px=manifest.input.size_px,
        grid=manifest.heatmap.grid,
        finding_index=manifest.classes.index(manifest.finding),
        method=manifest.heatmap.method,
        tensors=manifest.tensors,
        variant=variant,
        devices=names.devices,
        averages=manifest.input_gate.averages if manifest.input_gate else (),
    )


def _gate(manifest: Manifest, files: Mapping[str, bytes]) -> InputGate | None:
    settings = manifest.input_gate
    if settings is None:
        return None
    data, kinds, limits = files[settings.file], settings.kinds, settings.limits
    return unpack_gate(data, kinds, settings.acceptance, settings.refusal, limits)


def _verify(bundle_dir: Path, hashes: Mapping[str, str], wanted: set[str]) -> dict[str, bytes]:
    """Hash every file, and keep the bytes of those that are wanted.

    The whole model repeats the pair's weights for other runtimes; a stick leaves it out.
    """
    kept = {}
    for name, sha256 in hashes.items():
        if name == MODEL and name not in wanted and not (bundle_dir / name).exists():
            continue
        data = _read_file(bundle_dir, name)
        if sha256_of(data) != sha256:
            raise BundleError(
                f"{name} in {bundle_dir} is not the file that was released: its SHA-256 differs from the "
                "manifest's. Install the model bundle again."
            )
        if name in wanted:
            kept[name] = data
    return kept


def _read_file(bundle_dir: Path, name: str) -> bytes:
    if Path(name).name != name:
        raise BundleError(f"The manifest names {name!r}, which is outside the bundle. Do not use it.")
    try:
        return (bundle_dir / name).read_bytes()
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{name} is missing from the model bundle {bundle_dir}. Install the model bundle again."
        ) from error
