"""The Linux installer in an empty Debian: no Python, no network. Longer trials: test_linux_long.py."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from installer.pack import pack_model
from installer.recipe import EPOCH_S
from tests.installer.account import Account, end_of
from tests.installer.bare import BareSystem
from tests.installer.conftest import Built, put
from tests.installer.trials import INSTALL, PREFIX, MakeSystem, expect_own_answer, survive_kills

pytestmark = pytest.mark.slow
NO_OTHER_PYTHON = {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere"}


def test_installs_serves_upgrades_rolls_back_and_leaves_without_a_trace(
    make_system: MakeSystem, newer: Path, xray: Path, toy_bundle: Path, tmp_path: Path
) -> None:
    system = make_system()
    before = files_of(system)
    assert system.run("sh", "-c", "command -v python3").returncode != 0
    told = system.done(*INSTALL, **NO_OTHER_PYTHON)
    assert "CERTIFICATE OF THIS PC" in told
    certificate = json.loads((system.root / PREFIX / "deployments/0001/certificate.json").read_bytes())
    assert certificate["verdict"] == "certified"
    assert certificate["measured"]["cpu"]["float32"]["reproduces"] is True

    assert system.run("fracture-edge", "status").returncode == 3
    system.done("fracture-edge", "open", BROWSER="true", **NO_OTHER_PYTHON)
    assert "Running on cpu" in system.done("fracture-edge", "status")
    expect_own_answer(system, xray)
    assert "runs already" in system.done("fracture-edge", "serve")

    system.done(put(system, newer, "/media/newer stick"), "--yes", "--no-service")
    assert "Fracture Edge 9.0.0" in system.done("fracture-edge", "status")
    expect_own_answer(system, xray, "0002")
    system.done("fracture-edge", "verify")

    model = pack_model(toy_bundle, tmp_path, EPOCH_S)
    (system.root / "media" / model.name).write_bytes(model.read_bytes())
    system.done("fracture-edge", "update-model", f"/media/{model.name}")
    expect_own_answer(system, xray, "0003")

    system.done("fracture-edge", "rollback")
    assert (system.root / PREFIX / "current").read_text().splitlines()[1] == "2"
    assert "Running" in system.done("fracture-edge", "status")

    system.done("fracture-edge", "uninstall", "--yes")
    assert system.processes() == []
    assert not system.listens()
    assert files_of(system) == before


def test_killed_at_random_moments_the_pc_has_the_old_version_or_the_new_one(
    account: Account, quick: tuple[Path, Path]
) -> None:
    survive_kills(account, *quick, kills=3)


def test_used_port_is_told_before_anything_is_copied(account: Account, built: Built) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", account.port))
        other.listen()
        refused = end_of(account.install(built.release))
    assert refused.returncode == 4
    assert "used by another program" in refused.stderr
    assert not account.prefix.exists()


def files_of(system: BareSystem) -> set[Path]:
    """Return the files and links of a system, without its sticks and its processes."""
    passed_over = {system.root / "media", system.root / "proc"}
    folders = [folder for folder in system.root.iterdir() if folder not in passed_over]
    paths = {path for folder in folders for path in [folder, *folder.rglob("*")]}
    return {path for path in paths if path.is_symlink() or path.is_file()}
