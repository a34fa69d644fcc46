"""What one connection may send, over real sockets."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest
import requests

from edge_app.web.channel import MAX_REQUESTS_AHEAD
from edge_app.web.security import STRICT_HEADERS

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
IN_CHUNKS = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


def answers(address: str, data: bytes) -> list[bytes]:
    """Send bytes and read until the app hangs up; return the status of each answer."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        with suppress(OSError):  # the app may have hung up on the rest
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as file:
            parts = file.read().split(b"HTTP/1.")[1:]
    return [part.split()[1] for part in parts]


@pytest.mark.parametrize(
    "lines",
    [
        b"GET http://[evil/health HTTP/1.1\r\nHost: localhost",
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000,
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: identity",
    ],
    ids=["address", "length", "encoding"],
)
def test_headers_that_cannot_be_read_are_answered(
    address: str, lines: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert answers(address, lines + b"\r\n\r\n") == [b"400"]
    assert caplog.text == ""


@pytest.mark.parametrize(
    "lines",
    [
        b"POST /predict HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"POST /predict HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6",
        b"POST /predict HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked",
    ],
)
def test_body_of_no_certain_length_is_refused_with_what_hides_behind_it(address: str, lines: bytes) -> None:
    hidden = b"0\r\n\r\n" + HEALTH
    assert answers(address, lines + b"\r\nHost: localhost\r\n\r\n" + hidden) == [b"400"]


def test_empty_lines_are_refused_at_once(address: str) -> None:
    assert answers(address, b"\r\n" * 100_000) == [b"400"]


def test_one_empty_line_before_a_request_is_passed_over(address: str) -> None:
    assert answers(address, HEALTH + b"\r\n" + HEALTH) == [b"200", b"200"]


def test_requests_that_wait_in_one_connection_are_few(address: str) -> None:
    statuses = answers(address, HEALTH * 1000)
    assert statuses[-1] == b"400"
    assert set(statuses[:-1]) == {b"200"}
    assert len(statuses) < 1000


def test_few_requests_in_a_row_are_all_answered(address: str) -> None:
    assert answers(address, HEALTH * MAX_REQUESTS_AHEAD) == [b"200"] * MAX_REQUESTS_AHEAD


def test_body_of_tiny_chunks_is_refused(address: str) -> None:
    assert answers(address, IN_CHUNKS + b"1\r\nA\r\n" * 20_000 + b"0\r\n\r\n") == [b"400"]


def test_body_in_chunks_of_some_size_is_taken(address: str, white_png: bytes) -> None:
    body, kind = requests.models.RequestEncodingMixin._encode_files({"file": white_png}, {})
    pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    response = requests.post(
        f"{address}/predict", data=iter(pieces), headers={"Content-Type": kind}, timeout=60
    )
    assert response.status_code == 200


def test_refusal_at_the_headers_is_as_strict(address: str) -> None:
    reply = requests.get(f"{address}/health", headers={"Host": "evil.example"}, timeout=60)
    assert reply.status_code == 403
    assert {name: reply.headers[name] for name in STRICT_HEADERS} == STRICT_HEADERS
    assert (
        STRICT_HEADERS.items()
        >= {
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
        }.items()
    )
