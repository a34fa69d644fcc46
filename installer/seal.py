"""A staging tree becomes a release: what it says of itself, its parts, its hashes, its signature."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_app.errors import SettingsError
from edge_app.installed.release import (
    FACTS,
    SCHEMA_VERSION,
    SIGNER,
    SUMS,
    SUMS_SIGNATURE,
    render_sums,
    sha256_of_file,
)
from installer import parts
from installer.recipe import PYTHON, Recipe

PARTS = "sbom.cdx.json"
# Windows 10 of 2018 (1809), the oldest that NumPy, ONNX Runtime and CPython are built for together.
_OLDEST_WINDOWS = (10, 0, 17763)
# The app holds about 250 MB; the rest is the operating system's and the browser's.
_MEMORY_BYTES = 2_000_000_000
_GLIBC = re.compile(rb"GLIBC_2\.(\d+)")
_PROGRAMS = {".sh", ".exe", ""}


def seal(recipe: Recipe, tree: Path, runtime: str, packages: Sequence[Distribution]) -> None:
    """Write what a PC checks before it takes a release.

    Args:
        recipe: The build.
        tree: The staging tree.
        runtime: In words, where its Python comes from.
        packages: The Python packages in it.

    Raises:
        SettingsError: the recipe's key does not sign.
    """
    python = _python_version(tree, recipe.target.system)
    (tree / PARTS).write_text(parts.bill_of_materials(recipe, tree, python, packages), encoding="utf-8")
    facts = _facts(recipe, tree, python, runtime)
    (tree / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    if recipe.target.system == "linux":
        _name_glibc(tree / "install.sh", facts["system_version"])
    write_sums(tree)
    if recipe.sign_key is not None:
        sign(tree / SUMS, tree / SUMS_SIGNATURE, recipe.sign_key)
    settle(tree, recipe.epoch_s)


def write_sums(folder: Path) -> None:
    """Write the SHA-256 of every file in a folder."""
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    sums = {
        name: sha256_of_file(path) for name, path in names.items() if name not in (SUMS, SUMS_SIGNATURE)
    }
    (folder / SUMS).write_text(render_sums(sums), encoding="utf-8", newline="\n")


def sign(path: Path, signature: Path, key_path: Path) -> None:
    """Sign a file with Ed25519, as base64 text in another."""
    signature.write_bytes(base64.b64encode(_read_key(key_path).sign(path.read_bytes())) + b"\n")


def write_signer(key_path: Path, folder: Path) -> Path:
    """Write the public half of a key beside what it signs."""
    public = _read_key(key_path).public_key()
    told = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / SIGNER).write_bytes(told)
    return folder / SIGNER


def settle(tree: Path, epoch_s: int) -> None:
    """Give every file the same time and plain rights, so that two builds are equal."""
    for path in [tree, *sorted(tree.rglob("*"))]:
        path.chmod(0o755 if path.is_dir() or (path.suffix in _PROGRAMS and _starts(path)) else 0o644)
        os.utime(path, (epoch_s, epoch_s))


def _name_glibc(script: Path, version: Sequence[int]) -> None:
    """Tell the script, which runs before any Python, on what that Python runs."""
    text = script.read_text(encoding="utf-8").replace("@GLIBC@", ".".join(map(str, version)))
    script.write_text(text, encoding="utf-8")


def _starts(path: Path) -> bool:
    """Tell a program from a file without an ending."""
    with path.open("rb") as file:
        return file.read(4).startswith((b"\x7fELF", b"#!", b"MZ"))


def _facts(recipe: Recipe, tree: Path, python: str, runtime: str) -> dict[str, Any]:
    files = [path for path in tree.rglob("*") if path.is_file()]
    oldest = _oldest_glibc(files) if recipe.target.system == "linux" else _OLDEST_WINDOWS
    return {
        "schema_version": SCHEMA_VERSION,
        "version": recipe.version,
        "target": f"{recipe.target.system}-{recipe.target.machine}",
        "device": recipe.target.device,
        "system_version": oldest,
        "memory_bytes": _MEMORY_BYTES,
        "disk_bytes": sum(path.stat().st_size for path in files),
        "longest_path": max(len(path.relative_to(tree).as_posix()) for path in files),
        "python": python,
        "runtime": runtime,
        "created": datetime.fromtimestamp(recipe.epoch_s, UTC).isoformat(),
    }


def _oldest_glibc(files: list[Path]) -> tuple[int, int]:
    """Return the newest version of glibc that any file in the tree names."""
    minors = [0]
    for path in files:
        if path.suffix == ".so" or ".so." in path.name or path.name == "python3":
            minors += map(int, _GLIBC.findall(path.read_bytes()))
    return 2, max(minors)


def _python_version(tree: Path, system: str) -> str:
    """Ask the runtime its version; one of Windows tells it in its library's file."""
    if system == "linux":
        command = [
            str(tree / "runtime" / "bin" / "python3"),
            "-IBc",
            "import platform; print(platform.python_version())",
        ]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    data = (tree / "runtime" / f"python{PYTHON.replace('.', '')}.dll").read_bytes()
    found = re.search(re.escape(PYTHON).encode() + rb"\.\d+", data)
    return found[0].decode() if found else PYTHON


def _read_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            f"--sign-key {path} cannot be read as a private key without a passphrase."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(
            f"--sign-key {path}: expected an Ed25519 key, as `python -m export keygen` makes."
        )
    return key
