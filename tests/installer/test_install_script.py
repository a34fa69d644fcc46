"""The script on the stick, with a program in its Python's place that tells how it was called."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from installer.launchers import HERE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a script for Linux")
PYTHON = """#!/bin/sh
[ "$2" = '' ] || printf '%s\\n' "$PWD" "$@"
"""


def write_stick(folder: Path) -> Path:
    """Write a release of the script and the program; return the script."""
    python = folder / "runtime" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    script = folder / "install.sh"
    script.write_text((HERE / "linux" / "install.sh").read_text().replace("@GLIBC@", "2.0"))
    for path in (python, script):
        path.chmod(0o755)
    sums = (
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n"
        for path in (script, python)
    )
    (folder / "SHA256SUMS").write_text("".join(sums))
    return script


def test_relative_paths_are_those_of_the_folder_where_it_was_called(tmp_path: Path) -> None:
    script = write_stick(tmp_path / "a stick")
    words = (script, "--prefix", "clinic", "--trusted-key", "clinic.pub.pem")
    called = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    check, where, *rest = called.stdout.splitlines()
    assert check == "Checking that every file is as it was released ... yes"
    assert where == str(tmp_path)
    assert rest == [
        *("-IB", "-m", "edge_app.installed", "install", "--source", str(script.parent)),
        *("--prefix", "clinic", "--trusted-key", "clinic.pub.pem"),
    ]


def test_altered_file_is_refused(tmp_path: Path) -> None:
    script = write_stick(tmp_path / "stick")
    (script.parent / "runtime" / "bin" / "python3").write_text(f"{PYTHON}#")
    refused = subprocess.run([script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode == 5
    assert "copy it to the stick again" in refused.stderr
