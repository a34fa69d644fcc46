"""Which variant this computer runs: a record in the bundle's directory, written by `edge_app.choose`."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_app.errors import BundleError
from edge_app.model.bundle import MANIFEST, sha256_of
from edge_app.model.manifest import FLOAT32

CHOICE = "choice.json"
_CPU_FACTS = Path("/proc/cpuinfo")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measurement:
    """How a variant did: the median time of an explanation, None where it did not run."""

    median_ms: float | None
    reproduces: bool
    remark: str


@dataclass(frozen=True)
class Choice:
    """What was chosen, why, and where that holds."""

    manifest_sha256: str
    device: str
    onnxruntime: str
    processor: str
    threads: int
    variant: str
    reason: str
    measurements: Mapping[str, Measurement]
    created: str


def chosen_variant(bundle_dir: Path, device: str) -> str:
    """Tell which variant to run.

    Args:
        bundle_dir: A model bundle.
        device: `cpu` or `cuda`.

    Returns:
        The variant that was chosen for this bundle, device and processor; else `FLOAT32`, and where there
        is a choice that does not fit, a line in the log.
    """
    path = bundle_dir / CHOICE
    if not path.exists():
        return FLOAT32
    here = {"manifest_sha256": manifest_hash(bundle_dir), "device": device, "processor": processor_name()}
    try:
        choice = json.loads(path.read_bytes())
        if all(choice[key] == value for key, value in here.items()):
            return str(choice["variant"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass  # told below, like a choice for something else
    logger.warning(
        "%s is not for this model, device and processor, so %s runs. "
        "Measure again which variant to run: python -m edge_app.choose",
        path,
        FLOAT32,
    )
    return FLOAT32


def write_choice(bundle_dir: Path, choice: Choice) -> Path:
    """Write a choice in one step, over an earlier one.

    Args:
        bundle_dir: The model bundle that was measured.
        choice: The choice.

    Returns:
        The file.

    Raises:
        BundleError: the directory cannot be written.
    """
    path = bundle_dir / CHOICE
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(asdict(choice), indent=2) + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise BundleError(
            f"{path} cannot be written: {error.strerror}. Run this as the user who installed Fracture Edge."
        ) from error
    return path


def manifest_hash(bundle_dir: Path) -> str:
    """Return the SHA-256 of a bundle's manifest; an empty text where it cannot be read."""
    try:
        return sha256_of((bundle_dir / MANIFEST).read_bytes())
    except OSError:
        return ""  # loading the bundle will tell


def processor_name() -> str:
    """Return the processor's name as far as the operating system tells it."""
    try:
        lines = _CPU_FACTS.read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
