"""An ordinary user's account on this machine to install into: quick, since no system is made for it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

# No account of this machine has it, and no other tests that run here: all that is this user's is killed.
USER = 1_000_000 + os.getpid()
LIMIT_S = 300


class Account:
    """A home folder that only its user writes to, a stick, and a port.

    Args:
        folder: Made here; others must be able to look into what it lies in.
        port: Where the app will listen.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.home = folder / "home"
        self.prefix = self.home / "clinic"
        self.port = port
        self._folder = folder
        self.home.mkdir(parents=True)
        for path in (folder, self.home):
            path.chmod(0o755)
        os.chown(self.home, USER, USER)

    def put(self, release: Path) -> Path:
        """Copy a release, as onto a stick that this user reads; return its folder."""
        return Path(shutil.copytree(release, self._folder / "media" / release.name))

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """Start a program as this user, in a session of its own."""
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "BROWSER": "true",
        }
        return subprocess.Popen(
            [str(word) for word in words],
            env=environment,
            user=USER,
            group=USER,
            extra_groups=[],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def install(self, stick: Path, *options: str) -> subprocess.Popen[str]:
        """Start a stick's installer."""
        words = ("--yes", "--prefix", str(self.prefix), "--port", str(self.port), *options)
        return self.start(stick / "install.sh", *words)

    def command(self, *words: str) -> subprocess.Popen[str]:
        """Start the installed command."""
        return self.start(self.prefix / "bin" / "fracture-edge", *words)

    def processes(self) -> list[psutil.Process]:
        """Return the processes that run as this user."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess):
                if process.uids().real == USER and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def kill_everything(self) -> None:
        """End all that this user runs at once, as a power cut does, and wait until it is gone."""
        while running := self.processes():
            for process in running:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(running, timeout=1)

    def listens(self) -> bool:
        """Tell whether something listens on the port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def end_of(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a program's end; return what it said."""
    try:
        stdout, stderr = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def done(process: subprocess.Popen[str]) -> str:
    """Wait for a program that must succeed; return what it says."""
    result = end_of(process)
    assert result.returncode == 0, f"{result.args}: {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout
