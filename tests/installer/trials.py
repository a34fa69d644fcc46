"""What several installers' tests try."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_app.predictor import Predictor
from tests.installer.bare import BareSystem
from tests.installer.conftest import STICK, put

INSTALL = (f"{STICK}/install.sh", "--yes", "--no-service")
PREFIX = "opt/fracture-edge"
MakeSystem = Callable[[], BareSystem]


def expect_own_answer(system: BareSystem, xray: Path, deployment: str = "0001") -> None:
    """Hold the installed app's answer against this machine's, in the precision that was chosen there."""
    bundle = system.root / PREFIX / "deployments" / deployment / "model"
    own = Predictor(bundle, device="cpu").predict(xray.read_bytes())
    answer = system.ask(xray)
    assert answer["prediction"] == own.prediction
    assert answer["probability"] == pytest.approx(own.probability, abs=1e-5)


def flip_byte(path: Path, rng: random.Random) -> bytes:
    """Change one bit of a file; return what it was."""
    whole = path.read_bytes()
    at = rng.randrange(len(whole))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    return whole


def survive_kills(system: BareSystem, newer: Path, kills: int) -> None:
    """Kill up- and downgrades at random moments; what is current must be whole each time, and start."""
    rng = random.Random(17)  # noqa: S311 - a trial that can be repeated
    system.done(*INSTALL)
    upgrade = put(system, newer, "/media/newer")
    started_s = time.monotonic()
    system.done(upgrade, "--yes", "--no-service")
    whole_s = time.monotonic() - started_s
    for number in range(kills):
        words = [upgrade] if number % 2 else [INSTALL[0], "--allow-older"]
        process = system.start(*words, "--yes", "--no-service")
        time.sleep(rng.uniform(0, whole_s))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        for survivor in system.processes():
            os.kill(survivor, signal.SIGKILL)
        system.done("fracture-edge", "verify")
        system.done("fracture-edge", "certify")
    system.done(upgrade, "--yes", "--no-service")
    assert "Fracture Edge 9.0.0" in system.run("fracture-edge", "status").stdout
    assert len(list((system.root / PREFIX / "versions").iterdir())) <= 2
