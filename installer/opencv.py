"""OpenCV without video: its Linux wheel brings FFmpeg, an old OpenSSL and OpenBLAS, never called here.

The extension module names these libraries, so the loader wants them. In the clinic they are stand-ins whose
functions stop the program: 80 MB less on the stick, and nothing of theirs to keep up to date.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edge_app.errors import InstallError

_LIBRARIES = "opencv_python_headless.libs"
_MODULE = "cv2/cv2.abi3.so"
# What an image needs; every other library is for video, for AVIF pictures or for linear algebra.
_KEPT = re.compile(r"lib(png|z)")
_FUNCTION = "T"


def replace_video(site_dir: Path) -> None:
    """Put stand-ins in the place of the libraries that the app never calls, and delete what only they need.

    Args:
        site_dir: The packages, with OpenCV's Linux wheel among them.

    Raises:
        InstallError: a tool is missing, or the wheel asks for more than functions.
    """
    for program in ("gcc", "nm", "readelf"):
        if shutil.which(program) is None:
            raise InstallError(f"{program} is needed to build for Linux: apt install gcc binutils")
    needed = set(
        re.findall(r"\(NEEDED\).*\[(.+)\]", _output("readelf", "--dynamic", str(site_dir / _MODULE)))
    )
    wanted = set(_symbols(site_dir / _MODULE, "--undefined-only"))
    for library in sorted((site_dir / _LIBRARIES).iterdir()):
        if _KEPT.match(library.name):
            continue
        symbols = [
            (name, kind) for name, kind in _symbols(library, "--defined-only").items() if name in wanted
        ]
        library.unlink()
        if library.name in needed:
            _write_stand_in(library, symbols)


def _symbols(file: Path, which: str) -> dict[str, str]:
    """Return dynamic symbols, such as `av_free@LIBAVUTIL_60`, and their kind in nm's letters."""
    lines = [line.split() for line in _output("nm", "--dynamic", which, str(file)).splitlines()]
    return {words[-1].replace("@@", "@"): words[-2] for words in lines}


def _write_stand_in(library: Path, symbols: Sequence[tuple[str, str]]) -> None:
    """Compile a library that has the functions' names and versions, and nothing in them."""
    other = [name for name, kind in symbols if kind != _FUNCTION]
    if other:
        raise InstallError(f"OpenCV takes {', '.join(other)} of {library.name}, which is no function.")
    versions: dict[str, list[str]] = {}
    for name, _ in symbols:
        function, _, version = name.partition("@")
        versions.setdefault(version, []).append(function)
    source = "".join(
        f"void {name.partition('@')[0]}(void) {{ __builtin_trap(); }}\n" for name, _ in symbols
    )
    script = "".join(
        f"{version} {{ global: {'; '.join(names)}; }};\n" for version, names in versions.items() if version
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "empty.c").write_text(source, encoding="ascii")
        (Path(folder) / "versions").write_text(script, encoding="ascii")
        options = [
            "-shared",
            "-nostdlib",
            "-fPIC",
            "-s",
            "-w",
            "-Wl,--build-id=none",
            f"-Wl,-soname,{library.name}",
        ]
        scripted = [f"-Wl,--version-script,{folder}/versions"] if script else []
        _output("gcc", *options, *scripted, "-o", str(library), f"{folder}/empty.c")


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout
