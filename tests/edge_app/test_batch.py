from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_app import batch
from edge_app.imaging.images import decode_image, encode_png
from edge_app.reports.csv_table import Row, to_csv
from tests.conftest import ROOT, require
from tests.dicom_files import xray_file
from tests.system_calls import traced, writes


def test_folder_becomes_a_table_worst_first(toy_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "xrays"
    (folder / "more").mkdir(parents=True)
    for name, level in (("a.png", 0), ("more/b.png", 255), ("c.png", 120)):
        (folder / name).write_bytes(encode_png(np.full((64, 64), level, np.uint8)))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "outside.png").symlink_to(toy_bundle / "golden-1.png")
    out_path = tmp_path / "results.csv"
    options = ["--bundle", str(toy_bundle), "--device", "cpu"]
    assert batch.main([str(folder), "--out", str(out_path), *options]) == 0
    rows = list(csv.DictReader(out_path.read_text(encoding="utf-8-sig").splitlines()))
    assert [row["file"] for row in rows] == [str(Path("more/b.png")), "c.png", "a.png", "broken.png"]
    assert [row["probability"] for row in rows] == ["0.9820", "0.6950", "0.1192", ""]
    assert rows[-1]["error"] == "invalid_image"
    assert {row["notice"] for row in rows} == {"Assistive tool, not a diagnosis."}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="strace traces Linux' system calls")
def test_only_the_table_is_written(toy_bundle: Path, tmp_path: Path, drawn_png: bytes) -> None:
    folder, out_path, log_path = tmp_path / "xrays", tmp_path / "table" / "results.csv", tmp_path / "log"
    for each in (folder, out_path.parent):
        each.mkdir()
    files = {
        "one.png": drawn_png,
        "two.dcm": xray_file(decode_image(drawn_png)),
        "cut.png": drawn_png[:500],
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    words = [str(folder), "--out", str(out_path), "--bundle", str(toy_bundle), "--device", "cpu"]
    command = [*traced(require("strace"), log_path), sys.executable, "-B", "-m", "edge_app.batch", *words]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    calls = writes(log_path.read_text())
    assert calls[-1].startswith(("rename(", "renameat(", "renameat2("))
    assert all(f"{out_path.parent}/" in call for call in calls), calls
    assert list(out_path.parent.iterdir()) == [out_path]


def test_missing_folder_is_told(toy_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out_path = tmp_path / "results.csv"
    arguments = [str(tmp_path / "none"), "--out", str(out_path), "--bundle", str(toy_bundle)]
    assert batch.main([*arguments, "--device", "cpu"]) == 2
    assert "There is no folder" in caplog.text
    assert not out_path.exists()


def test_file_name_is_no_formula_to_a_spreadsheet() -> None:
    assert "\n'=cmd().png,Normal,0.1000,0.4000" in to_csv([Row("=cmd().png", "Normal", 0.1, 0.4)])
