"""A release of three small files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from edge_app.installed.release import FACTS, SUMS, render_sums

CONTENT = {
    "schema_version": 1,
    "version": "1.2.3",
    "target": "linux-x86_64",
    "device": "cpu",
    "system_version": [2, 35],
    "memory_bytes": 2_000_000_000,
    "disk_bytes": 300_000_000,
    "longest_path": 150,
    "python": "3.11.7",
    "runtime": "drawn",
    "created": "2026-01-01T00:00:00+00:00",
}


def write_release(folder: Path, **changes: object) -> Path:
    """Write the release; `changes` replace what it says of itself."""
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    files = {FACTS: json.dumps({**CONTENT, **changes}), "a": "first", "sub/b é": "second"}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    (folder / SUMS).write_text(render_sums(sums), encoding="utf-8")
    return folder
