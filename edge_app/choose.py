"""Measure on this computer which variant of a model to run: `python -m edge_app.choose`."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import BundleError, EdgeError
from edge_app.model.bundle import Bundle, load_bundle
from edge_app.model.choice import Choice, Measurement, decide, manifest_hash, processor_name, write_choice
from edge_app.model.golden import CanExplain, golden_tensors, replay
from edge_app.model.inference import RUNTIME_VERSION, ModelPair, devices_to_try
from edge_app.model.manifest import FLOAT32
from edge_app.model.room import FIRST_ANSWER_S, bounded_time
from edge_app.settings import parse_choose_settings

ROUNDS = 15
# What is around the first answer of each variant, such as a limit of its time.
Limit = Callable[[], AbstractContextManager[None]]

logger = logging.getLogger("edge_app.choose")


def choose(
    bundle_dir: Path,
    device: str = "auto",
    threads: int = 0,
    trusted_key: Path | None = None,
    limit: Limit = nullcontext,
) -> Choice:
    """Measure each variant that is for the device, and take the fastest that reproduces its golden cases.

    Args:
        bundle_dir: A model bundle.
        device: `cpu`, `cuda` or `auto`.
        threads: CPU threads; 0 takes one for each core.
        trusted_key: A PEM file with the Ed25519 public key that must have signed the bundle, if any.
        limit: What the first answer of each variant is held by. A slow PC measures for longer than that.

    Returns:
        The choice, not yet written.

    Raises:
        BundleError: the bundle must not be used, or has no golden pictures to measure with.
        DeviceError: the device cannot be used.
    """
    bundle = load_bundle(bundle_dir, FLOAT32, trusted_key)
    tensors = golden_tensors(bundle)
    if not tensors:
        raise BundleError(
            f"The bundle {bundle_dir} has no golden pictures to measure with. Export it again."
        )
    whole = _proven(bundle, device, threads, limit)
    smaller, failures = _others(bundle_dir, bundle, whole.device, threads, trusted_key, limit)
    times_ms = measure({FLOAT32: whole, **smaller}, tensors)
    successes = {name: Measurement(round(time_ms, 2), True, "") for name, time_ms in times_ms.items()}
    variant_name, reason = decide(times_ms)
    return Choice(
        manifest_sha256=manifest_hash(bundle_dir),
        preferred_device=devices_to_try(device)[0],
        device=whole.device,
        onnxruntime=RUNTIME_VERSION,
        processor=processor_name(),
        threads=threads,
        variant=variant_name,
        reason=reason,
        measurements=successes | failures,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def measure(
    models: Mapping[str, CanExplain],
    tensors: Sequence[NDArray[np.float32]],
    clock_s: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Time explanations, one variant after the other in each round, so that a busy moment hits all alike.

    Args:
        models: What to measure.
        tensors: Pictures, each float32 (1, S, S, 1), 0..255.
        clock_s: Seconds from any start.

    Returns:
        The median time of one explanation in milliseconds, by variant.
    """
    times_s: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            model.explain(tensors[0])  # brings its weights back into the caches
            for tensor in tensors:
                started_s = clock_s()
                model.explain(tensor)
                times_s[name].append(clock_s() - started_s)
    return {name: 1000 * median(times) for name, times in times_s.items()}


def main(arguments: Sequence[str] | None = None, first_answer_s: float = FIRST_ANSWER_S) -> int:
    """Measure, tell, and write the choice.

    Args:
        arguments: The words after the program's name.
        first_answer_s: The longest that a variant may take to give its first answer.

    Returns:
        The exit code: 0 when the choice is written, 2 when nothing could be chosen.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        settings = parse_choose_settings(arguments)
        limit = partial(bounded_time, first_answer_s, _nothing_chosen, exit_code=2)
        choice = choose(settings.bundle_dir, settings.device, settings.threads, settings.trusted_key, limit)
        _log(choice)
        logger.info("Written to %s.", write_choice(settings.bundle_dir, choice))
    except EdgeError as error:
        _nothing_chosen(error)
        return 2
    return 0


def _nothing_chosen(reason: object) -> None:
    logger.error("Nothing was chosen. %s", reason)


def _proven(bundle: Bundle, device: str, threads: int, limit: Limit) -> ModelPair:
    """Open a variant that reproduces its golden cases."""
    with limit():
        model = ModelPair(bundle.graphs, device, threads)
    replay(bundle, model)
    return model


def _others(
    bundle_dir: Path, bundle: Bundle, device: str, threads: int, trusted_key: Path | None, limit: Limit
) -> tuple[dict[str, ModelPair], dict[str, Measurement]]:
    """Open the other variants that are for the device, and tell which ones failed."""
    models: dict[str, ModelPair] = {}
    failures: dict[str, Measurement] = {}
    variants = bundle.manifest.variants.items()
    for name in (name for name, each in variants if name != FLOAT32 and device in each.devices):
        try:
            models[name] = _proven(load_bundle(bundle_dir, name, trusted_key), device, threads, limit)
        except EdgeError as error:
            failures[name] = Measurement(None, False, str(error))
    return models, failures


def _log(choice: Choice) -> None:
    logger.info("%s, %s, onnxruntime %s", choice.device, choice.processor, choice.onnxruntime)
    for name, measurement in choice.measurements.items():
        time_ms = "-" if measurement.median_ms is None else f"{measurement.median_ms:.1f} ms"
        logger.info("%-10s %10s  %s", name, time_ms, measurement.remark or "reproduces its golden cases")
    logger.info("Chosen: %s. %s", choice.variant, choice.reason)


if __name__ == "__main__":
    sys.exit(main())
