"""Proof that a deployment gives its known answers on this PC: replayed, timed, kept, printable."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.choose import Limit, choose
from edge_app.errors import EdgeError, NotCertified
from edge_app.installed.home import Deployment, Home, replace_file
from edge_app.installed.preflight import memory_bytes, system_version
from edge_app.installed.release import SUMS, Release, read_release, sha256_of_file
from edge_app.model.bundle import MANIFEST, load_bundle
from edge_app.model.choice import Choice, processor_name, write_choice
from edge_app.model.inference import devices_to_try

JSON = "certificate.json"
TEXT = "certificate.txt"
SCHEMA_VERSION = 1
NOTICE = "Assistive tool, not a diagnosis."


def certify(home: Home, deployment: Deployment, limit: Limit = nullcontext) -> Path:
    """Replay the golden cases in each precision on each device, choose the fastest, and write it down.

    Args:
        home: The installation.
        deployment: What is proven; the program is that of this process.
        limit: What the first answer of each precision on each device is held by.

    Returns:
        The certificate as text; JSON lies beside it.

    Raises:
        NotCertified: a known answer was not given.
    """
    bundle_dir, folder = home.model(deployment.number), home.folder(deployment.number)
    key = home.key(deployment.number)
    measure = partial(choose, bundle_dir, trusted_key=key, limit=limit)
    trials = try_devices(devices_to_try("auto"), measure)
    write_choice(bundle_dir, trials.best)
    content = _content(home.program(deployment), bundle_dir, trials)
    text = render(content)
    replace_file(folder / JSON, (json.dumps(content, indent=2) + "\n").encode())
    replace_file(folder / TEXT, text.encode())
    return folder / TEXT


def certified_device(home: Home, deployment: Deployment) -> str:
    """Return the device to start with: `cpu` where that was chosen, else `auto`.

    A GPU that was chosen may be taken out, or lose its driver; the app then goes on with the CPU.
    """
    try:
        content = json.loads((home.folder(deployment.number) / JSON).read_bytes())
        return "cpu" if content["chosen"]["device"] == "cpu" else "auto"
    except (OSError, ValueError, KeyError, TypeError):
        return "auto"


def not_certified(reason: object) -> NotCertified:
    """Return the error that tells why a PC is not certified."""
    return NotCertified(f"The app was not certified on this PC, so nothing was switched. {reason}")


@dataclass(frozen=True)
class Trials:
    """By device, what was measured where it gives the known answers, and why another does not give them."""

    choices: Mapping[str, Choice]
    failures: Mapping[str, str]

    @property
    def best(self) -> Choice:
        """The fastest device's."""
        return min(self.choices.values(), key=_time_ms)


def try_devices(devices: Sequence[str], measure: Callable[[str], Choice]) -> Trials:
    """Measure each device; a GPU that does not work is no reason to stop, a CPU is.

    Args:
        devices: `cuda`, `cpu` or both.
        measure: Proves and times the model on a device.

    Raises:
        NotCertified: the CPU does not give the known answers.
    """
    choices, failures = {}, {}
    for device in devices:
        try:
            choices[device] = measure(device)
        except EdgeError as error:
            if device == "cpu":
                raise not_certified(error) from error
            failures[device] = str(error)
    return Trials(choices, failures)


def explain_device(released_for: str, trials: Trials) -> str:
    """Tell in a sentence why the app runs on the device that was chosen.

    Args:
        released_for: `cpu` or `gpu`, which file was installed.
        trials: What came of each device.
    """
    if trials.best.device == "cuda":
        return "The NVIDIA GPU was the fastest."
    if released_for == "cpu":
        return "This release is for the CPU."
    if "cuda" in trials.choices:
        return "The NVIDIA GPU works, but the CPU was as fast, so the app runs on the CPU."
    if "cuda" in trials.failures:
        return "The NVIDIA GPU does not give the known answers, so the app runs on the CPU."
    return "This PC has no NVIDIA driver, so the app runs on the CPU."


def _time_ms(choice: Choice) -> float:
    return choice.measurements[choice.variant].median_ms or float("inf")


def _content(program: Path, bundle_dir: Path, trials: Trials) -> dict[str, Any]:
    release, best = read_release(program), trials.best
    manifest = load_bundle(bundle_dir).manifest
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": "certified",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "computer": _computer(),
        "program": _program(release, program, best),
        "model": {
            "name": manifest.name,
            "version": manifest.version,
            "manifest_sha256": sha256_of_file(bundle_dir / MANIFEST),
        },
        "golden_cases": len(manifest.golden),
        "measured": {
            device: {name: asdict(figure) for name, figure in choice.measurements.items()}
            for device, choice in trials.choices.items()
        },
        "failed": dict(trials.failures),
        "chosen": {
            "device": best.device,
            "device_reason": explain_device(release.device, trials),
            "precision": best.variant,
            "reason": best.reason,
        },
        "notice": NOTICE,
    }


def _computer() -> dict[str, Any]:
    return {
        "name": platform.node(),
        "system": platform.platform(),
        "library": ("Windows " if sys.platform == "win32" else "glibc ")
        + ".".join(map(str, system_version())),
        "processor": processor_name(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(memory_bytes() / 1e9, 1),
    }


def _program(release: Release, program: Path, choice: Choice) -> dict[str, Any]:
    return {
        "version": release.version,
        "target": f"{release.target}-{release.device}",
        "release_sha256": sha256_of_file(program / SUMS),
        "python": platform.python_version(),
        "onnxruntime": choice.onnxruntime,
        "numpy": np.__version__,
    }


def render(content: Mapping[str, Any]) -> str:
    """Return a certificate as a page of text to print.

    Args:
        content: The certificate as JSON holds it.
    """
    lines = ["FRACTURE EDGE: CERTIFICATE OF THIS PC", ""]
    for part in ("computer", "program", "model"):
        lines += [
            f"{part.capitalize()}",
            *(f"  {name:16} {value}" for name, value in content[part].items()),
            "",
        ]
    lines += [f"Golden cases: {content['golden_cases']}, replayed in each precision on each device"]
    for device, figures in content["measured"].items():
        lines += [_figure(device, name, figure) for name, figure in figures.items()]
    lines += [f"  {device:5} {reason}" for device, reason in content["failed"].items()]
    chosen = content["chosen"]
    lines += [
        "",
        f"Chosen: {chosen['precision']} on {chosen['device']}. {chosen['device_reason']}",
        chosen["reason"],
        f"Verdict: {content['verdict']}, {content['date']}",
        "",
        content["notice"],
    ]
    return "\n".join(lines) + "\n"


def _figure(device: str, name: str, figure: Mapping[str, Any]) -> str:
    time = f"{figure['median_ms']:8.1f} ms" if figure["median_ms"] is not None else f"{'-':>11}"
    return f"  {device:5} {name:10} {time}  {figure['remark'] or 'reproduces every golden case'}"
