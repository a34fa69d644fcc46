"""What is decided before a body comes, over real sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
from waitress.server import BaseWSGIServer

from edge_app.predictor import Predictor
from edge_app.settings import MIB, Settings
from edge_app.web import server as server_module
from edge_app.web.admission import OpenBodies
from edge_app.web.app import create_app
from edge_app.web.server import make_server

LARGE_BYTES = 32 * MIB


@pytest.fixture
def server(toy_predictor: Predictor) -> Iterator[BaseWSGIServer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(port=port)
    server = make_server(create_app(settings, toy_predictor), settings)
    threading.Thread(target=server.run, daemon=True).start()
    yield server
    server.trigger.pull_trigger(server.close)


def connect(server: BaseWSGIServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.effective_port)), timeout=60)


def head(host: str = "localhost", length: int = LARGE_BYTES, more: str = "") -> bytes:
    lines = f"POST /predict HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{more}\r\n"
    return lines.encode()


def answer(connection: socket.socket) -> tuple[int, dict[str, str], str]:
    """Read an answer to its end: status, JSON, and the headers as they came."""
    with connection.makefile("rb") as file:
        headers, _, body = file.read().partition(b"\r\n\r\n")
    return int(headers.split()[1]), json.loads(body), headers.decode()


@pytest.mark.parametrize("more", ["Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"])
def test_foreign_page_is_refused_before_its_body_comes(server: BaseWSGIServer, more: str) -> None:
    with connect(server) as connection:
        connection.sendall(head(more=more))
        status, content, _ = answer(connection)
    assert (status, content["error"]) == (403, "request_refused")


def test_foreign_host_is_refused_before_its_body_comes(server: BaseWSGIServer) -> None:
    with connect(server) as connection:
        connection.sendall(head("evil.example") + bytes(1000))
        status, content, _ = answer(connection)
    assert (status, content["error"]) == (403, "request_refused")


def test_foreign_host_is_not_told_to_go_on(server: BaseWSGIServer) -> None:
    with connect(server) as connection:
        connection.sendall(head("evil.example", more="Expect: 100-continue\r\n"))
        assert answer(connection)[0] == 403


def test_foreign_host_does_not_occupy_the_server_with_an_oversized_body(server: BaseWSGIServer) -> None:
    with connect(server) as connection:
        connection.sendall(head("evil.example", length=500 * MIB))
        assert answer(connection)[0] == 403


def test_open_bodies_are_bounded_together(server: BaseWSGIServer) -> None:
    half = bytes(LARGE_BYTES - MIB)
    with ExitStack() as stack:
        for _ in range(server_module.OPEN_BODIES):
            connection = stack.enter_context(connect(server))
            connection.sendall(head() + half)
        last = stack.enter_context(connect(server))
        last.sendall(head())
        status, content, headers = answer(last)
        assert (status, content["error"]) == (503, "busy")
        assert "Retry-After: 5" in headers
        assert requests.get(f"http://localhost:{server.effective_port}/health", timeout=60).ok


@pytest.mark.parametrize("is_half_closed", [False, True])
def test_body_that_breaks_off_makes_room_again(server: BaseWSGIServer, is_half_closed: bool) -> None:
    for _ in range(2 * server_module.OPEN_BODIES):
        with connect(server) as connection:
            connection.sendall(head() + bytes(24 * MIB))
            if is_half_closed:
                connection.shutdown(socket.SHUT_WR)
                assert connection.recv(1) == b""
    response = requests.post(
        f"http://localhost:{server.effective_port}/predict", files={"file": bytes(30 * MIB)}, timeout=60
    )
    assert response.status_code == 415


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads resident memory from /proc")
def test_half_sent_bodies_of_a_foreign_host_take_no_memory(server: BaseWSGIServer) -> None:
    before_bytes = resident_bytes()
    half = memoryview(bytes(LARGE_BYTES - MIB))
    with ExitStack() as stack:
        for _ in range(8):
            connection = stack.enter_context(connect(server))
            connection.sendall(head("evil.example"))
            assert connection.recv(12) == b"HTTP/1.1 403"
            with suppress(OSError):  # the server has hung up
                connection.sendall(half)
        assert resident_bytes() - before_bytes < 2 * LARGE_BYTES  # `half` is the test's own


def resident_bytes() -> int:
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


def test_bytes_are_set_aside_and_given_back() -> None:
    bodies = OpenBodies(100)
    assert bodies.take(60)
    assert not bodies.take(41)
    assert bodies.take(40)
    bodies.give_back(60)
    assert bodies.has_room_for(60)
    assert not bodies.has_room_for(61)
