"""The real program while the computer's clocks jump under it, as when someone sets them or a PC sleeps."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import requests
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from tests.conftest import ROOT, require
from tests.edge_app.web.test_server import free_port, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="puts a library between the program and its clocks"),
]
HOUR_S = 3600
DAY_S = 24 * HOUR_S
LOOKS_S = 2.2  # two looks of the server at its connections


class Service:
    """The running app, and the clocks that it sees."""

    def __init__(
        self, port: int, dicom_port: int, process: subprocess.Popen[str], jumps_path: Path
    ) -> None:
        self.process = process
        self.port = port
        self.dicom_port = dicom_port
        self._address = f"http://localhost:{port}"
        self._jumps_path = jumps_path

    def jump(self, wall_s: int = 0, asleep_s: int = 0) -> None:
        """Set how far the wall clock is off, and for how long the PC has slept."""
        with self._jumps_path.open("r+b") as file:
            file.write(struct.pack("=qq", wall_s, asleep_s))

    def upload(self, picture: bytes) -> tuple[int, dict[str, object]]:
        response = requests.post(f"{self._address}/predict", files={"file": picture}, timeout=60)
        return response.status_code, response.json()

    def get(self, path: str) -> requests.Response:
        return requests.get(self._address + path, timeout=60)

    def wall_clock_off_s(self) -> float:
        """Return by how much the program itself sees another time than this test."""
        return parsedate_to_datetime(self.get("/health").headers["Date"]).timestamp() - time.time()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clock") / "jumping_clock.so"
    source = ROOT / "tests" / "jumping_clock.c"
    subprocess.run([require("gcc"), "-shared", "-fPIC", "-O1", "-o", path, source], check=True)
    return path


@pytest.fixture
def service(library: Path, toy_bundle: Path, tmp_path: Path) -> Iterator[Service]:
    jumps_path, port, dicom_port = tmp_path / "jumps", free_port(), free_port()
    jumps_path.write_bytes(struct.pack("=qq", 0, 0))
    environment = {**os.environ, "LD_PRELOAD": str(library), "JUMPS": str(jumps_path)}
    node = ["--dicom", str(dicom_port), "--allow", "SENDER@127.0.0.1"]
    with serving(toy_bundle, port, *node, env=environment) as process:
        yield Service(port, dicom_port, process, jumps_path)


@contextmanager
def uploading(service: Service, picture: bytes) -> Iterator[list[tuple[int, object]]]:
    """Upload without a pause from two threads; yields each answer's status and probability."""
    answers: list[tuple[int, object]] = []
    is_over = threading.Event()

    def upload() -> None:
        while not is_over.is_set():
            try:
                status, content = service.upload(picture)
            except requests.RequestException as error:
                answers.append((0, error))
            else:
                answers.append((status, content.get("probability")))

    clients = [threading.Thread(target=upload) for _ in range(2)]
    for each in clients:
        each.start()
    try:
        yield answers
    finally:
        is_over.set()
        for each in clients:
            each.join()


def test_wall_clock_that_jumps_changes_no_answer_and_ends_nothing_early(
    service: Service, white_png: bytes
) -> None:
    _, first = service.upload(white_png)
    with socket.create_connection(("localhost", service.port), timeout=60) as half_sent:
        half_sent.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        with uploading(service, white_png) as answers:
            for wall_s in (6 * HOUR_S, -6 * HOUR_S, 400 * DAY_S):
                service.jump(wall_s)
                before = len(answers)
                time.sleep(LOOKS_S)
                assert len(answers) > before
                assert service.wall_clock_off_s() == pytest.approx(wall_s, abs=5)
        half_sent.sendall(b"\r\n")
        assert half_sent.recv(15) == b"HTTP/1.1 200 OK"
    assert set(answers) == {(200, first["probability"])}
    assert service.get(str(first["picture"])).status_code == 200


@pytest.mark.parametrize("wall_s", [6 * HOUR_S, -6 * HOUR_S])
def test_result_expires_by_the_time_that_passed_whatever_the_wall_clock_says(
    service: Service, white_png: bytes, wall_s: int
) -> None:
    picture = str(service.upload(white_png)[1]["picture"])
    service.jump(wall_s, asleep_s=14 * 60)
    assert service.get(picture).status_code == 200
    service.jump(wall_s, asleep_s=15 * 60 + 1)
    expired = service.get(picture)
    assert (expired.status_code, expired.json()["error"]) == (404, "result_expired")


def test_app_whose_clock_was_set_back_ends_in_time(service: Service, white_png: bytes) -> None:
    service.upload(white_png)
    service.jump(-6 * HOUR_S)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(timeout=60) == 0


def test_association_outlasts_a_wall_clock_that_jumps(service: Service) -> None:
    sender = AE("SENDER")
    sender.add_requested_context(Verification)
    association = sender.associate("127.0.0.1", service.dicom_port, ae_title="FRACTURE_EDGE")
    for wall_s in (6 * HOUR_S, 0, 400 * DAY_S):
        service.jump(wall_s)
        time.sleep(0.5)
        assert association.send_c_echo().Status == 0
    association.release()
