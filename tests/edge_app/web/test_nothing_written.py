"""Not one byte of an upload reaches a file: the system calls of the running app and its decoders say so."""

from __future__ import annotations

import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pytest
import requests

from edge_app.imaging.images import encode_png
from tests.conftest import ROOT, require
from tests.edge_app.web.test_server import free_port
from tests.system_calls import traced, writes
from tools.fuzz import seeds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="strace traces Linux' system calls"),
]
PATIENT = "Marie^Curie^1867"


class Traced(NamedTuple):
    """An app under strace, its log, and the log's length when it became ready."""

    address: str
    log_path: Path
    ready_at: int

    def log(self) -> str:
        return self.log_path.read_text()


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
            yield Traced(f"http://localhost:{port}", log_path, len(log_path.read_text()))
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


def upload(address: str, data: bytes) -> requests.Response:
    """Send a file that is named after a patient, and fetch the pictures of its result."""
    file = {"file": (f"{PATIENT}.png", data, "image/png")}
    response = requests.post(f"{address}/predict", files=file, timeout=60)
    for name in ("picture", "heatmap"):
        if path := response.json().get(name):
            assert requests.get(address + path, timeout=60).content.startswith(b"\x89PNG")
    return response


def test_no_upload_opens_a_file_for_writing(app: Traced, drawn_png: bytes) -> None:
    statuses = {name: upload(app.address, data).status_code for name, data in uploads(drawn_png).items()}
    expected = {"single": 200, "large": 200, "broken": 422, "bomb": 413, "text": 415, "too large": 413}
    assert statuses == expected
    for path in ("/", "/health", "/nowhere"):
        requests.get(app.address + path, timeout=60)
    assert writes(app.log()[app.ready_at :]) == []


def test_no_kind_of_file_does_either(app: Traced) -> None:
    statuses = {name: upload(app.address, data).status_code for name, data in seeds().items()}
    assert len(statuses) > 10
    assert max(statuses.values()) < 500, statuses
    assert writes(app.log()[app.ready_at :]) == []


@pytest.mark.parametrize("header", ["Transfer-Encoding: chunked", "Content-Length: 33000000"])
def test_body_that_breaks_off_opens_none_either(app: Traced, header: str) -> None:
    port = int(app.address.rsplit(":", 1)[1])
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n"
    with socket.create_connection(("localhost", port), timeout=30) as connection:
        connection.sendall(head.encode())
        with suppress(OSError):  # the server may hang up on what is too large
            for _ in range(100):
                connection.sendall(b"10001\r\n" + bytes(0x10001) + b"\r\n")
    assert requests.get(f"{app.address}/health", timeout=30).status_code == 200
    assert writes(app.log()[app.ready_at :]) == []


def test_start_writes_nothing_but_compiled_code(app: Traced) -> None:
    others = [call for call in writes(app.log()[: app.ready_at]) if "__pycache__" not in call]
    assert others == []


def test_no_file_name_of_a_patient_is_in_any_call(app: Traced, drawn_png: bytes) -> None:
    upload(app.address, drawn_png)
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
