"""Where an installation lies, which version is current, and the one step that changes that.

PREFIX/
├── current           the program's folder, and the deployment's number: the only file that is ever replaced
├── versions/NAME/    a release as it was on the stick
├── deployments/N/    a model, the certificate of both on this PC, deployment.json, and, where a
│                     key must have signed both and what follows them, that key: trusted.pub.pem
└── bin/              the command; reads `current`
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

from edge_app.errors import DamagedFiles, InstallError, NotWritable
from edge_app.model.choice import CHOICE

_UNFINISHED = ".unfinished"
_KEY = "trusted.pub.pem"
# `current` first: once it is gone, nothing is installed.
_OWN = (
    "current",
    "versions",
    "deployments",
    "icon.*",
    "guide-*.html",
    "bin/fracture-edge*",
    f"bin/.*{_UNFINISHED}",
    f".*{_UNFINISHED}",
    ".model-*",
    ".lock",
)
# They hold what is theirs: our own folder of commands, and what dpkg and Windows uninstall by.
_KNOWN = (*_OWN, "bin", "package", "uninstall.exe")


@dataclass(frozen=True)
class Deployment:
    """A program with a model, as a PC ran it or runs it.

    `program` is relative to the installation. `previous` is the deployment that one returns to.
    """

    number: int
    program: str
    port: int
    previous: int | None


class Home:
    """An installation's folder.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.versions = path / "versions"
        self.deployments = path / "deployments"
        self.command = path / "bin" / "fracture-edge"
        self._current = path / "current"

    @property
    def is_installed(self) -> bool:
        """Whether a version is current."""
        return self._current.is_file()

    def current(self) -> Deployment:
        """Return the deployment that runs.

        Raises:
            InstallError: nothing is installed.
            DamagedFiles: the record of it cannot be read.
        """
        try:
            _, number = self._current.read_text(encoding="utf-8").splitlines()
            return self.deployment(int(number))
        except FileNotFoundError as error:
            raise InstallError(
                f"Fracture Edge is not installed in {self.path}. Install it from the stick."
            ) from error
        except (OSError, ValueError) as error:
            raise DamagedFiles(f"{self._current} cannot be read. Install again from the stick.") from error

    def known(self) -> Deployment | None:
        """Return the deployment that runs; None where there is none, or its record is damaged."""
        try:
            return self.current()
        except InstallError:
            return None

    def deployment(self, number: int) -> Deployment:
        """Return a deployment by its number.

        Raises:
            DamagedFiles: its record cannot be read.
        """
        path = self.folder(number) / "deployment.json"
        try:
            return Deployment(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise DamagedFiles(f"{path} cannot be read. Install again from the stick.") from error

    def folder(self, number: int) -> Path:
        """Return a deployment's folder."""
        return self.deployments / f"{number:04d}"

    def model(self, number: int) -> Path:
        """Return a deployment's model bundle."""
        return self.folder(number) / "model"

    def program(self, deployment: Deployment) -> Path:
        """Return a deployment's program, a release's folder."""
        return self.path / deployment.program

    def python(self, deployment: Deployment, windowed: bool = False) -> Path:
        """Return a deployment's Python; on Windows the one without a console where `windowed`."""
        runtime = self.program(deployment) / "runtime"
        if sys.platform == "win32":
            return runtime / ("pythonw.exe" if windowed else "python.exe")
        return runtime / "bin" / "python3"

    def key(self, number: int) -> Path | None:
        """Return the key that must have signed a deployment and what follows it, if there is one."""
        key = self.folder(number) / _KEY
        return key if key.is_file() else None

    def deploy(
        self,
        program: Path,
        bundle_dir: Path,
        port: int,
        key: Path | None = None,
        repairs: bool = False,
    ) -> Deployment:
        """Lay a program and a model side by side; nothing runs them yet.

        Args:
            program: A release's folder in `versions`.
            bundle_dir: A verified model bundle, which is copied.
            port: Where it will listen.
            key: The key that must have signed both and what follows them.
            repairs: Whether this is the current deployment once more; one returns from both to the same.

        Returns:
            The deployment, to be proven and switched to.
        """
        number = 1 + max(
            (int(path.name) for path in self.deployments.glob("[0-9]*") if path.name.isdigit()), default=0
        )
        before = self.known()
        previous = (before.previous if repairs else before.number) if before else None
        deployment = Deployment(number, program.relative_to(self.path).as_posix(), port, previous)
        with self.arriving(self.folder(number)) as folder:
            (folder / "model").mkdir()
            for path in bundle_dir.iterdir():
                if path.name != CHOICE:
                    shutil.copy(path, folder / "model")
            (folder / "deployment.json").write_text(json.dumps(asdict(deployment)) + "\n", encoding="utf-8")
            if key is not None:
                shutil.copyfile(key, folder / _KEY)
        return deployment

    def switch_to(self, deployment: Deployment) -> None:
        """Make a deployment the current one, in one step that a power cut cannot split."""
        flush(self.path)
        text = f"{deployment.program}\n{deployment.number}\n"
        replace_file(self._current, text.encode())

    def prune(self) -> None:
        """Delete what neither the current deployment nor the one before it needs."""
        current = self.current()
        kept = {current.number, current.previous}
        programs = set()
        for folder in self.deployments.iterdir():
            if folder.name.isdigit() and int(folder.name) in kept:
                programs.add(self.deployment(int(folder.name)).program)
            else:
                shutil.rmtree(folder, ignore_errors=True)
        for folder in self.versions.iterdir():
            if folder.relative_to(self.path).as_posix() not in programs:
                shutil.rmtree(folder, ignore_errors=True)

    def strangers(self) -> list[str]:
        """Return what lies in the folder, or beside the command, that no installation put there."""
        entries = [*self.path.glob("*"), *self.command.parent.glob("*")]
        names = [entry.relative_to(self.path).as_posix() for entry in entries]
        return sorted(name for name in names if not any(fnmatch(name, known) for known in _KNOWN))

    def remove(self) -> None:
        """Delete what installations put into the folder, and the folder, unless something else is in it.

        Raises:
            OSError: something cannot be deleted.
        """
        for entry in [entry for own in _OWN for entry in self.path.glob(own)]:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        for folder in (self.command.parent, self.path):
            with suppress(OSError):  # not empty, or where a disk is mounted
                folder.rmdir()

    @contextmanager
    def arriving(self, folder: Path) -> Iterator[Path]:
        """Give a folder to fill that gets its name only when it is full.

        Args:
            folder: The name that it gets.

        Yields:
            The folder to fill.

        Raises:
            NotWritable: no right, or no space; nothing is left behind.
        """
        partial = folder.with_name(folder.name + _UNFINISHED)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            yield partial
            flush(partial)
            os.replace(partial, folder)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise NotWritable(
                f"{folder} cannot be written: {error.strerror}. Free space, or install as a user who may "
                "write there."
            ) from error

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Let one program at a time change the installation.

        Raises:
            NotWritable: the folder cannot be written.
            InstallError: another one is changing it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / ".lock").open("a")
        except OSError as error:
            raise NotWritable(
                f"{self.path} cannot be written: {error.strerror}. Install as administrator, or elsewhere "
                "with --prefix."
            ) from error
        with file:
            if not _lock(file):
                raise InstallError(
                    f"Another installation is at work in {self.path}. Wait until it has ended."
                )
            for remains in self.path.glob(".model-*"):
                shutil.rmtree(remains, ignore_errors=True)  # of an update that a power cut ended
            yield


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file in one step, so that a power cut leaves the old one or the new one.

    Args:
        path: The file.
        data: Its content.
        mode: Its rights.

    Raises:
        NotWritable: no right, or no space; the old file stays.
    """
    partial = path.with_name(f".{path.name}{_UNFINISHED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(mode)
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise NotWritable(
            f"{path} cannot be written: {error.strerror}. Run this as the user who installed Fracture Edge."
        ) from error
    flush(path.parent)


def flush(folder: Path) -> None:
    """Wait until what was written has reached the disk, as far as the system offers that."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.sync()


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
