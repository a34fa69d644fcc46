"""Longer trials of the Linux installer in an empty Debian: `make test-installers`."""

from __future__ import annotations

import json
import os
import random
import re
import time
from pathlib import Path

import pytest
import requests

from edge_app.installed.linux import UNIT
from edge_app.installed.processes import health
from edge_app.installed.release import MODEL, SUMS, SUMS_SIGNATURE
from export.bundle.signing import make_keys, sign_bundle
from installer import seal
from installer.pack import pack_model
from installer.recipe import EPOCH_S
from tests.conftest import DEFAULT_BUNDLE, require
from tests.installer.account import Account, done, end_of
from tests.installer.booted import BootedSystem
from tests.installer.conftest import STICK, Built, copy_release, put
from tests.installer.trials import INSTALL, PREFIX, MakeSystem, expect_own_answer, flip_byte, survive_kills
from tests.system_calls import traced, writes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("FRACTURE_INSTALLERS") != "long", reason="takes long; make test-installers runs it"
    ),
]


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


def test_file_altered_after_an_upgrade_is_found_and_repaired_and_roll_back_goes_to_the_version_before(
    make_system: MakeSystem, newer: Path
) -> None:
    system = make_system()
    system.done(*INSTALL)
    upgrade = (put(system, newer, "/media/newer"), "--yes", "--no-service")
    system.done(*upgrade)
    rng = random.Random(17)  # noqa: S311 - a trial that can be repeated
    flip_byte(next((system.root / PREFIX / "versions").glob("9.0.0-*/guide-staff.html")), rng)
    found = system.run("fracture-edge", "verify")
    assert found.returncode == 5
    assert "guide-staff.html" in found.stderr
    system.done(*upgrade)
    system.done("fracture-edge", "verify")
    system.done("fracture-edge", "rollback")
    assert (system.root / PREFIX / "current").read_text().splitlines()[1] == "1"
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


def test_killed_at_fifty_random_moments_the_pc_has_the_old_version_or_the_new_one(
    account: Account, built: Built, newer: Path
) -> None:
    found = survive_kills(account, built.release, newer, kills=50)
    assert len(found) == 2, found


def test_app_starts_and_stops_ten_times_and_leaves_no_process(account: Account, built: Built) -> None:
    done(account.install(built.release))
    for _ in range(10):
        done(account.command("open"))
        started_s = time.monotonic()
        done(account.command("stop"))
        assert time.monotonic() - started_s < 20
        assert not account.listens()
    assert account.processes() == []


def test_signed_release_is_followed_only_by_what_its_key_signed(
    account: Account, built: Built, newer: Path, tmp_path: Path
) -> None:
    own, other = (make_keys(tmp_path / name)[0] for name in ("own", "other"))
    done(account.install(signed(built.release, own, "signed")))
    current = (account.prefix / "current").read_text()
    for refused, sentence in (
        (newer, "is not signed, and this PC asks for the signature"),
        (signed(newer, other, "newer-by-another"), "is not signed with the key"),
    ):
        ended = end_of(account.install(refused))
        assert ended.returncode == 7
        assert sentence in ended.stderr
    for folder in (newer, newer.with_name("newer-by-another")):
        model = pack_model(folder / MODEL, account.home, EPOCH_S)
        assert end_of(account.command("update-model", str(model))).returncode == 7
    assert (account.prefix / "current").read_text() == current
    done(account.install(signed(newer, own, "newer-signed")))
    model = pack_model(newer.with_name("newer-signed") / MODEL, account.home, EPOCH_S)
    done(account.command("update-model", str(model)))


def signed(release: Path, key: Path, name: str) -> Path:
    """Copy a release that a key signs, and its model."""
    folder = release.with_name(name)
    copy_release(release, folder)
    sign_bundle(folder / MODEL, key)
    seal.write_signer(key, folder)
    seal.write_sums(folder)
    seal.sign(folder / SUMS, folder / SUMS_SIGNATURE, key)
    return folder


