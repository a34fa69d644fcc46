"""A Debian that boots systemd in a container, without a network, to run the service in."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.conftest import require
from tests.installer.bare import PORT, output_of

BOOT_S = 600
# Without registration nspawn needs no D-Bus here. Calls: systemd's for its IP rules, and the app's own.
CALLS = "bpf seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self"
OPTIONS = (
    *("--boot", "--quiet", "--register=no", "--keep-unit", "--private-network", "--capability=all"),
    *(f"--system-call-filter={CALLS}", "--console=pipe"),
)
ASK = """
import sys, requests
files = {"file": open(sys.argv[1], "rb")}
print(requests.post(f"http://localhost:{sys.argv[2]}/predict", files=files, timeout=60).text)
"""


class BootedSystem:
    """A copy of a system with systemd, running.

    Args:
        base: The system; is copied.
        folder: Where to.
    """

    def __init__(self, base: Path, folder: Path) -> None:
        self.root = folder
        program = require("systemd-nspawn", "systemd-container")
        subprocess.run(["cp", "-ax", "--reflink=auto", str(base), str(folder)], check=True)
        self._container = subprocess.Popen(
            [program, *OPTIONS, "--directory", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._leader = self._await_leader()
        self._await_boot()

    def close(self) -> None:
        """Pull the plug."""
        psutil.Process(self._leader).kill()
        self._container.wait(60)
        shutil.rmtree(self.root)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the system to its end."""
        enter = ("nsenter", f"--target={self._leader}", "--all", "--wd=/")
        return subprocess.run([*enter, *words], capture_output=True, text=True, timeout=600, check=False)

    def done(self, *words: str) -> str:
        """Run a program in the system that must succeed; return what it says."""
        result = self.run(*words)
        assert result.returncode == 0, f"{words}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def ask(self, picture: Path, port: int = PORT) -> str:
        """Send an X-ray to the app; return its answer."""
        words = (sys.executable, "-c", ASK, str(picture), str(port))
        return output_of("nsenter", f"--target={self._leader}", "--net", *words)

    def _await_leader(self) -> int:
        deadline_s = time.monotonic() + BOOT_S
        while not (found := psutil.Process(self._container.pid).children()):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        return int(found[0].pid)

    def _await_boot(self) -> None:
        deadline_s = time.monotonic() + BOOT_S
        while self.run("systemctl", "is-system-running").stdout.strip() not in ("running", "degraded"):
            assert time.monotonic() < deadline_s, "systemd does not come up"
            time.sleep(0.5)
