from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from edge_app.errors import DamagedFiles, InstallError, NotWritable
from edge_app.installed.home import Home, replace_file


@pytest.fixture
def home(tmp_path: Path) -> Home:
    for name in ("1.0-aaaa", "2.0-bbbb", "3.0-cccc"):
        (tmp_path / "versions" / name).mkdir(parents=True)
    return Home(tmp_path)


def deploy(home: Home, name: str, bundle_dir: Path) -> None:
    home.switch_to(home.deploy(home.versions / name, bundle_dir, 5000))


def test_each_deployment_remembers_the_one_before(home: Home, toy_bundle: Path) -> None:
    deploy(home, "1.0-aaaa", toy_bundle)
    deploy(home, "2.0-bbbb", toy_bundle)
    current = home.current()
    assert (current.number, current.program, current.previous) == (2, "versions/2.0-bbbb", 1)
    assert home.deployment(1).previous is None


def test_model_is_copied_without_the_choice_of_another_pc(
    home: Home, toy_bundle: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for file in toy_bundle.iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    (bundle / "choice.json").write_text("{}")
    deploy(home, "1.0-aaaa", bundle)
    assert {path.name for path in home.model(1).iterdir()} == {path.name for path in toy_bundle.iterdir()}


def test_pruning_keeps_the_current_and_the_previous(home: Home, toy_bundle: Path) -> None:
    for name in ("1.0-aaaa", "2.0-bbbb", "3.0-cccc"):
        deploy(home, name, toy_bundle)
    home.prune()
    assert sorted(path.name for path in home.versions.iterdir()) == ["2.0-bbbb", "3.0-cccc"]
    assert sorted(path.name for path in home.deployments.iterdir()) == ["0002", "0003"]


def test_reader_always_sees_a_whole_record_while_it_is_switched(home: Home, toy_bundle: Path) -> None:
    deploy(home, "1.0-aaaa", toy_bundle)
    deploy(home, "2.0-bbbb", toy_bundle)
    first, second = home.deployment(1), home.deployment(2)
    seen: set[str] = set()
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            seen.add((home.path / "current").read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(100):
        home.switch_to(first)
        home.switch_to(second)
    ended.set()
    reader.join()
    assert seen <= {"versions/1.0-aaaa\n1\n", "versions/2.0-bbbb\n2\n"}


def test_removal_takes_only_what_an_installation_put_there(home: Home, toy_bundle: Path) -> None:
    deploy(home, "1.0-aaaa", toy_bundle)
    replace_file(home.command, b"#!/bin/sh", 0o755)
    (home.path / ".lock").touch()
    (home.path / "X-rays").mkdir()
    for own in ("X-rays/hand.dcm", "bin/another"):
        (home.path / own).write_text("the clinic's")
    assert home.strangers() == ["X-rays", "bin/another"]
    home.remove()
    left = sorted(path.relative_to(home.path).as_posix() for path in home.path.rglob("*"))
    assert left == ["X-rays", "X-rays/hand.dcm", "bin", "bin/another"]


def test_removal_takes_the_folder_where_nothing_else_is_in_it(home: Home, toy_bundle: Path) -> None:
    deploy(home, "1.0-aaaa", toy_bundle)
    replace_file(home.command, b"#!/bin/sh", 0o755)
    assert home.strangers() == []
    home.remove()
    assert not home.path.exists()


def test_folder_that_could_not_be_filled_leaves_nothing(home: Home) -> None:
    def fill() -> None:
        with home.arriving(home.versions / "4.0") as folder:
            (folder / "half").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(NotWritable, match="No space left"):
        fill()
    assert sorted(path.name for path in home.versions.iterdir()) == ["1.0-aaaa", "2.0-bbbb", "3.0-cccc"]


def test_remains_of_a_killed_copy_are_no_obstacle(home: Home) -> None:
    (home.versions / "4.0.unfinished").mkdir()
    (home.versions / "4.0.unfinished" / "half").write_text("half")
    with home.arriving(home.versions / "4.0") as folder:
        (folder / "whole").write_text("whole")
    assert [path.name for path in (home.versions / "4.0").iterdir()] == ["whole"]


def test_two_installations_at_once_are_refused(home: Home) -> None:
    with home.changing(), pytest.raises(InstallError, match="Another installation"), home.changing():
        pass


def test_each_deployment_keeps_the_key_that_it_came_with(
    home: Home, toy_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "key").write_bytes(b"a key")
    deploy(home, "1.0-aaaa", toy_bundle)
    home.deploy(home.versions / "2.0-bbbb", toy_bundle, 5000, key=tmp_path / "key")
    assert home.key(1) is None
    assert home.key(2).read_bytes() == b"a key"  # type: ignore[union-attr]


def test_damaged_record_is_no_obstacle_to_installing_again(home: Home, toy_bundle: Path) -> None:
    deploy(home, "1.0-aaaa", toy_bundle)
    (home.path / "current").write_text("versions/1.0-aaaa\nx\n")
    assert home.known() is None
    deploy(home, "2.0-bbbb", toy_bundle)
    assert (home.current().number, home.current().previous) == (2, None)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no right to execute")
def test_replaced_program_never_lacks_its_rights(tmp_path: Path) -> None:
    replace_file(tmp_path / "program", b"#!/bin/sh", 0o755)
    assert (tmp_path / "program").stat().st_mode & 0o777 == 0o755


def test_nothing_installed_is_told(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="not installed"):
        Home(tmp_path).current()


def test_unreadable_record_is_told(home: Home) -> None:
    (home.path / "current").write_text("nonsense")
    with pytest.raises(DamagedFiles, match="Install again"):
        home.current()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_place_without_right_to_write_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(NotWritable):
        replace_file(tmp_path / "file", b"")
