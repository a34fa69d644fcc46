"""Not one byte of a received study, or of its answers, reaches a file: the system calls say so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import requests

from export.proof.drawn import draw_xray
from tests.conftest import ROOT, require
from tests.edge_app.dicom_node.conftest import post, send_to, wait_for, xray
from tests.edge_app.web.test_server import free_port
from tests.system_calls import traced, writes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="strace traces Linux' system calls"),
]


def test_received_study_and_its_answers_open_no_file_for_writing(toy_bundle: Path, tmp_path: Path) -> None:
    log_path, page_port, dicom_port, archive_port = tmp_path / "log", free_port(), free_port(), free_port()
    words = ["--port", str(page_port), "--bundle", str(toy_bundle), "--device", "cpu", "--study-idle", "1"]
    words += ["--dicom", str(dicom_port), "--allow", "STORESCU@127.0.0.1"]
    words += ["--stow", "--answer-to", f"PACS@127.0.0.1:{archive_port}"]
    app = [*traced(require("strace"), log_path), sys.executable, "-m", "edge_app", *words]
    folder = tmp_path / "archive"
    folder.mkdir()
    archive = [require("storescp", "dcmtk"), "-aet", "PACS", "-od", str(folder), "+xa", str(archive_port)]
    with (
        subprocess.Popen(archive) as storescp,
        subprocess.Popen(app, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process,
    ):
        try:
            assert process.stderr.readline().startswith("Fracture Edge is ready")
            ready_at = len(log_path.read_text())
            views = [
                xray(n, draw_xray(n, fractured=True), PatientName="Sklodowska^Marie") for n in (1, 2, 3)
            ]
            assert send_to(dicom_port, tmp_path, *views[:2]).returncode == 0
            assert post(f"http://localhost:{page_port}", views[2]).status_code == 200
            wait_for(lambda: len(list(folder.iterdir())) >= 5, 120)
            page = requests.get(f"http://localhost:{page_port}/arrivals", timeout=60).text
            log = log_path.read_text()
        finally:
            for child in psutil.Process(process.pid).children():
                child.kill()
            storescp.terminate()
    assert "Sklodowska Marie" in page
    assert writes(log[ready_at:]) == []
    assert "Sklodowska" not in log
