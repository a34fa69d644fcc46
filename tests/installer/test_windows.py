"""Setup.exe under Wine, without a screen: `make test-installers`. What Wine cannot show: INSTALL.md."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from edge_app.installed.preflight import longest_prefix
from edge_app.installed.processes import await_answer, health
from edge_app.installed.release import read_release, sha256_of_file
from edge_app.predictor import Predictor
from installer.build import build, pack_release
from installer.pack import pack_model
from installer.recipe import EPOCH_S, Recipe, find_target, project_version
from installer.stage import stage
from tests.conftest import DEFAULT_BUNDLE, require
from tests.edge_app.dicom_node.conftest import send_to, three_views, wait_for
from tests.edge_app.web.test_server import free_port
from tests.installer.bare import output_of
from tests.installer.conftest import copy_release
from tests.installer.test_node_long import KINDS, listens
from tests.installer.trials import flip_byte
from tests.installer.wine import WinePC, make_runtime

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("FRACTURE_INSTALLERS") != "long", reason="takes long; make test-installers runs it"
    ),
]
START_S = 180
UNINSTALL_KEY = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall\FractureEdge"
NOT_RUNNING, UNFIT, OLDER, NOT_WRITABLE = 3, 4, 7, 8


class Setups(NamedTuple):
    """Two installers of the same app, the second with a later version number.

    `longest_folder` is how many characters the folder may have that they install into.
    """

    first: Path
    newer: Path
    runtime: Path
    longest_folder: int


@pytest.fixture(scope="module")
def setups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setups]:
    for program, package in {
        "makensis": "nsis",
        "x86_64-w64-mingw32-gcc": "gcc-mingw-w64-x86-64-win32",
    }.items():
        require(program, package)
    folder = tmp_path_factory.mktemp("windows")
    runtime = make_runtime(folder / "python")
    target = find_target("windows-x86_64", "cpu")
    first = Recipe(target, DEFAULT_BUNDLE, folder, project_version(), str(runtime))
    newer = Recipe(target, DEFAULT_BUNDLE, folder, "9.0.0", str(runtime))
    stage(first, folder / first.name)
    copy_release(folder / first.name, folder / newer.name, version=newer.version)
    packed = [pack_release(recipe, folder / recipe.name)[0] for recipe in (first, newer)]
    yield Setups(*packed, runtime, longest_prefix(read_release(folder / first.name)))
    shutil.rmtree(folder)


@pytest.fixture
def pc(tmp_path: Path) -> Iterator[WinePC]:
    pc = WinePC(tmp_path / "wine")
    yield pc
    pc.close()


def test_installs_silently_answers_upgrades_and_leaves_nothing(
    pc: WinePC, setups: Setups, xray: Path, free_ports: tuple[int, int], tmp_path: Path
) -> None:
    port = free_ports[0]
    before = files_of(pc)
    installed = pc.run(setups.first, "/S", f"/PORT={port}")
    assert installed.returncode == 0, installed.stdout
    prefix = next(pc.drive.glob("users/*/AppData/Local/Programs/FractureEdge"))
    certificate = json.loads((prefix / "deployments/0001/certificate.json").read_bytes())
    assert certificate["verdict"] == "certified"
    command = prefix / "bin" / "fracture-edge.exe"
    serve(pc, command, port)
    expect_own_answer(prefix, "0001", xray, port)
    assert "Running on cpu" in pc.run(command, "status").stdout
    assert "runs already" in pc.run(command, "serve").stdout

    upgraded = pc.run(setups.newer, "/S")
    assert upgraded.returncode == 0, upgraded.stdout
    assert "Fracture Edge 9.0.0" in pc.run(command, "status").stdout
    expect_own_answer(prefix, "0002", xray, port)
    assert pc.run(command, "verify").returncode == 0
    assert pc.run(setups.first, "/S").returncode == OLDER
    assert "Running" in pc.run(command, "status").stdout
    expect_own_answer(prefix, "0002", xray, port)
    assert pc.run(setups.newer, "/S").returncode == 0
    assert await_answer(port, lambda: True)
    expect_own_answer(prefix, repaired := deployment_of(prefix), xray, port)
    assert "9.0.0" in pc.run("reg", "query", UNINSTALL_KEY, "/v", "DisplayVersion").stdout
    record = json.loads((prefix / "deployments" / repaired / "deployment.json").read_bytes())
    assert record["previous"] == 1

    model = pack_model(DEFAULT_BUNDLE, tmp_path, EPOCH_S)
    updated = pc.run(command, "update-model", f"Z:{model}")
    assert updated.returncode == 0, updated.stdout
    assert deployment_of(prefix) != repaired
    expect_own_answer(prefix, deployment_of(prefix), xray, port)
    assert pc.run(command, "rollback").returncode == 0
    assert deployment_of(prefix) == repaired
    assert "Running" in pc.run(command, "status").stdout

    assert pc.run(command, "stop").returncode == 0
    assert health(port) is None
    assert pc.run(command, "status").returncode == NOT_RUNNING
    serve(pc, command, port)

    assert pc.run(prefix / "uninstall.exe", "/S").returncode == 0
    await_absence(prefix)
    assert health(port) is None
    assert files_of(pc) == before
    assert pc.run("reg", "query", r"HKCU\Software\FractureEdge").returncode != 0


def test_installs_into_a_folder_with_spaces_and_other_letters_whose_path_is_as_long_as_can_be(
    pc: WinePC, setups: Setups, xray: Path, free_ports: tuple[int, int]
) -> None:
    before = files_of(pc)
    folder = r"C:\users\Zdjęcia dzieci Łódź".ljust(setups.longest_folder, "ż")
    prefix = pc.drive / "users" / folder.rpartition("\\")[2]
    assert pc.run(setups.first, "/S", *into(f"{folder}x")).returncode == UNFIT
    assert files_of(pc) == before
    installed = pc.run(setups.first, "/S", f"/PORT={free_ports[0]}", *into(folder))
    assert installed.returncode == 0, installed.stdout
    serve(pc, prefix / "bin" / "fracture-edge.exe", free_ports[0])
    expect_own_answer(prefix, "0001", xray, free_ports[0])
    assert pc.run(prefix / "uninstall.exe", "/S").returncode == 0
    await_absence(prefix)
    assert files_of(pc) == before


def test_is_no_dicom_node_until_told_and_then_answers_a_study(
    pc: WinePC, setups: Setups, free_ports: tuple[int, int], tmp_path: Path
) -> None:
    port, dicom_port = free_ports
    archive_port = free_port()
    installed = pc.run(setups.first, "/S", f"/PORT={port}")
    assert installed.returncode == 0, installed.stdout
    command = (
        next(pc.drive.glob("users/*/AppData/Local/Programs/FractureEdge")) / "bin" / "fracture-edge.exe"
    )
    serve(pc, command, port)
    assert not listens(dicom_port)
    assert pc.run(command, "stop").returncode == 0

    folder = tmp_path / "archive"
    folder.mkdir()
    archive = [require("storescp", "dcmtk"), "-aet", "PACS", "-od", str(folder), "+xa", str(archive_port)]
    node = ["--dicom", str(dicom_port), "--allow", "STORESCU@127.0.0.1", "--study-idle", "1"]
    with subprocess.Popen(archive) as storescp:
        try:
            serve(pc, command, port, *node, "--answer-to", f"PACS@127.0.0.1:{archive_port}")
            wait_for(lambda: listens(dicom_port), START_S)
            assert send_to(dicom_port, tmp_path, *three_views()).returncode == 0
            wait_for(lambda: {path.name.split(".")[0] for path in folder.iterdir()} >= KINDS, START_S)
        finally:
            storescp.terminate()
    assert pc.run(command, "stop").returncode == 0


def test_flipped_byte_of_the_installer_is_refused_and_so_is_a_cut_off_copy(
    pc: WinePC, setups: Setups, tmp_path: Path
) -> None:
    before = files_of(pc)
    damaged = Path(shutil.copy(setups.first, tmp_path / "Setup.exe"))
    whole = flip_byte(damaged, random.Random(17))  # noqa: S311 - a trial that can be repeated
    assert pc.run(damaged, "/S").returncode != 0
    damaged.write_bytes(whole[: len(whole) * 9 // 10])
    assert pc.run(damaged, "/S").returncode != 0
    assert files_of(pc) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone mounts disks")
def test_disk_that_will_not_do_is_refused_and_left_as_it_was(
    pc: WinePC, setups: Setups, tmp_path: Path
) -> None:
    disk = pc.drive / "disk"
    disk.mkdir()
    for setup, option, code in (
        (setups.first, "size=50m", UNFIT),
        (setups.first, "ro", NOT_WRITABLE),
        (that_tells_no_size(setups.first, tmp_path), "size=100m", NOT_WRITABLE),
    ):
        output_of("mount", "-t", "tmpfs", "-o", option, "none", str(disk))
        try:
            refused = pc.run(setup, "/S", *into(r"C:\disk\clinic"))
            left = list(disk.rglob("*"))
        finally:
            output_of("umount", str(disk))
        assert (option, refused.returncode) == (option, code)
        assert left == []


def test_two_builds_in_different_folders_are_the_same_bytes(setups: Setups, tmp_path: Path) -> None:
    target = find_target("windows-x86_64", "cpu")
    folder = tmp_path / "another folder"
    again = build(Recipe(target, DEFAULT_BUNDLE, folder, project_version(), str(setups.runtime)))[0]
    assert sha256_of_file(again) == sha256_of_file(setups.first)


def that_tells_no_size(setup: Path, folder: Path) -> Path:
    """Pack an installer again that claims to need no space, and so fills up a small disk."""
    tree = setup.with_name(setup.name.removesuffix("-Setup.exe"))
    recipe = Recipe(find_target("windows-x86_64", "cpu"), DEFAULT_BUNDLE, folder, project_version())
    copy_release(tree, folder / recipe.name, disk_bytes=-150_000_000)
    return pack_release(recipe, folder / recipe.name)[0]


def into(folder: str) -> list[str]:
    """Return the words that name a folder; NSIS wants no quotes around it, so they go one by one."""
    return f"/D={folder}".split(" ")


def serve(pc: WinePC, command: Path, port: int, *options: str) -> None:
    """Start the app, and wait until it answers."""
    app = pc.start(command, "serve", *options)
    deadline_s = time.monotonic() + START_S
    while health(port) is None:
        assert app.is_running(), app.outcome()
        assert time.monotonic() < deadline_s
        time.sleep(0.2)


def expect_own_answer(prefix: Path, deployment: str, xray: Path, port: int) -> None:
    """Hold the app's answer under Wine against this machine's own."""
    own = Predictor(prefix / "deployments" / deployment / "model", device="cpu").predict(xray.read_bytes())
    files = {"file": xray.read_bytes()}
    answer = requests.post(f"http://localhost:{port}/predict", files=files, timeout=120).json()
    assert answer["prediction"] == own.prediction
    assert answer["probability"] == pytest.approx(own.probability, abs=1e-4)


def deployment_of(prefix: Path) -> str:
    """Return the number of what is current, as its folder is named."""
    return f"{int((prefix / 'current').read_text().splitlines()[1]):04}"


def await_absence(folder: Path) -> None:
    """Wait until a folder is gone: an uninstaller goes on in a copy of itself."""
    deadline_s = time.monotonic() + START_S
    while folder.exists():
        assert time.monotonic() < deadline_s, sorted(folder.rglob("*"))[:20]
        time.sleep(0.2)


def files_of(pc: WinePC) -> set[Path]:
    """Return the files that programs may have left, without Windows' own and what is temporary."""
    paths = (path for path in (pc.drive / "users").rglob("*") if path.is_file())
    return {path for path in paths if "Temp" not in path.parts}
