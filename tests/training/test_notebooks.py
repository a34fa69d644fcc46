from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT
from training.runs.rundir import read_csv

NOTEBOOKS = ROOT / "training" / "notebooks"
NAMES = ("01_data_exploration", "02_preprocessing", "03_model_training")


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


@pytest.fixture
def execute(drawn_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs a notebook on drawn pictures and returns all that its cells show."""
    monkeypatch.setenv("FRACTURE_DATA", str(drawn_dataset))
    monkeypatch.setenv("FRACTURE_RUN", str(tmp_path / "run"))
    monkeypatch.setenv("FRACTURE_MODEL", "custom")
    monkeypatch.setenv("FRACTURE_IMAGE_SIZE", "32")
    monkeypatch.setenv("FRACTURE_EPOCHS", "3")
    monkeypatch.setenv("FRACTURE_BATCH_SIZE", "8")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))

    def shown(name: str) -> dict[str, str]:
        notebook = read(name)
        NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
        return {cell.id: str(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"}

    return shown


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_kept_without_outputs(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert {cell.execution_count for cell in code} == {None}


@pytest.mark.slow
def test_exploration_shows_the_counts_of_the_data_set(execute: Any) -> None:
    shown = execute("01_data_exploration")
    assert "63 (98.4 %)" in shown["overview"]
    assert "IMG0000000.jpg" in shown["unreadable"]
    assert "data:image/png" in shown["sheet"]


@pytest.mark.slow
def test_preprocessing_shows_the_tensor_that_the_clinic_feeds(execute: Any) -> None:
    shown = execute("02_preprocessing")
    assert "((6, 224, 224, 1), dtype('float32'), True)" in shown["tensor"]
    for cell in ("decode", "square", "cells", "augment"):
        assert "image/png" in shown[cell], cell


@pytest.mark.slow
def test_training_leaves_a_judged_model_and_shows_its_curves(execute: Any, tmp_path: Path) -> None:
    shown = execute("03_model_training")
    assert "Validation AUROC" in shown["train"]
    assert (tmp_path / "run" / "best_model.keras").is_file()
    provenance = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert provenance["weights"]["source"] == "random weights"
    assert [row["stage"] for row in read_csv(tmp_path / "run" / "history.csv")] == ["all"] * 3
    assert shown["history"].count("image/png") == 2
    assert (tmp_path / "run" / "evaluation" / "evaluation_validation.html").is_file()
    assert shown["curves"].count("image/png") == 2
