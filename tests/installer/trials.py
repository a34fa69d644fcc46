"""What several installers' tests try."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_app.installed.home import Home
from edge_app.installed.processes import health
from edge_app.installed.release import read_release
from edge_app.predictor import Predictor
from tests.installer.account import Account, done
from tests.installer.bare import BareSystem
from tests.installer.conftest import STICK

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


def survive_kills(account: Account, old: Path, newer: Path, kills: int) -> Counter[str]:
    """Kill up- and downgrades at random moments; each time the PC has a whole version that answers.

    Every other kill waits for the certificate, so that many fall near the switch and the tidying after it.

    Returns:
        How often which version was found.
    """
    rng = random.Random(17)  # noqa: S311 - a trial that can be repeated
    done(account.install(old))
    whole_s, switch_s = _time_upgrade(account, newer)
    found: Counter[str] = Counter()
    for number in range(kills):
        version = _version(account)
        stick, *options = (old, "--allow-older") if version == read_release(newer).version else (newer,)
        process = account.install(stick, *options)
        if number % 2:
            _await_certificate(account, process)
        time.sleep(rng.uniform(0, switch_s if number % 2 else whole_s))
        account.kill_everything()
        process.communicate()
        found[_expect_working(account)] += 1
    done(account.install(newer))
    assert _version(account) == read_release(newer).version
    assert len(list((account.prefix / "versions").iterdir())) <= 2
    return found


def _time_upgrade(account: Account, newer: Path) -> tuple[float, float]:
    """Return an upgrade's seconds, and of these the seconds after the certificate."""
    started_s = time.monotonic()
    process = account.install(newer)
    _await_certificate(account, process)
    certified_s = time.monotonic()
    done(process)
    return time.monotonic() - started_s, time.monotonic() - certified_s


def _await_certificate(account: Account, process: subprocess.Popen[str]) -> None:
    """Wait until one more certificate lies there, or the installation has ended."""
    pattern = "deployments/*/certificate.txt"
    before = set(account.prefix.glob(pattern))
    while set(account.prefix.glob(pattern)) <= before and process.poll() is None:
        time.sleep(0.01)


def _expect_working(account: Account) -> str:
    """Check each file, start the app and ask it; return its version."""
    done(account.command("verify"))
    done(account.command("open"))
    assert health(account.port) is not None
    done(account.command("stop"))
    assert not account.listens()
    return _version(account)


def _version(account: Account) -> str:
    home = Home(account.prefix)
    return read_release(home.program(home.current())).version
