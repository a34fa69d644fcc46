"""What the Linux installer refuses in an empty Debian, leaving nothing behind: `make test-installers`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.installer.bare import BareSystem
from tests.installer.conftest import STICK, Built, copy_release, put
from tests.installer.trials import INSTALL, PREFIX

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("FRACTURE_INSTALLERS") != "long", reason="takes long; make test-installers runs it"
    ),
]
UNFIT, DAMAGED, NOT_WRITABLE = 4, 5, 8
DISK = "/srv"
# Whoever starts or imports one of these leaves a trace.
TRAP = "/trap"
POISON = f"open('{TRAP}/sprung', 'a').write(__file__)"


@pytest.fixture(scope="module")
def system(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareSystem]:
    """Return a system with a stick, which each test leaves as it was."""
    system = BareSystem(built.base, tmp_path_factory.mktemp("refusals") / "system")
    put(system, built.release)
    yield system
    system.close()


@contextmanager
def disk(system: BareSystem, *options: str) -> Iterator[Path]:
    """Mount a disk in a system; yield where it lies outside of it."""
    system.done("mount", "-t", "tmpfs", *options, "none", DISK)
    try:
        yield system.root / DISK.lstrip("/")
    finally:
        system.done("umount", DISK)


def test_pc_of_another_architecture_is_refused(system: BareSystem) -> None:
    refused = system.run("setarch", "i686", *INSTALL)
    assert refused.returncode == UNFIT
    assert "This is the file for 64-bit PCs with Linux; this is Linux i686." in refused.stderr
    assert not (system.root / PREFIX).exists()


def test_disk_that_is_read_only_is_refused(system: BareSystem) -> None:
    with disk(system, "-o", "ro"):
        refused = system.run(*INSTALL, "--prefix", f"{DISK}/clinic")
    assert refused.returncode == UNFIT
    assert "right to write: no, needed is yes. Install as administrator, or elsewhere" in refused.stderr


def test_folder_of_other_programs_is_refused(system: BareSystem) -> None:
    before = sorted(path.name for path in (system.root / "usr/local").iterdir())
    refused = system.run(*INSTALL, "--prefix", "/usr/local")
    assert refused.returncode == UNFIT
    assert "folder: it also holds etc, games, include, ..." in refused.stderr
    assert sorted(path.name for path in (system.root / "usr/local").iterdir()) == before


def test_disk_without_space_is_refused_before_anything_is_copied(system: BareSystem) -> None:
    with disk(system, "-o", "size=100m") as mounted:
        refused = system.run(*INSTALL, "--prefix", f"{DISK}/clinic")
        left = list(mounted.iterdir())
    assert refused.returncode == UNFIT
    assert "free disk: 0.1 GB, needed is 0." in refused.stderr
    assert left == []


def test_disk_that_fills_up_during_an_upgrade_keeps_the_old_version(
    system: BareSystem, built: Built
) -> None:
    # what it says of its size lets it pass where there is no room for it
    larger = built.release.with_name("larger")
    copy_release(built.release, larger, version="9.0.0", disk_bytes=0)
    upgrade = put(system, larger, "/media/larger")
    with disk(system, "-o", "size=600m") as mounted:
        system.done(*INSTALL, "--prefix", f"{DISK}/clinic")
        current = (mounted / "clinic/current").read_text()
        refused = system.run(upgrade, "--yes", "--no-service", "--prefix", f"{DISK}/clinic")
        assert refused.returncode == NOT_WRITABLE, refused.stderr
        assert "No space left on device. Free space" in refused.stderr
        assert (mounted / "clinic/current").read_text() == current
        assert len(list((mounted / "clinic/versions").iterdir())) == 1
        command = f"{DISK}/clinic/bin/fracture-edge"
        system.done(command, "verify")
        system.done(command, "uninstall", "--yes")


def test_stick_from_which_no_program_may_start_is_told(system: BareSystem) -> None:
    script = f"mount --bind {STICK} {DISK} && mount -o remount,bind,noexec {DISK}"
    system.done("sh", "-c", script)
    try:
        refused = system.run("sh", f"{DISK}/install.sh", "--yes")
    finally:
        system.done("umount", DISK)
    assert refused.returncode == NOT_WRITABLE
    assert "Unpack the file elsewhere" in refused.stderr


def test_cut_off_copies_are_refused(system: BareSystem, built: Built) -> None:
    packages = [next(built.dist.glob(pattern)) for pattern in ("*-cpu.tar.gz", "*.deb")]
    archive, deb = (system.root / "media" / package.name for package in packages)
    for package, copy in zip(packages, (archive, deb), strict=True):
        whole = package.read_bytes()
        copy.write_bytes(whole[: len(whole) * 9 // 10])
    assert system.run("tar", "xzf", f"/media/{archive.name}", "-C", "/media").returncode != 0
    folder = archive.name.removesuffix(".tar.gz")
    refused = system.run(f"/media/{folder}/install.sh", "--yes", "--no-service")
    assert refused.returncode == DAMAGED
    assert "its copy was cut off: copy it to the stick again" in refused.stderr
    assert system.run("dpkg", "-i", f"/media/{deb.name}").returncode != 0
    assert not (system.root / PREFIX).exists()


def test_another_python_on_the_pc_is_neither_started_nor_imported(system: BareSystem) -> None:
    trap = system.root / TRAP.lstrip("/")
    (trap / "edge_app").mkdir(parents=True)
    for name in ("python", "python3", "python3.11"):
        (trap / name).write_text(f"#!/bin/sh\necho $0 >> {TRAP}/sprung\nexit 1\n")
        (trap / name).chmod(0o755)
    for name in ("sitecustomize.py", "usercustomize.py", "edge_app/__init__.py", "numpy.py"):
        (trap / name).write_text(POISON)
    environment = {
        "PATH": f"{TRAP}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "PYTHONPATH": TRAP,
        "PYTHONHOME": TRAP,
        "PYTHONSTARTUP": f"{TRAP}/sitecustomize.py",
        "BROWSER": "true",
    }
    system.done(*INSTALL, **environment)
    for word in ("open", "status", "certify", "stop"):
        system.done("fracture-edge", word, **environment)
    system.done("fracture-edge", "uninstall", "--yes", **environment)
    assert not (trap / "sprung").exists()
