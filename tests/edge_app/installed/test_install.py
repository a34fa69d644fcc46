"""A release of a toy model is installed in earnest; its Python is a script that starts this one."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from edge_app.errors import UnfitComputer
from edge_app.installed.home import Home
from edge_app.installed.install import Wishes, install, roll_back, update_model
from edge_app.installed.release import MODEL, read_release
from installer.seal import write_sums
from tests.conftest import ROOT
from tests.edge_app.installed.drawn_release import write_release
from tests.toy import write_toy_bundle

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows starts no script in a program's place")
# The words -IB -m edge_app.installed come first.
PYTHON = f"""#!/bin/sh
shift 3
cd '{ROOT}'
exec '{sys.executable}' -m edge_app.installed "$@"
"""


class PC:
    """A home to install into, and sticks.

    Args:
        folder: Where both are made.
        bundle_dir: The model of each release.
        port: Where the app would listen.
    """

    def __init__(self, folder: Path, bundle_dir: Path, port: int) -> None:
        self.home = Home(folder / "home")
        self._sticks, self._bundle_dir = folder / "sticks", bundle_dir
        self._wishes = Wishes(port=port)

    def install(self, version: str) -> None:
        """Install a version from its stick."""
        install(self._stick(version), self.home, self._wishes)

    @property
    def version(self) -> str:
        """The version that is current."""
        return read_release(self.home.program(self.home.current())).version

    def damage_program(self) -> None:
        """Alter a file of the program that is current."""
        (self.home.program(self.home.current()) / "a").write_text("altered")

    def damage_model(self) -> None:
        """Cut off a file of the model that is current."""
        (self.home.model(self.home.current().number) / "features.onnx").write_bytes(b"")

    def _stick(self, version: str) -> Path:
        stick = self._sticks / version
        if not stick.exists():
            write_release(stick, version=version)
            shutil.copytree(self._bundle_dir, stick / MODEL)
            python = stick / "runtime" / "bin" / "python3"
            python.parent.mkdir(parents=True)
            python.write_text(PYTHON)
            python.chmod(0o755)
            write_sums(stick)
        return stick


@pytest.fixture
def pc(tmp_path: Path, toy_bundle: Path, free_ports: tuple[int, int]) -> PC:
    return PC(tmp_path, toy_bundle, free_ports[0])


def test_upgrade_is_rolled_back_to_the_version_before(pc: PC) -> None:
    pc.install("1.0")
    pc.install("2.0")
    roll_back(pc.home)
    assert pc.version == "1.0"


@pytest.mark.parametrize("damage", [lambda pc: None, PC.damage_program, PC.damage_model])
def test_repaired_upgrade_is_still_rolled_back_to_the_version_before(pc: PC, damage) -> None:  # type: ignore[no-untyped-def]
    pc.install("1.0")
    pc.install("2.0")
    damage(pc)
    pc.install("2.0")
    assert pc.version == "2.0"
    roll_back(pc.home)
    assert pc.version == "1.0"


def test_folder_that_holds_something_else_is_refused_and_left_alone(pc: PC) -> None:
    pc.home.path.mkdir()
    (pc.home.path / "X-rays").write_text("the clinic's")
    with pytest.raises(UnfitComputer, match=r"folder: it also holds X-rays.*Nothing was changed"):
        pc.install("1.0")
    assert [path.name for path in pc.home.path.iterdir()] == ["X-rays"]


def test_what_came_into_the_folder_later_is_no_obstacle_to_an_upgrade(pc: PC) -> None:
    pc.install("1.0")
    (pc.home.path / "X-rays").write_text("the clinic's")
    pc.install("2.0")
    assert pc.version == "2.0"


def test_first_installation_that_is_repaired_has_nothing_to_return_to(pc: PC) -> None:
    pc.install("1.0")
    pc.install("1.0")
    assert pc.home.current().previous is None


def test_repair_keeps_a_newer_model_and_returns_to_the_one_before(pc: PC, tmp_path: Path) -> None:
    pc.install("1.0")
    newer = write_toy_bundle(tmp_path / "newer", version="9", created="2099-01-01T00:00:00+00:00")
    update_model(newer, pc.home)
    pc.install("1.0")
    model = pc.home.model(pc.home.current().number)
    assert (model / "manifest.json").read_bytes() == (newer / "manifest.json").read_bytes()
    roll_back(pc.home)
    assert pc.home.current().number == 1
