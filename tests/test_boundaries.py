from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

FORBIDDEN = {
    "edge_app": {
        "training",
        "export",
        "installer",
        "tools",
        "tests",
        "tensorflow",
        "keras",
        "onnx",
        "tf2onnx",
    },
    "training": {"export", "installer", "tests", "onnx", "tf2onnx", "onnxruntime"},
    "export": {"training", "installer", "tests"},
}

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


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_imports_point_one_way(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert not imported_packages(path) & FORBIDDEN[package], path


@pytest.mark.parametrize(
    ("library", "home"),
    [("onnxruntime", "inference.py"), ("PIL", "images.py"), ("cryptography", "signature.py")],
)
def test_library_is_imported_in_one_module_of_the_app(library: str, home: str) -> None:
    users = [p.name for p in (ROOT / "edge_app").rglob("*.py") if library in imported_packages(p)]
    assert users == [home]


def test_export_uses_onnxruntime_itself_only_to_change_graphs() -> None:
    users = {p.name for p in (ROOT / "export").rglob("*.py") if "onnxruntime" in imported_packages(p)}
    assert users == {"simplify.py", "variants.py"}


def test_tf2onnx_is_imported_in_one_module() -> None:
    users = [p.name for p in (ROOT / "export").rglob("*.py") if "tf2onnx" in imported_packages(p)]
    assert users == ["convert.py"]


@pytest.mark.parametrize(
    "name",
    [
        "requirements-edge.txt",
        "requirements-train.txt",
        "requirements-train-cuda.txt",
        "requirements-bench.txt",
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


def imported_packages(path: Path) -> set[str]:
    """Return the top-level packages that a module imports anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_onnx_runtime_leaves_no_identifier_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import edge_app.model.inference"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TEMP": str(tmp_path), "HOME": str(tmp_path)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
