from __future__ import annotations

from pathlib import Path

import pytest

from edge_app.errors import BundleError, SettingsError
from installer.recipe import TARGETS, Recipe, find_target
from tests.conftest import ROOT


def test_unknown_target_is_told_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="linux-x86_64-cpu, linux-x86_64-gpu, windows-x86_64-cpu"):
        find_target("linux-aarch64", "cpu")


def test_damaged_bundle_stops_before_anything_is_built(toy_bundle: Path, tmp_path: Path) -> None:
    for file in toy_bundle.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "features.onnx").write_bytes(b"")
    with pytest.raises(BundleError):
        Recipe(TARGETS[0], tmp_path, tmp_path / "dist", "1.0")


@pytest.mark.parametrize("lack", [{"runtime": "/nowhere"}, {"sign_key": Path("/nowhere.pem")}])
def test_missing_part_stops_before_anything_is_built(
    toy_bundle: Path, tmp_path: Path, lack: dict[str, object]
) -> None:
    with pytest.raises(SettingsError, match="/nowhere"):
        Recipe(TARGETS[0], toy_bundle, tmp_path, "1.0", **lack)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_lock_holds_one_onnx_runtime_hashes_and_no_registry(target) -> None:  # type: ignore[no-untyped-def]
    text = (ROOT / target.lock).read_text()
    lines = [line for line in text.splitlines() if "==" in line]
    runtimes = {line.split("==")[0] for line in lines if line.startswith("onnxruntime")}
    assert runtimes == {"onnxruntime" if target.device == "cpu" else "onnxruntime-gpu"}
    assert "://" not in text
    for line in lines:
        assert f"{line}\n    --hash=sha256:" in text


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_lock_has_every_package_of_the_app(target) -> None:  # type: ignore[no-untyped-def]
    def names(path: Path) -> set[str]:
        lines = [line for line in path.read_text().splitlines() if "==" in line]
        return {
            line.split("==")[0].split("[")[0] for line in lines if "sys_platform == 'linux'" not in line
        }

    edge = {name for name in names(ROOT / "requirements-edge.txt") if not name.startswith("onnxruntime")}
    assert edge <= names(ROOT / target.lock) | {"colorama", "tzdata"}
