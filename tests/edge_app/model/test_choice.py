from __future__ import annotations

import json
import logging
import platform
import re
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edge_app.errors import BundleError
from edge_app.model.choice import (
    Choice,
    Measurement,
    chosen_variant,
    manifest_hash,
    processor_name,
    write_choice,
)
from tests import toy
from tests.conftest import require


@pytest.fixture
def bundle_dir(tmp_path: Path) -> Path:
    return toy.write_two_variants(tmp_path / "bundle")


def choice_for(bundle_dir: Path) -> Choice:
    return Choice(
        manifest_sha256=manifest_hash(bundle_dir),
        preferred_device="cpu",
        device="cpu",
        onnxruntime="1.0",
        processor=processor_name(),
        threads=0,
        variant="int8",
        reason="It was faster.",
        measurements={"int8": Measurement(1.5, True, ""), "float32": Measurement(3, True, "")},
        created="2026-01-01T00:00:00+00:00",
    )


def test_float32_runs_without_a_choice_and_without_a_word(
    bundle_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert chosen_variant(bundle_dir, "cpu") == "float32"
    assert caplog.messages == []


def test_written_choice_is_followed(bundle_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_choice(bundle_dir, choice_for(bundle_dir))
    assert path == bundle_dir / "choice.json"
    assert chosen_variant(bundle_dir, "cpu") == "int8"
    assert caplog.messages == []


def test_file_holds_what_was_measured(bundle_dir: Path) -> None:
    content = json.loads(write_choice(bundle_dir, choice_for(bundle_dir)).read_text())
    assert content == asdict(choice_for(bundle_dir))
    assert content["measurements"]["int8"] == {"median_ms": 1.5, "reproduces": True, "remark": ""}


@pytest.mark.parametrize(
    "changes", [{"manifest_sha256": "0"}, {"preferred_device": "cuda"}, {"processor": "another"}]
)
def test_choice_for_something_else_is_ignored_in_one_line(
    bundle_dir: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, str]
) -> None:
    write_choice(bundle_dir, replace(choice_for(bundle_dir), **changes))
    with caplog.at_level(logging.WARNING):
        assert chosen_variant(bundle_dir, "cpu") == "float32"
    (line,) = caplog.messages
    assert "python -m edge_app.choose" in line


@pytest.mark.parametrize("text", ["", "{}", "[]", "[" * 200_000, "\0"])
def test_unreadable_choice_is_ignored_in_one_line(
    bundle_dir: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (bundle_dir / "choice.json").write_text(text)
    assert chosen_variant(bundle_dir, "cpu") == "float32"
    assert len(caplog.messages) == 1


def test_directory_that_cannot_be_written_is_told_and_left_as_it_was(bundle_dir: Path) -> None:
    (bundle_dir / "choice.json").mkdir()
    before = sorted(bundle_dir.iterdir())
    with pytest.raises(BundleError, match=r"choice.json cannot be written"):
        write_choice(bundle_dir, choice_for(bundle_dir))
    assert sorted(bundle_dir.iterdir()) == before


def test_processor_has_the_name_that_the_system_tells() -> None:
    told = subprocess.run([require("lscpu", package="util-linux")], capture_output=True, text=True).stdout
    (name,) = re.findall(r"^Model name: +(.+)$", told, re.MULTILINE) or [platform.machine()]
    assert processor_name() == name
