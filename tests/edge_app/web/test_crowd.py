"""Slow, silent, half-closed and many connections, over real sockets and with substitutes."""

from __future__ import annotations

import json
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import repeat
from pathlib import Path

import numpy as np
import psutil
import pytest
import requests
from waitress.server import BaseWSGIServer

from edge_app.imaging.images import encode_png
from edge_app.predictor import Predictor
from edge_app.settings import MIB, Settings
from edge_app.web.app import create_app
from edge_app.web.crowd import Crowd, Limits
from edge_app.web.lanes import WORK_THREADS
from edge_app.web.server import OPEN_BODIES, make_server
from tests.edge_app.web.test_admission import answer, head, resident_bytes
from tests.edge_app.web.test_server import free_port, serving

LIMITS = Limits(silence_s=1.0, request_s=1.5)
GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


@dataclass
class Substitute:
    """A connection that notes what is done to it."""

    active_s: float = 0.0
    started_s: float | None = None
    is_served: bool = False
    unfetched_bytes: int = 0
    fate: str = ""

    def refuse_late(self) -> None:
        self.fate = "refused"

    def hang_up(self) -> None:
        self.fate = "closed"


@pytest.mark.parametrize(
    ("connection", "fate"),
    [
        (Substitute(active_s=99.0), ""),
        (Substitute(active_s=69.0), "closed"),
        (Substitute(active_s=99.0, started_s=41.0), ""),
        (Substitute(active_s=99.0, started_s=39.0), "refused"),
        (Substitute(active_s=69.0, started_s=69.0), "refused"),
        (Substitute(active_s=0.0, is_served=True), ""),
        (Substitute(active_s=69.0, is_served=True, unfetched_bytes=1), "closed"),
    ],
    ids=["busy", "silent", "sending", "late", "silent half-way", "served", "fetches nothing"],
)
def test_who_is_late_or_silent_is_given_up(connection: Substitute, fate: str) -> None:
    Crowd(Limits()).thin_out([connection], now_s=100.0)
    assert connection.fate == fate


def test_silent_for_longest_go_when_there_are_too_many() -> None:
    crowd, served = Crowd(Limits(connections=3)), Substitute(active_s=90.0, is_served=True)
    waiting = [Substitute(active_s=91.0 + n) for n in range(4)]
    crowd.thin_out([*waiting, served], now_s=100.0)
    assert [each.fate for each in waiting] == ["closed", "closed", "", ""]
    assert served.fate == ""


def test_answers_that_nobody_fetches_are_bounded_together() -> None:
    hoarders = [Substitute(active_s=91.0 + n, unfetched_bytes=40) for n in range(4)]
    Crowd(Limits(unfetched_bytes=100)).thin_out(hoarders, now_s=100.0)
    assert [each.fate for each in hoarders] == ["closed", "closed", "", ""]


@pytest.fixture
def server(toy_predictor: Predictor) -> Iterator[BaseWSGIServer]:
    settings = Settings(port=free_port())
    server = make_server(create_app(settings, toy_predictor), settings, limits=LIMITS)
    threading.Thread(target=server.run, daemon=True).start()
    yield server
    server.trigger.pull_trigger(server.close)


@pytest.fixture
def connect(server: BaseWSGIServer) -> Iterator[Callable[[], socket.socket]]:
    with ExitStack() as stack:
        address = ("127.0.0.1", int(server.effective_port))
        yield lambda: stack.enter_context(socket.create_connection(address, timeout=60))


def health(server: BaseWSGIServer) -> int:
    return requests.get(f"http://localhost:{server.effective_port}/health", timeout=60).status_code


def drip(connection: socket.socket) -> None:
    """Send a byte now and then, until the other end has had enough."""
    with suppress(OSError):
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.1)


@pytest.mark.parametrize("begin", [GET + b"X-Slow: ", head(length=1000)], ids=["headers", "body"])
def test_who_sends_a_byte_now_and_then_is_told_that_it_takes_too_long(
    server: BaseWSGIServer, connect: Callable[[], socket.socket], begin: bytes
) -> None:
    connection = connect()
    connection.sendall(begin)
    threading.Thread(target=drip, args=(connection,), daemon=True).start()
    assert health(server) == 200
    status, content, headers = answer(connection)
    assert (status, content["error"]) == (408, "too_slow")
    assert "Connection: close" in headers


@pytest.mark.parametrize("begin", [GET, head(length=1000) + b"x" * 500], ids=["headers", "body"])
def test_who_stops_half_way_is_told_so(connect: Callable[[], socket.socket], begin: bytes) -> None:
    connection = connect()
    connection.sendall(begin)
    status, content, _ = answer(connection)
    assert (status, content["error"]) == (408, "too_slow")


