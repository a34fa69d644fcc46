"""A release for Linux, built once, and empty systems to install it in.

`FRACTURE_BARE_SYSTEM` and `FRACTURE_BOOTING_SYSTEM` (with systemd) name debootstrap'd folders, if there are
any yet, `FRACTURE_DIST` a folder of built files, `FRACTURE_GPU_DIST` one with the file for GPUs: each takes
minutes to make.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from edge_app.installed.release import FACTS, MODEL
from installer.seal import write_sums
from tests.installer.account import Account
from tests.installer.bare import BareSystem, bootstrap, build, require_bare_systems
from tests.installer.booted import BootedSystem
from tests.toy import write_toy_bundle

STICK = "/media/stick"


class Built(NamedTuple):
    """What a build left: its folder, the release unpacked from the tar.gz, and an empty Debian."""

    dist: Path
    release: Path
    base: Path


@pytest.fixture(scope="session")
def built() -> Iterator[Built]:
    require_bare_systems()
    folder = Path(tempfile.mkdtemp(prefix="fracture-edge-"))
    folder.chmod(0o755)  # pytest's own folders are closed to the user who installs
    with ThreadPoolExecutor(2) as pool:
        made_base = pool.submit(lambda: _given("FRACTURE_BARE_SYSTEM") or bootstrap(folder / "base"))
        made_dist = pool.submit(lambda: _given("FRACTURE_DIST") or build(folder / "dist", "linux-x86_64"))
        base, dist = made_base.result(), made_dist.result()
    yield Built(dist, unpack(next(dist.glob("*-cpu.tar.gz")), folder), base)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def gpu_release(built: Built) -> Path:
    """Return the release for PCs with a GPU, unpacked."""
    dist = _given("FRACTURE_GPU_DIST") or build(
        built.release.with_name("gpu-dist"), "linux-x86_64", device="gpu"
    )
    return unpack(next(dist.glob("*-gpu.tar.gz")), built.release.parent)


@pytest.fixture(scope="session")
def newer(built: Built) -> Path:
    """Return the same release under a later version number."""
    folder = built.release.with_name("newer")
    copy_release(built.release, folder, version="9.0.0")
    return folder


@pytest.fixture(scope="session")
def quick(built: Built) -> tuple[Path, Path]:
    """Return the release and a later one with a model that is certified in a moment.

    They are for what is the same with any model.
    """
    older, newer = (built.release.with_name(name) for name in ("quick", "quick-newer"))
    copy_release(built.release, older, write_toy_bundle)
    copy_release(older, newer, version="9.0.0")
    return older, newer


@pytest.fixture
def make_system(built: Built, tmp_path: Path) -> Iterator[Callable[[], BareSystem]]:
    systems: list[BareSystem] = []

    def make() -> BareSystem:
        systems.append(BareSystem(built.base, tmp_path / f"system-{len(systems)}"))
        put(systems[-1], built.release)
        return systems[-1]

    yield make
    for system in systems:
        system.close()


@pytest.fixture
def account(built: Built, free_ports: tuple[int, int]) -> Iterator[Account]:
    folder = built.release.with_name("account")
    account = Account(folder, free_ports[0])
    yield account
    account.kill_everything()
    shutil.rmtree(folder)


@pytest.fixture
def booted(built: Built, tmp_path: Path) -> Iterator[BootedSystem]:
    with_systemd = _given("FRACTURE_BOOTING_SYSTEM") or bootstrap(
        tmp_path / "base", ("systemd-sysv", "dbus")
    )
    system = BootedSystem(with_systemd, tmp_path / "booted")
    shutil.copytree(built.release, system.root / STICK.lstrip("/"))
    yield system
    system.close()


@pytest.fixture(scope="session")
def xray(xray_dir: Path) -> Path:
    return sorted((xray_dir / "images").rglob("*.jpg"))[0]


def _given(variable: str) -> Path | None:
    return Path(os.environ[variable]) if variable in os.environ else None


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a release's tar.gz; return the release."""
    subprocess.run(["tar", "xzf", str(archive), "-C", str(folder)], check=True)
    return folder / archive.name.removesuffix(".tar.gz")


def put(system: BareSystem, release: Path, name: str = STICK) -> str:
    """Copy a release into a system, as from a stick; return the installer's path there."""
    shutil.copytree(release, system.root / name.lstrip("/"))
    return f"{name}/install.sh"


def copy_release(
    release: Path, folder: Path, write_model: Callable[[Path], object] | None = None, **facts: object
) -> None:
    """Copy a release that says something else of itself, or has another model, and is whole."""
    shutil.copytree(release, folder)
    if write_model is not None:
        shutil.rmtree(folder / MODEL)
        write_model(folder / MODEL)
    content = json.loads((folder / FACTS).read_bytes())
    (folder / FACTS).write_text(json.dumps({**content, **facts}))
    write_sums(folder)
