"""This machine's own CPython, made relocatable; for Linux, where nothing better can be had."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from edge_app.errors import InstallError
from installer.recipe import PYTHON

# Modules of the standard library that bring libraries which nothing here needs; readline is under the GPL.
_NOT_SHIPPED = re.compile(
    r"_tkinter|readline|nis|_curses|_gdbm|_dbm|_sqlite3|_crypt|_test|_xx|xx|ossaudiodev|spwd"
)
_PART_OF_GLIBC = re.compile(r"(libc|libm|libdl|libpthread|librt|libutil|libresolv|ld-linux-x86-64)\.so")
_SEGMENT = re.compile(r"^\s*LOAD\s+(0x\w+)\s+(0x\w+)\s.*\s(0x\w+)$", re.MULTILINE)
_SHARED_LIBRARY = re.compile(r"^\s*(\S+) => (/\S+)", re.MULTILINE)


def copy_python(runtime_dir: Path, licences_dir: Path) -> str:
    """Copy the interpreter, its standard library, and the libraries that both need beyond glibc.

    Args:
        runtime_dir: Where to; must not exist.
        licences_dir: Where the licences of copied libraries go.

    Returns:
        In words, what was copied.

    Raises:
        InstallError: this Python is of another version, or patchelf or a licence is missing.
    """
    _require_fit()
    library = runtime_dir / "lib" / f"python{PYTHON}"
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=_unwanted)
    (runtime_dir / "bin").mkdir()
    python = runtime_dir / "bin" / "python3"
    shutil.copy(Path(sys._base_executable).resolve(), python)  # type: ignore[attr-defined]
    modules = sorted((library / "lib-dynload").glob("*.so"))
    sources = _needed_libraries([python, *modules])
    for name, source in sources.items():
        shutil.copy(source, runtime_dir / "lib" / name)
        _copy_licence(name, source, licences_dir)
    strip_symbols([python, *modules, *(runtime_dir / "lib" / name for name in sources)])
    _search_beside(python, "$ORIGIN/../lib")
    for module in modules:
        _search_beside(module, "$ORIGIN/../..")
    for name in sources:
        _search_beside(runtime_dir / "lib" / name, "$ORIGIN")
    shutil.copy(library / "LICENSE.txt", licences_dir / "CPython.txt")
    return f"CPython {platform.python_version()} of the machine that built this"


def _require_fit() -> None:
    if platform.python_version_tuple()[:2] != tuple(PYTHON.split(".")):
        raise InstallError(
            f"This is Python {platform.python_version()}; the locks are for {PYTHON}. Build with that, "
            "or name a runtime with --runtime."
        )
    for program in ("patchelf", "ldd", "strip"):
        if shutil.which(program) is None:
            raise InstallError(
                f"{program} is needed to make this machine's Python relocatable: apt install {program}"
            )


def _unwanted(folder: str, names: list[str]) -> set[str]:
    if Path(folder).name == "lib-dynload":
        return {name for name in names if _NOT_SHIPPED.match(name)}
    return {name for name in names if name in ("site-packages", "dist-packages", "test", "__pycache__")}


def _needed_libraries(files: list[Path]) -> dict[str, Path]:
    """Ask the dynamic loader which libraries files need, directly or not; without those of glibc."""
    found: dict[str, Path] = {}
    for file in files:
        told = subprocess.run(["ldd", str(file)], capture_output=True, text=True, check=False).stdout
        found |= {name: Path(path).resolve() for name, path in _SHARED_LIBRARY.findall(told)}
    return {name: path for name, path in sorted(found.items()) if not _PART_OF_GLIBC.match(name)}


def _search_beside(file: Path, where: str) -> None:
    subprocess.run(["patchelf", "--set-rpath", where, str(file)], check=True)


def strip_symbols(files: list[Path]) -> None:
    """Leave out what only a debugger reads, where the loader takes the file afterwards.

    Raises:
        InstallError: strip or readelf is missing.
    """
    for program in ("strip", "readelf"):
        if shutil.which(program) is None:
            raise InstallError(f"{program} is needed to build for Linux: apt install binutils")
    for file in files:
        stripped = file.with_name(f"{file.name}.stripped")
        subprocess.run(["strip", "--strip-unneeded", "-o", str(stripped), str(file)], check=True)
        if _is_aligned(stripped):
            stripped.replace(file)
        else:
            stripped.unlink()
        file.chmod(0o755)


def _is_aligned(file: Path) -> bool:
    """Tell whether the segments lie in the file as in memory; strip misplaces what patchelf moved."""
    told = subprocess.run(["readelf", "-lW", str(file)], capture_output=True, text=True, check=True).stdout
    segments = [[int(word, 16) for word in match] for match in _SEGMENT.findall(told)]
    return bool(segments) and all((offset - address) % align == 0 for offset, address, align in segments)


def _copy_licence(name: str, source: Path, licences_dir: Path) -> None:
    if name.startswith("libpython"):
        return  # CPython's own
    told = subprocess.run(
        ["dpkg", "-S", f"*/{source.name}"], capture_output=True, text=True, check=False
    ).stdout
    for package in re.findall(r"^([^:\s]+)", told, re.MULTILINE):
        licence = Path("/usr/share/doc") / package / "copyright"
        if licence.is_file():
            shutil.copy(licence, licences_dir / f"{name}.txt")
            return
    raise InstallError(f"No licence of {source} was found on this machine, so it cannot be passed on.")
