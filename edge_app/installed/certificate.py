"""Proof that a deployment gives its known answers on this PC: replayed, timed, kept, printable."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.choose import Limit, choose
from edge_app.errors import DeviceError, EdgeError, NotCertified
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
    choices = _choices(bundle_dir, home.key(deployment.number), limit)
    best = min(choices.values(), key=_time_ms)
    write_choice(bundle_dir, best)
    content = _content(home.program(deployment), bundle_dir, choices, best)
    text = render(content)
    replace_file(folder / JSON, (json.dumps(content, indent=2) + "\n").encode())
    replace_file(folder / TEXT, text.encode())
    return folder / TEXT


def certified_device(home: Home, deployment: Deployment) -> str:
    """Return the device that certification chose, `auto` where there is no certificate."""
    try:
        content = json.loads((home.folder(deployment.number) / JSON).read_bytes())
        return str(content["chosen"]["device"])
    except (OSError, ValueError, KeyError, TypeError):
        return "auto"


def not_certified(reason: object) -> NotCertified:
    """Return the error that tells why a PC is not certified."""
    return NotCertified(f"The app was not certified on this PC, so nothing was switched. {reason}")


def _choices(bundle_dir: Path, trusted_key: Path | None, limit: Limit) -> dict[str, Choice]:
    """Measure each device; a GPU that does not work is no reason to stop, a CPU is."""
    choices = {}
    try:
        for device in devices_to_try("auto"):
            try:
                choices[device] = choose(bundle_dir, device, trusted_key=trusted_key, limit=limit)
            except DeviceError:
                if device == "cpu":
                    raise
    except EdgeError as error:
        raise not_certified(error) from error
    return choices


def _time_ms(choice: Choice) -> float:
    return choice.measurements[choice.variant].median_ms or float("inf")


def _content(
    program: Path, bundle_dir: Path, choices: Mapping[str, Choice], best: Choice
) -> dict[str, Any]:
    release = read_release(program)
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
            for device, choice in choices.items()
        },
        "chosen": {"device": best.device, "precision": best.variant, "reason": best.reason},
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
    chosen = content["chosen"]
    lines += [
        "",
        f"Chosen: {chosen['precision']} on {chosen['device']}. {chosen['reason']}",
        f"Verdict: {content['verdict']}, {content['date']}",
        "",
        content["notice"],
    ]
    return "\n".join(lines) + "\n"


def _figure(device: str, name: str, figure: Mapping[str, Any]) -> str:
    time = f"{figure['median_ms']:8.1f} ms" if figure["median_ms"] is not None else f"{'-':>11}"
    return f"  {device:5} {name:10} {time}  {figure['remark'] or 'reproduces every golden case'}"
