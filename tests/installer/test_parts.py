from __future__ import annotations

import json
import re
import shutil
from importlib.metadata import distribution
from pathlib import Path

from edge_app.installed.release import MODEL
from installer.parts import bill_of_materials
from installer.recipe import Recipe, find_target
from tests.conftest import ROOT

LOCK = ROOT / "installer" / "locks" / "linux-x86_64-cpu.txt"
# In a development environment the same program comes from the package with CUDA.
STAND_INS = {"onnxruntime": "onnxruntime-gpu"}


def locked_names() -> list[str]:
    names = re.findall(r"^([a-z0-9-]+)==", LOCK.read_text(), re.MULTILINE)
    return [STAND_INS.get(name, name) for name in names]


def test_every_locked_package_is_listed_with_its_version_and_licence(
    toy_bundle: Path, tmp_path: Path
) -> None:
    shutil.copytree(toy_bundle, tmp_path / MODEL)
    recipe = Recipe(find_target("linux-x86_64", "cpu"), toy_bundle, tmp_path, "1.0")
    packages = [distribution(name) for name in locked_names()]
    listed = json.loads(bill_of_materials(recipe, tmp_path, "3.13.0", packages))["components"]
    by_purl = {each["purl"]: each for each in listed if "purl" in each}
    expected = {f"pkg:pypi/{name}@{distribution(name).version}" for name in locked_names()}
    assert by_purl.keys() == expected
    assert [purl for purl, each in by_purl.items() if not each.get("licenses")] == []
    assert {each["name"] for each in listed if "purl" not in each} == {"CPython", "toy"}
