"""The Linux installer in an empty Debian: no Python, no network. Longer trials: test_linux_long.py."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from installer.pack import pack_model
from installer.recipe import EPOCH_S
from tests.conftest import DEFAULT_BUNDLE
from tests.installer.bare import PORT, BareSystem
from tests.installer.conftest import STICK, Built, copy_release, put
from tests.installer.trials import INSTALL, PREFIX, expect_own_answer, flip_byte, survive_kills

pytestmark = pytest.mark.slow
MakeSystem = Callable[[], BareSystem]
NO_OTHER_PYTHON = {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere"}


def test_installs_serves_upgrades_rolls_back_and_leaves_without_a_trace(
    make_system: MakeSystem, newer: Path, xray: Path, tmp_path: Path
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

    model = pack_model(DEFAULT_BUNDLE, tmp_path, EPOCH_S)
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


def test_refused_releases_leave_the_old_version_in_place(make_system: MakeSystem, built: Built) -> None:
    system = make_system()
    system.done(*INSTALL)
    current = (system.root / PREFIX / "current").read_text()
    stick = system.root / STICK.lstrip("/")

    rng = random.Random(17)  # noqa: S311 - a trial that can be repeated
    files = sorted(path for path in stick.rglob("*") if path.is_file() and path.stat().st_size)
    for path in [*rng.sample(files, 3), stick / "SHA256SUMS", stick / "model" / "features.onnx"]:
        whole = flip_byte(path, rng)
        refused = system.run(*INSTALL)
        assert refused.returncode == 5, path
        assert "copy it to the stick again" in refused.stderr
        path.write_bytes(whole)

    older = built.release.with_name("older")
    copy_release(built.release, older, version="0.0.1")
    refused = system.run(put(system, older, "/media/older"), "--yes", "--no-service")
    assert refused.returncode == 7
    assert "older" in refused.stderr

    cut_off = pack_model(DEFAULT_BUNDLE, system.root / "media", EPOCH_S)
    cut_off.write_bytes(cut_off.read_bytes()[:-1000])
    assert system.run("fracture-edge", "update-model", f"/media/{cut_off.name}").returncode == 5
    assert (system.root / PREFIX / "current").read_text() == current
    system.done("fracture-edge", "certify")


def test_file_altered_after_installation_is_found_and_repaired_from_the_stick(
    make_system: MakeSystem,
) -> None:
    system = make_system()
    system.done(*INSTALL)
    rng = random.Random(17)  # noqa: S311 - a trial that can be repeated
    flip_byte(next((system.root / PREFIX / "versions").rglob("guide-staff.html")), rng)
    found = system.run("fracture-edge", "verify")
    assert found.returncode == 5
    assert "guide-staff.html" in found.stderr
    system.done(*INSTALL)
    system.done("fracture-edge", "verify")


def test_ordinary_user_installs_into_the_home_folder(make_system: MakeSystem, xray: Path) -> None:
    system = make_system()
    home = "/home/Ayşe মায়া"
    (system.root / home.lstrip("/")).mkdir(parents=True)
    os.chown(system.root / home.lstrip("/"), 1000, 1000)
    system.done(*INSTALL, "--port", "5017", user="1000:1000", HOME=home)
    command = f"{home}/.local/bin/fracture-edge"
    system.done(command, "open", user="1000:1000", HOME=home, BROWSER="true")
    assert system.ask(xray, 5017)["device"] == "cpu"
    refused = system.run(*INSTALL, "--prefix", "/opt/elsewhere", user="1000:1000", HOME=home)
    assert refused.returncode == 4
    assert "Install as administrator" in refused.stderr
    system.done(command, "stop", user="1000:1000", HOME=home)
    assert system.processes() == []


def test_debian_package_installs_serves_and_is_purged(
    make_system: MakeSystem, built: Built, xray: Path
) -> None:
    system = make_system()
    package = next(built.dist.glob("*.deb"))
    (system.root / "media" / package.name).write_bytes(package.read_bytes())
    system.done("dpkg", "-i", f"/media/{package.name}")
    system.done("fracture-edge", "open", BROWSER="true")
    expect_own_answer(system, xray)
    system.done("dpkg", "--purge", "fracture-edge")
    assert system.processes() == []
    assert not (system.root / PREFIX).exists()
    assert not (system.root / "usr/local/bin/fracture-edge").is_symlink()


def test_killed_at_random_moments_the_pc_has_the_old_version_or_the_new_one(
    make_system: MakeSystem, newer: Path
) -> None:
    survive_kills(make_system(), newer, kills=3)


def test_pc_without_avx2_is_refused_before_anything_is_copied(make_system: MakeSystem) -> None:
    system = make_system()
    (system.root / "cpuinfo").write_text(Path("/proc/cpuinfo").read_text().replace(" avx2", ""))
    refused = system.run("sh", "-c", f"mount --bind /cpuinfo /proc/cpuinfo && {' '.join(INSTALL)}")
    assert refused.returncode == 4
    assert "without AVX2" in refused.stderr
    assert not (system.root / PREFIX).exists()


def test_used_port_is_told_and_another_can_be_chosen(make_system: MakeSystem) -> None:
    system = make_system()
    python = f"{STICK}/runtime/bin/python3"
    other = system.start(python, "-IBm", "http.server", str(PORT), "--bind", "127.0.0.1")
    system.await_listening()
    refused = system.run(*INSTALL)
    assert refused.returncode == 4
    assert "used by another program" in refused.stderr
    system.done(*INSTALL, "--port", "5018")
    os.killpg(other.pid, signal.SIGKILL)
    other.communicate()


def files_of(system: BareSystem) -> set[Path]:
    """Return the files and links of a system, without its sticks and its processes."""
    passed_over = {system.root / "media", system.root / "proc"}
    folders = [folder for folder in system.root.iterdir() if folder not in passed_over]
    paths = {path for folder in folders for path in [folder, *folder.rglob("*")]}
    return {path for path in paths if path.is_symlink() or path.is_file()}
