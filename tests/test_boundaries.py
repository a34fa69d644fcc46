from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_ERROR, EXIT_STATUS_SUCCESS

from tests.conftest import ROOT

IMPORT_EVERYTHING = """
import importlib, pathlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "onnx", "tf2onnx", "sklearn", "scipy"):
            raise ImportError(f"{name} is not there in the clinic")

sys.meta_path.insert(0, Refuse())
names = []
for path in sorted(pathlib.Path("edge_app").rglob("*.py")):
    name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    importlib.import_module(name)
    names.append(name)
print(len(names), *names)
"""


def test_every_module_of_the_app_imports_without_the_training_libraries() -> None:
    command = [sys.executable, "-W", "error", "-c", IMPORT_EVERYTHING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, *names = done.stdout.split()
    assert int(count) == len(list((ROOT / "edge_app").rglob("*.py")))
    assert "edge_app.__main__" in names


def test_imports_keep_the_floors_that_pyproject_toml_draws() -> None:
    # In a process of its own: within this one it would switch off the loggers that other tests listen to.
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == EXIT_STATUS_SUCCESS, done.stdout


def test_import_that_runs_upwards_is_refused(tmp_path: Path) -> None:
    for stage in ("edge_app", "training", "export", "installer"):
        shutil.copytree(ROOT / stage, tmp_path / stage, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    module = tmp_path / "edge_app" / "imaging" / "overlay.py"
    module.write_text(module.read_text() + "\nfrom edge_app import predictor\n")
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == EXIT_STATUS_ERROR
    assert "edge_app.imaging is not allowed to import edge_app.predictor" in done.stdout


@pytest.mark.parametrize(
    "name",
    [
        "requirements-edge.txt",
        "requirements-train.txt",
        "requirements-train-cuda.txt",
        "requirements-bench.txt",
        "requirements-audit.txt",
    ],
)
def test_locks_hold_hashes_and_name_no_registry(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    packages = [line for line in text.splitlines() if "==" in line]
    assert packages
    for package in packages:
        assert f"{package}\n    --hash=sha256:" in text


def test_app_lock_brings_no_training_library() -> None:
    text = (ROOT / "requirements-edge.txt").read_text()
    names = {line.split("==")[0] for line in text.splitlines() if "==" in line}
    assert not names & {"tensorflow", "keras", "onnx", "tf2onnx", "scikit-learn"}
    assert {"onnxruntime-gpu", "onnxruntime", "flask", "waitress"} <= names


def test_onnx_runtime_leaves_no_identifier_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import edge_app.model.inference"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TEMP": str(tmp_path), "HOME": str(tmp_path)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
