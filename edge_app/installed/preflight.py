"""Whether a PC is fit for a release: asked before anything is copied."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_app.errors import UnfitComputer
from edge_app.installed.release import Release
from edge_app.settings import LOOPBACK

_MAX_PATH = 260  # characters, on Windows without a registry change
_RELEASE_LENGTH = len("/versions/") + len("/00000000-00000000")
# What a deployment's model and its certificate need besides the program.
_ALLOWANCE_BYTES = 150_000_000
_HAS_AVX2 = 40  # PF_AVX2_INSTRUCTIONS_AVAILABLE


@dataclass(frozen=True)
class Facts:
    """What a PC has. `system_version` is that of glibc or Windows; sizes in bytes.

    `strangers` is what lies where the app is to be installed and did not come with it.
    """

    system: str
    machine: str
    avx2: bool
    memory_bytes: int
    free_bytes: int
    system_version: tuple[int, ...]
    writable: bool
    port_is_free: bool
    prefix_length: int
    strangers: Sequence[str] = ()


@dataclass(frozen=True)
class Check:
    """One thing that a PC needs, in words."""

    name: str
    needed: str
    present: str
    passed: bool
    advice: str

    def __str__(self) -> str:
        verdict = "ok" if self.passed else "NO"
        return f"  {verdict}  {self.name}: {self.present} (needed: {self.needed})"


def checks(release: Release, facts: Facts, copied: bool, port: int) -> list[Check]:
    """Hold a PC against a release.

    Args:
        release: What is to be installed.
        facts: What the PC has.
        copied: Whether the release's files need space of their own here.
        port: Where the app will listen.

    Returns:
        Every check, passed or not.
    """
    space = space_bytes(release) if copied else _ALLOWANCE_BYTES
    library = "glibc" if release.system == "linux" else "Windows"
    path_length = facts.prefix_length + release.longest_path
    return [
        Check(
            "processor",
            f"64-bit x86 with AVX2, {release.system}",
            f"{facts.machine}{' with AVX2' if facts.avx2 else ' without AVX2'}, {facts.system}",
            facts.machine in ("x86_64", "AMD64") and facts.avx2 and facts.system == release.system,
            "Use a PC of 2014 or later, and the file for its system.",
        ),
        Check(
            library,
            _dotted(release.system_version),
            _dotted(facts.system_version),
            facts.system_version >= release.system_version,
            "Use a newer version of the operating system.",
        ),
        Check(
            "memory",
            _gigabytes(release.memory_bytes),
            _gigabytes(facts.memory_bytes),
            facts.memory_bytes >= release.memory_bytes,
            "Use a PC with more memory.",
        ),
        Check(
            "free disk",
            _gigabytes(space),
            _gigabytes(facts.free_bytes),
            facts.free_bytes >= space,
            "Free space, or install elsewhere with --prefix.",
        ),
        Check(
            "right to write",
            "yes",
            "yes" if facts.writable else "no",
            facts.writable,
            "Install as administrator, or elsewhere with --prefix.",
        ),
        Check(
            "folder",
            "a folder of its own",
            f"it also holds {_some(facts.strangers)}" if facts.strangers else "its own",
            not facts.strangers,
            "Name one that does not exist yet with --prefix (Windows: /D=).",
        ),
        Check(
            f"port {port}",
            "free",
            "free" if facts.port_is_free else "used by another program",
            facts.port_is_free,
            "Choose another with --port.",
        ),
        Check(
            "length of paths",
            f"under {_MAX_PATH}" if release.system == "windows" else "any",
            str(path_length),
            release.system != "windows" or path_length < _MAX_PATH,
            "Install into a folder with a shorter path with --prefix (Windows: /D=).",
        ),
    ]


def space_bytes(release: Release) -> int:
    """Return what a release needs on a disk, with a model and its certificate."""
    return release.disk_bytes + _ALLOWANCE_BYTES


def longest_prefix(release: Release) -> int:
    """Return how many characters the folder may have on Windows that a release is installed in."""
    return _MAX_PATH - 1 - _RELEASE_LENGTH - release.longest_path


def require(results: list[Check]) -> None:
    """Stop where a check failed.

    Raises:
        UnfitComputer: names each failed check, and what to do.
    """
    failed = [check for check in results if not check.passed]
    if failed:
        told = " ".join(
            f"{each.name}: {each.present}, needed is {each.needed}. {each.advice}" for each in failed
        )
        raise UnfitComputer(f"This PC cannot run Fracture Edge. {told} Nothing was changed.")


def facts_of(prefix: Path, port_is_free: bool, strangers: Sequence[str] = ()) -> Facts:
    """Ask this PC what it has.

    Args:
        prefix: Where the app is to be installed; it need not exist yet.
        port_is_free: Whether nobody but the app itself listens on its port.
        strangers: What lies there that did not come with the app.
    """
    existing = next(path for path in [prefix, *prefix.parents] if path.exists())
    return Facts(
        system="windows" if sys.platform == "win32" else sys.platform,
        machine=platform.machine(),
        avx2=_has_avx2(),
        memory_bytes=memory_bytes(),
        free_bytes=shutil.disk_usage(existing).free,
        system_version=system_version(),
        writable=_may_write(existing),
        port_is_free=port_is_free,
        prefix_length=len(str(prefix)) + _RELEASE_LENGTH,
        strangers=strangers,
    )


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port of this PC."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((LOOPBACK, port)) != 0


if sys.platform == "win32":
    import ctypes

    import psutil

    def memory_bytes() -> int:
        """Return how much memory the PC has."""
        return int(psutil.virtual_memory().total)

    def system_version() -> tuple[int, ...]:
        """Return the version of Windows, such as (10, 0, 19045), whatever the program's manifest claims.

        Source: RtlGetVersion, OSVERSIONINFOW: five numbers and a text of 128 characters.
        """
        version = (ctypes.c_ulong * (5 + 64))()
        version[0] = ctypes.sizeof(version)
        ctypes.windll.ntdll.RtlGetVersion(ctypes.byref(version))
        return version[1], version[2], version[3]

    def _has_avx2() -> bool:
        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(_HAS_AVX2))

else:

    def memory_bytes() -> int:
        """Return how much memory the PC has; asked of the kernel, since a chroot may lack /proc."""
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")

    def system_version() -> tuple[int, ...]:
        """Return the version of glibc, such as (2, 36); (0,) where there is none."""
        try:
            told = os.confstr("CS_GNU_LIBC_VERSION") or ""
        except (ValueError, OSError):
            return (0,)
        return tuple(int(part) for part in told.removeprefix("glibc ").split(".") if part.isdigit())

    def _has_avx2() -> bool:
        try:
            return " avx2 " in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").replace(
                "\n", " \n"
            )
        except OSError:
            return True  # a system that hides its processor; certification will tell


def _may_write(existing: Path) -> bool:
    """Try it: on Windows, and on disks that are mounted read-only, rights alone do not tell."""
    try:
        with tempfile.TemporaryFile(dir=existing):
            return True
    except OSError:
        return False


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:3], *(["..."] if len(names) > 3 else [])])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _gigabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"
