"""What OHIF shows of a structured report: its own reader runs, where its modules from npm are.

OHIF_MODULES names the folder with them; docs/PACS.md tells how to make it. No other test needs them.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge_app.dicom_node.objects.common import to_file
from edge_app.dicom_node.objects.subject import JudgedView
from tests.conftest import require
from tests.edge_app.dicom_node.test_objects import SQUARE, answers, view

READER = Path(__file__).with_name("ohif.mjs")


def read_as_ohif_does(folder: Path, *views: JudgedView) -> Any:
    """Return what OHIF draws of the report about views, and what it takes over as its own."""
    modules = os.environ.get("OHIF_MODULES")
    if modules is None:
        pytest.skip("OHIF_MODULES names no folder with OHIF's modules from npm")
    (report,) = answers(*views, kinds=("sr",))
    path = folder / "report.dcm"
    path.write_bytes(to_file(report))
    with READER.open("rb") as program:
        command = [require("node", "nodejs"), "--input-type=module", "-", str(path)]
        ran = subprocess.run(command, cwd=modules, stdin=program, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-1000:]
    return json.loads(ran.stdout)


def test_ohif_draws_the_outline_beside_a_normal_view(tmp_path: Path) -> None:
    for number, views in enumerate(
        ([view(1, 0.9, SQUARE), view(2, 0.1, None)], [view(2, 0.1, None), view(1, 0.9, SQUARE)])
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (drawn,) = read_as_ohif_does(folder, *views)["drawn"]
        assert drawn["image"].endswith(".1.1")
        # OHIF counts from the middle of the first pixel, DICOM's reports from its corner.
        assert drawn["points"] == [*(SQUARE - 0.5).tolist(), (SQUARE[0] - 0.5).tolist()]
        assert drawn["labels"] == [
            "Area 400.00 {pixels}",
            "Probability of fracture 0.90 1",
            "Decision threshold 0.40 1",
        ]


def test_ohif_takes_the_outline_over_with_its_finding(tmp_path: Path) -> None:
    (measurement,) = read_as_ohif_does(tmp_path, view(1, 0.9, SQUARE), view(2, 0.1, None))["takenOver"]
    assert measurement.pop("image").endswith(".1.1")
    assert measurement == {
        "tool": "PlanarFreehandROI",
        "points": (SQUARE - 0.5).tolist(),
        "isClosed": True,
        "area": 400,
        "finding": "Fracture of bone",
        "label": "Fracture Detected (probability 0.900, threshold 0.400). Assistive tool, not a diagnosis.",
    }


def test_ohif_opens_a_report_without_any_outline(tmp_path: Path) -> None:
    assert read_as_ohif_does(tmp_path, view(1, 0.1, None)) == {"drawn": [], "takenOver": []}
