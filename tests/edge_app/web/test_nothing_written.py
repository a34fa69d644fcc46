"""Not one byte of an upload reaches a file: the system calls of the running app and its decoders say so."""

from __future__ import annotations

import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import requests

from edge_app.imaging.images import decode_image, encode_png
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from tests.conftest import ROOT, require
from tests.dicom_files import xray_file
from tests.edge_app.web.test_server import free_port
from tests.system_calls import traced, writes
from tools.fuzz import seeds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="strace traces Linux' system calls"),
]
PATIENT = "Marie^Curie^1867"


@dataclass
class Traced:
    """An app under strace, its log, the log's length when it became ready, and what it was asked for."""

    port: int
    log_path: Path
    ready_at: int
    asked: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, method: str, path: str, **body: Any) -> requests.Response:
        self.asked.append((method, path.partition("?")[0]))
        return requests.request(method, f"http://localhost:{self.port}{path}", timeout=60, **body)

    def log(self) -> str:
        return self.log_path.read_text()

    def writes(self) -> list[str]:
        return writes(self.log()[self.ready_at :])


@pytest.fixture(scope="module")
def app(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    log_path, port = tmp_path_factory.mktemp("strace") / "log", free_port()
    words = ["-m", "edge_app", "--port", str(port), "--bundle", str(toy_bundle), "--device", "cpu"]
    command = [*traced(require("strace"), log_path), sys.executable, *words]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        assert line.startswith("Fracture Edge is ready"), line
        (server,) = psutil.Process(process.pid).children()
        try:
            yield Traced(port, log_path, len(log_path.read_text()))
        finally:
            server.kill()  # strace ends with it


def uploads(drawn_png: bytes) -> dict[str, bytes]:
    noise = encode_png(np.random.default_rng(0).integers(0, 256, (3000, 4000), np.uint8))
    assert len(noise) > 12_000_000
    header = b"IHDR" + (9_000).to_bytes(4, "big") * 2 + drawn_png[24:29]
    bomb = drawn_png[:12] + header + zlib.crc32(header).to_bytes(4, "big") + drawn_png[33:]
    return {
        "single": drawn_png,
        "large": noise,
        "broken": noise[:2_000_000],
        "bomb": bomb,
        "text": b"hello",
        "too large": bytes(34 * 1024 * 1024),
    }


def upload(app: Traced, data: bytes) -> requests.Response:
    """Send a file that is named after a patient, and fetch the pictures of its result."""
    response = app.ask("POST", "/predict", files=parts(data))
    fetch_pictures(app, response.json())
    return response


def parts(*files: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("file", (f"{PATIENT}.png", data)) for data in files]


def fetch_pictures(app: Traced, answer: dict[str, Any]) -> None:
    for name in ("picture", "heatmap", "heatmap_grey"):
        if path := answer.get(name):
            assert app.ask("GET", path).content.startswith(b"\x89PNG")


def xray_of_the_patient(drawn_png: bytes) -> bytes:
    return xray_file(decode_image(drawn_png), PatientName=PATIENT, PatientID="1867")


def test_no_upload_opens_a_file_for_writing(app: Traced, drawn_png: bytes) -> None:
    statuses = {name: upload(app, data).status_code for name, data in uploads(drawn_png).items()}
    expected = {"single": 200, "large": 200, "broken": 422, "bomb": 413, "text": 415, "too large": 413}
    assert statuses == expected
    assert app.writes() == []


def test_no_kind_of_file_does_either(app: Traced) -> None:
    statuses = {name: upload(app, data).status_code for name, data in seeds().items()}
    assert statuses.pop("gif") == 415
    assert {name for name, status in statuses.items() if status != 200} == set()
    assert app.writes() == []


def test_study_of_several_files_opens_none_either(app: Traced, drawn_png: bytes) -> None:
    dicom = xray_of_the_patient(drawn_png)
    files = [drawn_png, dicom, dicom[:9000], b"hello"]
    answer = app.ask("POST", "/studies", files=parts(*files)).json()
    assert [view.get("error") for view in answer["views"]] == [
        *(None, None, "invalid_image", "unsupported_image"),
    ]
    for view in answer["views"]:
        fetch_pictures(app, view)
    assert app.writes() == []


def test_table_of_many_files_opens_none_either(app: Traced, drawn_png: bytes) -> None:
    """What the page does with many files: they wait in turn, a place is asked for, all are forgotten."""
    headers = {"X-Ticket": "seven", "X-Batch": "table"}
    with ThreadPoolExecutor(6) as clients:
        sent = [clients.submit(app.ask, "POST", "/predict", files=parts(drawn_png), headers=headers)]
        sent += [clients.submit(upload, app, data) for data in [drawn_png, b"hello", drawn_png[:500]] * 4]
        assert app.ask("GET", "/queue?ticket=seven").status_code == 200
        answers = [each.result() for each in sent]
    keys = [answer.json()["id"] for answer in answers if answer.ok]
    assert len(keys) == 5
    assert {app.ask("DELETE", f"/results/{key}").status_code for key in keys} == {204}
    assert app.writes() == []


@pytest.mark.parametrize("language", ["en", "ar"])
def test_report_with_a_name_opens_none_either(app: Traced, drawn_png: bytes, language: str) -> None:
    views = [upload(app, data).json()["id"] for data in (drawn_png, xray_of_the_patient(drawn_png))]
    path = f"/results/{','.join(views)}/report.pdf?lang={language}"
    typed, from_header = {"patient": PATIENT}, {"from_header": "1"}
    replies = [app.ask("GET", path), *(app.ask("POST", path, data=form) for form in (typed, from_header))]
    assert {reply.content[:5] for reply in replies} == {b"%PDF-"}
    assert app.writes() == []


@pytest.mark.parametrize("header", ["Transfer-Encoding: chunked", "Content-Length: 33000000"])
def test_body_that_breaks_off_opens_none_either(app: Traced, header: str) -> None:
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n"
    with socket.create_connection(("localhost", app.port), timeout=60) as connection:
        connection.sendall(head.encode())
        with suppress(OSError):  # the server may hang up on what is too large
            for _ in range(100):
                connection.sendall(b"10001\r\n" + bytes(0x10001) + b"\r\n")
    assert app.ask("GET", "/health").status_code == 200
    assert app.writes() == []


def test_no_call_that_the_app_knows_opens_one(
    app: Traced, drawn_png: bytes, toy_predictor: Predictor
) -> None:
    key = upload(app, drawn_png).json()["id"]
    assert app.ask("POST", "/studies", files=parts(drawn_png)).ok
    for method, path in (
        ("GET", "/queue"),
        ("POST", f"/results/{key}/report.pdf"),
        ("DELETE", f"/results/{key}"),
    ):
        assert app.ask(method, path).ok
    pages = ("/", "/about", "/sheet", "/ready", "/health", "/metrics", "/api", "/static/icon.svg")
    assert {app.ask("GET", path).status_code for path in pages} == {200}
    assert app.ask("GET", "/nowhere").status_code == 404
    calls = create_app(Settings(), toy_predictor).url_map
    map_of_calls, known = calls.bind("localhost"), {rule.endpoint for rule in calls.iter_rules()}
    asked = {map_of_calls.match(path, method)[0] for method, path in app.asked if path != "/nowhere"}
    assert asked == known
    assert app.writes() == []


def test_start_writes_nothing_but_compiled_code(app: Traced) -> None:
    others = [call for call in writes(app.log()[: app.ready_at]) if "__pycache__" not in call]
    assert others == []


def test_no_file_name_of_a_patient_is_in_any_call(app: Traced, drawn_png: bytes) -> None:
    upload(app, xray_of_the_patient(drawn_png))
    assert PATIENT not in app.log()


def test_the_trace_hears_each_process_and_each_kind_of_write(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, tempfile; tempfile.TemporaryFile(dir='.').close(); os.mkdir('new'); "
        "subprocess.run([sys.executable, '-c', 'open(\"child\", \"w\").close()'])"
    )
    log_path = tmp_path / "log"
    command = [*traced(require("strace"), log_path), sys.executable, "-B", "-c", code]
    subprocess.run(command, cwd=tmp_path, check=True)
    log = writes(log_path.read_text())
    assert any("O_TMPFILE" in call for call in log)
    assert any(call.startswith("mkdir(") for call in log)
    assert any('"child", O_WRONLY' in call for call in log)
