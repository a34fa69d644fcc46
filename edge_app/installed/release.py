"""A release: the folder on the stick, what it says of itself, and whether it is whole and from whom."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_app.errors import BundleError, DamagedFiles, ReleaseRefused
from edge_app.model.signature import read_key, verify_manifest

FACTS = "release.json"
SUMS = "SHA256SUMS"
SUMS_SIGNATURE = "SHA256SUMS.sig"
SIGNER = "signer.pub.pem"
MODEL = "model"
SCHEMA_VERSION = 1
COPY_AGAIN = "The file is damaged, or its copy was cut off: copy it to the stick again."

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Release:
    """What `release.json` says: which PCs the release is for, and what it needs there.

    `target` is linux-x86_64 or windows-x86_64, `device` cpu or gpu. `system_version` is the oldest glibc
    (2, 35) or Windows (10, 0, 17763). `disk_bytes` is the size of its files, `longest_path` that of the
    longest path in it, in characters. `python` and `runtime` tell its own Python and where that comes from.
    """

    version: str
    target: str
    device: str
    system_version: tuple[int, ...]
    memory_bytes: int
    disk_bytes: int
    longest_path: int
    python: str
    runtime: str
    created: str

    @property
    def system(self) -> str:
        """`linux` or `windows`."""
        return self.target.partition("-")[0]

    @property
    def order(self) -> tuple[int, ...]:
        """The version as numbers, so that 0.10 is newer than 0.9."""
        return tuple(int(part) for part in re.findall(r"\d+", self.version))


def read_release(folder: Path) -> Release:
    """Read what a release says of itself.

    Raises:
        DamagedFiles: it says nothing that can be understood.
    """
    try:
        content: dict[str, Any] = json.loads((folder / FACTS).read_bytes())
        if content.pop("schema_version") != SCHEMA_VERSION:
            raise ReleaseRefused(
                f"{folder / FACTS} has another schema than {SCHEMA_VERSION}. Use its own installer."
            )
        content["system_version"] = tuple(content["system_version"])
        return Release(**content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedFiles(f"{folder / FACTS} cannot be read. {COPY_AGAIN}") from error


def release_id(folder: Path) -> str:
    """Return eight digits that differ between releases of different content."""
    return sha256_of_file(folder / SUMS)[:8]


def verify_release(folder: Path) -> int:
    """Hash every file of a release.

    Args:
        folder: On the stick or on the PC.

    Returns:
        How many files are as they were released.

    Raises:
        DamagedFiles: a file is missing, altered or not part of the release; says which.
    """
    sums = read_sums(folder)
    here = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for name in sorted(sums.keys() - here):
        raise DamagedFiles(f"{name} is missing from {folder}. {COPY_AGAIN}")
    for name in sorted(here - sums.keys() - {SUMS, SUMS_SIGNATURE}):
        raise DamagedFiles(f"{name} in {folder} is not part of the release. {COPY_AGAIN}")
    for name, sha256 in sums.items():
        if sha256_of_file(folder / name) != sha256:
            raise DamagedFiles(f"{name} in {folder} is not the file that was released. {COPY_AGAIN}")
    return len(sums)


def verify_signer(folder: Path, trusted_key: Path) -> None:
    """Refuse a release that was not signed with a key.

    Args:
        folder: The release.
        trusted_key: A PEM file with an Ed25519 public key.

    Raises:
        ReleaseRefused: there is no signature, or it is not that key's.
        BundleError: the file holds no such key.
    """
    read_key(trusted_key)
    try:
        signature = (folder / SUMS_SIGNATURE).read_bytes()
    except OSError as error:
        raise ReleaseRefused(
            f"The release in {folder} is not signed, and this PC asks for the signature of {trusted_key}. "
            "Get the file again from whom you trust."
        ) from error
    try:
        verify_manifest((folder / SUMS).read_bytes(), signature, trusted_key)
    except BundleError as error:
        raise ReleaseRefused(
            f"The release in {folder} is not signed with the key {trusted_key}. Do not install it; get the "
            "file again from whom you trust."
        ) from error


def read_sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file by its path; only the exact form that the build writes is taken.

    Raises:
        DamagedFiles: the list is missing or not of that form.
    """
    try:
        text = (folder / SUMS).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedFiles(f"{folder / SUMS} cannot be read. {COPY_AGAIN}") from error
    matches = [_LINE.fullmatch(line) for line in text.splitlines()]
    sums = {match[2]: match[1] for match in matches if match}
    if render_sums(sums) != text:
        raise DamagedFiles(f"{folder / SUMS} is not as it was written. {COPY_AGAIN}")
    return sums


def render_sums(sums: dict[str, str]) -> str:
    """Return the list as `sha256sum -c` reads it, in the order of paths."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def sha256_of_file(path: Path) -> str:
    """Return a file's SHA-256 as lower-case hexadecimal digits.

    Raises:
        DamagedFiles: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise DamagedFiles(f"{path} cannot be read: {error.strerror}. {COPY_AGAIN}") from error
    return digest.hexdigest()