def test_idle_connection_is_closed(connect: Callable[[], socket.socket]) -> None:
    idle, kept = connect(), connect()
    kept.sendall(GET + b"\r\n")
    assert kept.recv(12) == b"HTTP/1.1 200"
    assert idle.recv(1) == b""


def test_half_closed_connection_gets_its_answer(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(GET + b"Connection: close\r\n\r\n")
    connection.shutdown(socket.SHUT_WR)
    status, content, _ = answer(connection)
    assert (status, content["status"]) == (200, "ok")


@pytest.mark.parametrize("headers", [{"Content-Length": str(300 * MIB)}, {}], ids=["told", "in chunks"])
def test_body_of_300_mb_is_refused_and_not_kept(toy_predictor: Predictor, headers: dict[str, str]) -> None:
    settings = Settings(port=free_port())
    server = make_server(create_app(settings, toy_predictor), settings)
    threading.Thread(target=server.run, daemon=True).start()
    before_bytes = resident_bytes()
    client = HTTPConnection("localhost", settings.port, timeout=60)
    client.request("POST", "/predict", repeat(bytes(MIB), 300), headers)
    response = client.getresponse()
    assert (response.status, json.load(response)["error"]) == (413, "image_too_large")
    assert resident_bytes() - before_bytes < 60 * MIB
    client.close()
    server.trigger.pull_trigger(server.close)


@pytest.mark.parametrize("line", [b"1;" + b"x" * 20_000, b"0\r\nX: " + b"x" * 20_000])
def test_line_between_chunks_has_an_end(connect: Callable[[], socket.socket], line: bytes) -> None:
    connection = connect()
    begin = "POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.sendall(begin.encode() + line)
    status, content, _ = answer(connection)
    assert (status, content["error"]) == (400, "bad_request")


def test_headers_have_an_end(connect: Callable[[], socket.socket]) -> None:
    connection = connect()
    connection.sendall(GET + b"X-Long: " + b"x" * 20_000)
    assert answer(connection)[0] == 431


def test_who_fetches_no_answer_holds_up_nobody(
    server: BaseWSGIServer, connect: Callable[[], socket.socket]
) -> None:
    noise = encode_png(np.random.default_rng(0).integers(0, 256, (1600, 2000), np.uint8))
    address = f"http://localhost:{server.effective_port}"
    picture = requests.post(f"{address}/predict", files={"file": noise}, timeout=60).json()["picture"]
    hoarders = [connect() for _ in range(3)]  # one more than there are threads for quick answers
    for each in hoarders:
        each.sendall(f"GET {picture} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert health(server) == 200
    assert all(is_closed(each) for each in hoarders)


def is_closed(connection: socket.socket) -> bool:
    """Wait until the other end is gone; what it sent is left unread."""
    with suppress(OSError):
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.1)
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="raises its own limit on open files, reads /proc")
def test_thousand_idle_connections_keep_nobody_out(toy_bundle: Path, white_png: bytes) -> None:
    port = free_port()
    with serving(toy_bundle, port) as process, ExitStack() as stack, many_files():
        before_bytes = peak_bytes(process.pid)
        for _ in range(1000):
            connection = stack.enter_context(socket.create_connection(("localhost", port), timeout=60))
            connection.sendall(GET)
        for _ in range(3):
            file = {"file": white_png}
            response = requests.post(f"http://localhost:{port}/predict", files=file, timeout=60)
            assert response.status_code == 200
        assert len(psutil.Process(process.pid).net_connections()) < 2 * Limits().connections
        assert peak_bytes(process.pid) - before_bytes < 60 * MIB


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_large_uploads_at_once_are_answered_in_bounded_memory(toy_bundle: Path) -> None:
    port, large = free_port(), bytes(31 * MIB)

    def upload(_: int) -> tuple[int, str | None]:
        reply = requests.post(f"http://localhost:{port}/predict", files={"file": large}, timeout=60)
        return reply.status_code, reply.headers.get("Retry-After")

    with serving(toy_bundle, port) as process, ThreadPoolExecutor(12) as clients:
        before_bytes = peak_bytes(process.pid)
        answers = set(clients.map(upload, range(24)))
        # What comes; in each thread that works, form data, twice while they grow, and then the file.
        assert peak_bytes(process.pid) - before_bytes < (OPEN_BODIES + 3 * WORK_THREADS) * 33 * MIB
        assert requests.get(f"http://localhost:{port}/health", timeout=60).ok
    assert (415, None) in answers
    assert {status for status, _ in answers} <= {415, 503}
    assert all(retry for status, retry in answers if status == 503)


def peak_bytes(process_id: int) -> int:
    """Return the most resident memory that a process has had."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


@contextmanager
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
