"""Where the stick's own Python comes from."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edge_app.errors import InstallError
from installer import machine
from installer.recipe import AUTO, PYTHON, Recipe, Target

# Nothing in the clinic calls these; idlelib and its kind are for people who write Python.
_NOT_SHIPPED = (
    *(
        "test",
        "idlelib",
        "tkinter",
        "turtledemo",
        "turtle.py",
        "ensurepip",
        "lib2to3",
        "pydoc_data",
        "venv",
    ),
    *(
        "sqlite3",
        "dbm",
        "curses",
        "distutils",
        "site-packages",
        "dist-packages",
        "config-*",
        "**/__pycache__",
    ),
)
_UV_NAMES = {
    "linux": f"cpython-{PYTHON}-linux-x86_64-gnu",
    "windows": f"cpython-{PYTHON}-windows-x86_64-none",
}

logger = logging.getLogger("installer")


@dataclass(frozen=True)
class Layout:
    """Where things lie in a runtime, relative to it."""

    python: str
    library: str

    @property
    def site(self) -> str:
        """The folder of the packages."""
        return f"{self.library}/site-packages"


LAYOUTS = {
    "linux": Layout("bin/python3", f"lib/python{PYTHON}"),
    "windows": Layout("python.exe", "Lib"),
}


def lay_runtime(recipe: Recipe, runtime_dir: Path, licences_dir: Path) -> str:
    """Copy a relocatable CPython and leave out what the clinic does not need.

    Args:
        recipe: Says which.
        runtime_dir: Where to; must not exist.
        licences_dir: Where the licences of copied libraries go.

    Returns:
        In words, where the runtime comes from.

    Raises:
        InstallError: there is none to be had, or it is of another version.
    """
    source = (
        _lay_auto(recipe.target, runtime_dir, licences_dir)
        if recipe.runtime == AUTO
        else _lay_given(recipe, runtime_dir)
    )
    layout = LAYOUTS[recipe.target.system]
    if (
        not (runtime_dir / layout.python).is_file()
        or not (runtime_dir / layout.library / "os.py").is_file()
    ):
        raise InstallError(
            f"{recipe.runtime} holds no CPython for {recipe.target.system}: expected {layout.python} and "
            f"{layout.library}/os.py in it."
        )
    _prune(runtime_dir / layout.library)
    (runtime_dir / layout.site).mkdir()
    return source


def _lay_auto(target: Target, runtime_dir: Path, licences_dir: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "uv", "python", "install", _UV_NAMES[target.system]),
            "--install-dir",
            folder,
        ]
        done = subprocess.run([*command, "--no-bin"], capture_output=True, text=True, check=False)
        found = sorted(path for path in Path(folder).glob("cpython-*") if not path.is_symlink())
        if done.returncode == 0 and found:
            _copy(found[0], runtime_dir)
            return f"python-build-standalone, {found[0].name}"
    if target.system != "linux":
        raise InstallError(
            "python-build-standalone cannot be downloaded here, and only Linux can do with this machine's "
            f"Python. Bring a relocatable CPython {PYTHON} for Windows and name it with --runtime."
        )
    logger.info("python-build-standalone cannot be downloaded here: taking this machine's CPython.")
    return machine.copy_python(runtime_dir, licences_dir)


def _lay_given(recipe: Recipe, runtime_dir: Path) -> str:
    given = Path(recipe.runtime)
    if given.is_dir():
        _copy(given, runtime_dir)
        return f"given folder {given.name}"
    with tempfile.TemporaryDirectory() as folder:
        options = {"filter": "data"} if ".tar" in given.name or given.suffix == ".tgz" else {}
        shutil.unpack_archive(given, folder, **options)  # type: ignore[arg-type]
        library = LAYOUTS[recipe.target.system].library
        roots = [
            os_py.parents[len(Path(library).parts)] for os_py in Path(folder).rglob(f"{library}/os.py")
        ]
        if not roots:
            raise InstallError(
                f"{given} holds no CPython for {recipe.target.system}: {library}/os.py is not in it."
            )
        _copy(min(roots), runtime_dir)
    return f"given archive {given.name}"


def _copy(source: Path, runtime_dir: Path) -> None:
    """Copy with every link resolved: a stick's file system knows no links."""
    shutil.copytree(
        source,
        runtime_dir,
        ignore=shutil.ignore_patterns("python3.1", "python3-config", "share", "include", "*.a"),
    )
    for path in sorted((runtime_dir / "bin").glob("*")):
        if path.name != "python3":
            path.unlink()


def _prune(library: Path) -> None:
    for pattern in _NOT_SHIPPED:
        for path in sorted(library.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
