from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from edge_app.errors import UnfitComputer
from edge_app.installed.preflight import Facts, checks, facts_of, is_free, require
from edge_app.installed.release import read_release
from tests.edge_app.installed.drawn_release import write_release

FIT = Facts(
    system="linux",
    machine="x86_64",
    avx2=True,
    memory_bytes=2_000_000_000,
    free_bytes=450_000_000,
    system_version=(2, 35),
    writable=True,
    port_is_free=True,
    prefix_length=100,
)


def test_pc_that_has_just_what_is_needed_is_fit(tmp_path: Path) -> None:
    require(checks(read_release(write_release(tmp_path)), FIT, copied=True, port=5000))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"machine": "aarch64"}, "processor"),
        ({"avx2": False}, "without AVX2"),
        ({"system": "windows"}, "the file for its system"),
        ({"system_version": (2, 34)}, "glibc: 2.34"),
        ({"memory_bytes": 1_900_000_000}, "memory: 1.9 GB"),
        ({"free_bytes": 449_999_999}, "free disk"),
        ({"writable": False}, "--prefix"),
        ({"port_is_free": False}, "--port"),
    ],
)
def test_lack_is_named_with_what_to_do(tmp_path: Path, change: dict[str, object], word: str) -> None:
    release = read_release(write_release(tmp_path))
    with pytest.raises(UnfitComputer, match="Nothing was changed") as refusal:
        require(checks(release, replace(FIT, **change), copied=True, port=5000))  # type: ignore[arg-type]
    assert word in str(refusal.value)


def test_release_in_its_place_needs_no_space_of_its_own(tmp_path: Path) -> None:
    release = read_release(write_release(tmp_path))
    require(checks(release, replace(FIT, free_bytes=150_000_000), copied=False, port=5000))


def test_home_close_to_the_longest_path_is_refused_on_windows_alone(tmp_path: Path) -> None:
    windows = read_release(write_release(tmp_path, target="windows-x86_64", system_version=[10, 0, 17763]))
    pc = replace(FIT, system="windows", machine="AMD64", system_version=(10, 0, 19045))
    require(checks(windows, replace(pc, prefix_length=109), copied=True, port=5000))
    with pytest.raises(UnfitComputer, match="shorter path"):
        require(checks(windows, replace(pc, prefix_length=110), copied=True, port=5000))
    require(checks(read_release(write_release(tmp_path)), replace(FIT, prefix_length=4000), True, 5000))


def test_this_machine_tells_its_facts_and_leaves_nothing_behind(tmp_path: Path) -> None:
    facts = facts_of(tmp_path / "not" / "there", port_is_free=True)
    assert facts.writable
    assert facts.memory_bytes > 0
    assert facts.system_version > (2, 0)
    assert list(tmp_path.iterdir()) == []


def test_port_is_used_while_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)