def test_pc_without_avx2_is_refused_before_anything_is_copied(make_system: MakeSystem) -> None:
    system = make_system()
    (system.root / "cpuinfo").write_text(Path("/proc/cpuinfo").read_text().replace(" avx2", ""))
    refused = system.run("sh", "-c", f"mount --bind /cpuinfo /proc/cpuinfo && {' '.join(INSTALL)}")
    assert refused.returncode == 4
    assert "without AVX2" in refused.stderr
    assert not (system.root / PREFIX).exists()


def test_release_for_gpus_says_that_it_runs_on_the_cpu_where_there_is_no_gpu(
    make_system: MakeSystem, gpu_release: Path, xray: Path
) -> None:
    system = make_system()
    told = system.done(put(system, gpu_release, "/media/gpu"), "--yes", "--no-service")
    assert "This PC has no NVIDIA driver, so the app runs on the CPU." in told
    runtimes = (system.root / PREFIX / "versions").rglob("onnxruntime*.dist-info")
    assert [path.name.partition("-")[0] for path in runtimes] == ["onnxruntime_gpu"]
    system.done("fracture-edge", "open", BROWSER="true")
    assert "Running on cpu" in system.done("fracture-edge", "status")
    expect_own_answer(system, xray)


def test_service_is_closed_starts_and_stops_ten_times_and_leaves_with_the_app(
    booted: BootedSystem, xray: Path
) -> None:
    told = booted.done(f"{STICK}/install.sh", "--yes")
    assert "CERTIFICATE OF THIS PC" in told
    booted.done("fracture-edge", "open")
    assert json.loads(booted.ask(xray))["device"] == "cpu"
    score = booted.done("systemd-analyze", "security", UNIT).splitlines()[-1]
    assert float(re.search(r"exposure level for \S+: (\S+)", score)[1]) < 2  # type: ignore[index]
    for _ in range(10):
        started_s = time.monotonic()
        booted.done("systemctl", "stop", UNIT)
        assert time.monotonic() - started_s < 20
        assert booted.run("sh", "-c", "ls -l /proc/[0-9]*/exe | grep fracture-edge").stdout == ""
        booted.done("systemctl", "start", UNIT)
        booted.done("fracture-edge", "open")
    booted.done("fracture-edge", "uninstall", "--yes")
    assert booted.run("systemctl", "cat", UNIT).returncode != 0


def test_service_runs_from_a_home_folder_with_spaces_and_other_letters(
    booted: BootedSystem, xray: Path
) -> None:
    clinic = booted.root / "home" / "Zdjęcia Łódź"
    clinic.mkdir(parents=True)
    (clinic / "notes.txt").write_text("the clinic's")
    booted.done(f"{STICK}/install.sh", "--yes", "--prefix", "/home/Zdjęcia Łódź/100 %")
    assert json.loads(booted.ask(xray))["device"] == "cpu"
    assert booted.run("systemctl", "is-active", UNIT).stdout.strip() == "active"
    booted.done("fracture-edge", "uninstall", "--yes")
    assert [path.name for path in clinic.iterdir()] == ["notes.txt"]
    assert booted.run("systemctl", "cat", UNIT).returncode != 0


def test_installed_app_writes_no_file_over_three_uploads(
    account: Account, built: Built, xray: Path
) -> None:
    done(account.install(built.release))
    log_path = account.home / "calls"
    app = account.start(*traced(require("strace"), log_path), account.prefix / "bin/fracture-edge", "serve")
    while health(account.port) is None:
        assert app.poll() is None, app.communicate()
        time.sleep(0.2)
    ready_at = len(log_path.read_text())
    for _ in range(3):
        files = {"file": xray.read_bytes()}
        answer = requests.post(f"http://localhost:{account.port}/predict", files=files, timeout=60)
        assert answer.status_code == 200
    calls = log_path.read_text()[ready_at:]
    account.kill_everything()
    app.communicate()
    assert calls
    assert writes(calls) == []
