"""What starts the app on the PC: scripts, a service, icons; on Windows two small programs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from edge_app.errors import InstallError
from installer.recipe import Recipe

HERE = Path(__file__).resolve().parent
_COMPILER = "x86_64-w64-mingw32-gcc"
# The program without a console is for icons and for the start at log-in.
_PROGRAMS = {"fracture-edge.exe": [], "fracture-edge-window.exe": ["-mwindows", "-DWINDOWED"]}


def lay_launchers(recipe: Recipe, tree: Path, site_dir: Path) -> None:
    """Put the launchers of a system into the staging tree.

    Args:
        recipe: Says which system.
        tree: The staging tree.
        site_dir: Holds the app, whose icon this is.

    Raises:
        InstallError: the compiler for Windows is missing.
    """
    (tree / "system" / "bin").mkdir(parents=True)
    shutil.copy(site_dir / "edge_app" / "web" / "static" / "icon.svg", tree / "icon.svg")
    if recipe.target.system == "windows":
        _compile_programs(tree / "system" / "bin")
        shutil.copy(HERE / "windows" / "icon.ico", tree / "icon.ico")
    else:
        _lay_scripts(recipe, tree)


def _lay_scripts(recipe: Recipe, tree: Path) -> None:
    gpu = recipe.target.device == "gpu"
    # CUDA needs its device files, and compiles its kernels into memory that it then runs.
    words = {"@PRIVATE_DEVICES@": "no" if gpu else "yes", "@NO_NEW_CODE@": "no" if gpu else "yes"}
    shutil.copy(HERE / "linux" / "install.sh", tree / "install.sh")
    shutil.copy(HERE / "linux" / "fracture-edge.sh", tree / "system" / "bin" / "fracture-edge")
    for name in ("fracture-edge.service", "fracture-edge.desktop"):
        text = (HERE / "linux" / name).read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        (tree / "system" / name).write_text(text, encoding="utf-8")


def _compile_programs(folder: Path) -> None:
    if shutil.which(_COMPILER) is None:
        raise InstallError(f"{_COMPILER} is needed for Windows: apt install gcc-mingw-w64-x86-64-win32")
    source = HERE / "windows" / "launcher.c"
    for name, options in _PROGRAMS.items():
        command = [
            _COMPILER,
            "-O2",
            "-s",
            "-municode",
            "-static",
            "-Wall",
            "-Werror",
            "-Wl,--no-insert-timestamp",
        ]
        done = subprocess.run(
            [*command, *options, "-o", str(folder / name), str(source)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise InstallError(f"{name} could not be compiled: {done.stderr}")
