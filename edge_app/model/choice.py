"""Which variant this computer runs: decided by `edge_app.choose`, kept in the bundle's directory."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_app.errors import BundleError, DeviceError
from edge_app.files import write_whole
from edge_app.model.bundle import MANIFEST, Bundle, load_bundle, sha256_of
from edge_app.model.inference import ModelPair, devices_to_try
from edge_app.model.manifest import FLOAT32

CHOICE = "choice.json"
# A busy PC measures less than this by chance.
MARGIN = 0.05
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
    """What was chosen, why, and where that holds.

    `preferred_device` is the first that was tried, `device` the one that worked and was measured.
    """

    manifest_sha256: str
    preferred_device: str
    device: str
    onnxruntime: str
    processor: str
    threads: int
    variant: str
    reason: str
    measurements: Mapping[str, Measurement]
    created: str


def start_chosen(
    bundle_dir: Path, device: str, threads: int, trusted_key: Path | None
) -> tuple[Bundle, ModelPair]:
    """Start the chosen variant; float32 where that one's device fails and another is allowed.

    Args:
        bundle_dir: A model bundle.
        device: `cpu`, `cuda` or `auto`.
        threads: CPU threads; 0 takes one for each core.
        trusted_key: A PEM file with the Ed25519 public key that must have signed the bundle, if any.

    Returns:
        The bundle in the variant that runs, and its model.

    Raises:
        BundleError: the bundle must not be used.
        DeviceError: the device cannot be used.
        ModelError: the model gives no number.
    """
    variant = chosen_variant(bundle_dir, devices_to_try(device)[0])
    bundle = load_bundle(bundle_dir, variant, trusted_key)
    try:
        return bundle, ModelPair(bundle.graphs, device, threads)
    except DeviceError as error:
        if device != "auto" or variant == FLOAT32:
            raise
        logger.warning("%s Going on with the variant %s.", error, FLOAT32)
    bundle = load_bundle(bundle_dir, FLOAT32, trusted_key)
    return bundle, ModelPair(bundle.graphs, device, threads)


def decide(times_ms: Mapping[str, float]) -> tuple[str, str]:
    """Take the fastest variant, or float32 when none is faster by the margin.

    Args:
        times_ms: Times of the variants that reproduce their golden cases; float32 is one of them.

    Returns:
        The variant, and why in a sentence.
    """
    own_ms = times_ms[FLOAT32]
    fastest = min(times_ms, key=times_ms.__getitem__)
    if times_ms[fastest] <= (1 - MARGIN) * own_ms:
        return fastest, (
            f"{fastest} reproduces its golden cases and took {times_ms[fastest]:.1f} ms, "
            f"{FLOAT32} {own_ms:.1f} ms."
        )
    return FLOAT32, (
        f"{FLOAT32} took {own_ms:.1f} ms; no other variant that reproduces its golden cases was at least "
        f"{MARGIN:.0%} faster."
    )


def chosen_variant(bundle_dir: Path, preferred_device: str) -> str:
    """Tell which variant to run.

    Args:
        bundle_dir: A model bundle.
        preferred_device: `cpu` or `cuda`, the first that will be tried.

    Returns:
        The variant that was chosen for this bundle, preferred device and processor; else `FLOAT32`, and
        where there is a choice that does not fit, a line in the log.
    """
    path = bundle_dir / CHOICE
    if not path.exists():
        return FLOAT32
    here = {
        "manifest_sha256": manifest_hash(bundle_dir),
        "preferred_device": preferred_device,
        "processor": processor_name(),
    }
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
    try:
        with write_whole(path) as place:
            place.write_text(json.dumps(asdict(choice), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
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
