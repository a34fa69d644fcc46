"""An empty Debian without Python and without a network, to install into."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import ROOT, require

PROGRAMS = {"debootstrap": None, "ip": "iproute2", "patchelf": None, "gcc": None, "strip": "binutils"}
PORT = 5000
ASK = """
import json, sys, requests
files = {"file": open(sys.argv[1], "rb")}
answer = requests.post(f"http://localhost:{sys.argv[2]}/predict", files=files, timeout=60)
print(json.dumps(answer.json()))
"""
LISTENS = "import socket, sys; sys.exit(socket.socket().connect_ex(('127.0.0.1', int(sys.argv[1]))))"


def require_bare_systems() -> None:
    """Skip where this machine cannot make one."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("installing into an empty system needs root on Linux")
    for program, package in PROGRAMS.items():
        require(program, package)


def bootstrap(folder: Path, include: Sequence[str] = ()) -> Path:
    """Make a Debian of the release that this machine has, from where its apt gets packages."""
    lines = Path("/etc/os-release").read_text().splitlines()
    suite = dict(line.split("=", 1) for line in lines if "=" in line)["VERSION_CODENAME"].strip('"')
    ask = (
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        f"Codename: {suite}",
    )
    options = [f"--include={','.join(include)}"] if include else []
    output_of("debootstrap", "--variant=minbase", *options, suite, str(folder), output_of(*ask).split()[0])
    return folder


class BareSystem:
    """A copy of an empty system, with a network of its own that reaches nothing."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.root = folder
        self._network = f"fe-{uuid.uuid4().hex[:8]}"
        subprocess.run(["cp", "-ax", "--reflink=auto", str(base), str(folder)], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", str(folder / "proc")], check=True)
        subprocess.run(["ip", "netns", "add", self._network], check=True)
        self._enter = ("nsenter", f"--net=/run/netns/{self._network}")
        self.outside("ip", "link", "set", "lo", "up")

    def close(self) -> None:
        while running := self.processes():
            for process in running:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        subprocess.run(["ip", "netns", "delete", self._network], check=True)
        subprocess.run(["umount", "--recursive", str(self.root / "proc")], check=True)
        shutil.rmtree(self.root)

    def start(self, *words: str, user: str = "0:0", **environment: str) -> subprocess.Popen[str]:
        """Start a program in the system, in a session of its own."""
        plain = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "LANG": "C.UTF-8"}
        inside = [*self._enter, "chroot", f"--userspec={user}", str(self.root)]
        return subprocess.Popen(
            [*inside, *words],
            env={**plain, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, user: str = "0:0", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the system to its end."""
        with self.start(*words, user=user, **environment) as process:
            stdout, stderr = process.communicate(timeout=300)
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)

    def done(self, *words: str, user: str = "0:0", **environment: str) -> str:
        """Run a program in the system that must succeed; return what it says."""
        result = self.run(*words, user=user, **environment)
        assert result.returncode == 0, f"{words}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def outside(self, *words: str) -> str:
        """Run a program of this machine in the system's network."""
        return output_of(*self._enter, *words)

    def ask(self, picture: Path, port: int = PORT) -> dict[str, object]:
        """Send an X-ray to the app, as the documented script does."""
        answer: dict[str, object] = json.loads(
            self.outside(sys.executable, "-c", ASK, str(picture), str(port))
        )
        return answer

    def listens(self, port: int = PORT) -> bool:
        """Tell whether something listens on a port there."""
        command = [*self._enter, sys.executable, "-c", LISTENS, str(port)]
        return subprocess.run(command, check=False).returncode == 0

    def await_listening(self, port: int = PORT, limit_s: float = 60) -> None:
        """Wait until something listens on a port there."""
        deadline_s = time.monotonic() + limit_s
        while not self.listens(port):
            assert time.monotonic() < deadline_s, f"nothing listens on port {port}"
            time.sleep(0.05)

    def processes(self) -> list[int]:
        """Return the processes that run in the system."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    inside = (entry / "root").readlink() == self.root
                except OSError:
                    continue
                if inside:
                    found.append(int(entry.name))
        return found


def build(out: Path, target: str, *options: str, device: str = "cpu") -> Path:
    """Run the documented command; return the folder of what it built."""
    command = [sys.executable, "-m", "installer", "build", "--target", target, "--device", device]
    output_of(*command, "--bundle", "models/default", "--out", str(out), *options)
    return out


def output_of(*command: str) -> str:
    """Run a program of this machine that must succeed; return what it says."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
