"""One connection: its requests are judged at their headers, bounded, and not waited for without end."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented
from waitress.server import BaseWSGIServer
from waitress.task import ErrorTask
from waitress.utilities import BadRequest, RequestEntityTooLarge

from edge_app.errors import TOO_LARGE, EdgeError, ImageTooLarge, TooSlow
from edge_app.web.admission import Admission, caller_of, too_much_at_once
from edge_app.web.routes.error_handlers import STATUS_OF, headers_of, log_failure
from edge_app.web.security import STRICT_HEADERS

# Of a line between chunks, or what follows the last one; Waitress itself sets no limit.
MAX_CHUNK_LINE_BYTES = 8 * 1024
# These two bound the work that a client can make with next to nothing; all connections are read in turn.
MIN_CONTENT_SHARE = 0.9  # of a body in chunks, once it is longer than one line between them may be
MAX_REQUESTS_AHEAD = 8  # of one connection; browsers wait for each answer
_TOO_SLOW = "The request did not come within its time, so it was given up. Send it again."


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses a request once its headers are there, and bounds what it holds."""

    error: Any = None
    expect_continue: bool = False
    _held_bytes = 0

    def __init__(self, admission: Admission, address: str, adj: Adjustments) -> None:
        super().__init__(adj)
        self._admission = admission
        self._address = address
        self.started_s = time.monotonic()

    def received(self, data: bytes) -> int:
        is_body = self.headers_finished
        consumed: int = super().received(data)
        if is_body:
            self._hold(consumed)
        elif self.empty:
            self.error = BadRequest("Lines came that are no request")
        elif self.headers_finished:
            self._admit()
        if self.error is None:
            return consumed
        self.refuse(self.error)
        return len(data)

    def parse_header(self, header_plus: bytes) -> None:
        """Read the headers; where they tell the body's length in two ways or in none, refuse it."""
        try:
            super().parse_header(header_plus)
        except (ValueError, TransferEncodingNotImplemented) as error:
            raise ParsingError("The headers are not as HTTP has them") from error
        # Waitress takes `chunked` away where it understands it.
        if (self.chunked and "CONTENT_LENGTH" in self.headers) or "TRANSFER_ENCODING" in self.headers:
            raise ParsingError("The headers leave open how long the body is")

    def refuse(self, reason: Any) -> None:
        """Give the request up: nothing of it is kept, and nothing is asked for."""
        self.error = reason
        self.empty = False
        self.expect_continue = False
        self.completed = True
        self._give_back()

    def close(self) -> None:
        self._give_back()
        super().close()

    def _admit(self) -> None:
        is_too_large = isinstance(self.error, RequestEntityTooLarge)
        if self.error is None or is_too_large:
            caller = caller_of(self.command, self.path, self.url_scheme, self.headers)
            content_bytes = 0 if is_too_large else self.content_length
            authorization = self.headers.get("AUTHORIZATION")
            refusal = self._admission.refusal(caller, content_bytes, authorization, self._address)
            self.error = refusal or self.error

    def _hold(self, size_bytes: int) -> None:
        if self.chunked and self._has_absurd_chunks():
            self.error = BadRequest("Chunks are not as HTTP has them")
        elif self._admission.bodies.take(size_bytes):
            self._held_bytes += size_bytes
        else:
            self.error = too_much_at_once()

    def _has_absurd_chunks(self) -> bool:
        content_bytes = len(self.body_rcv)
        is_mostly_lines = (
            content_bytes < MIN_CONTENT_SHARE * self.body_bytes_received - MAX_CHUNK_LINE_BYTES
        )
        return is_mostly_lines or _longest_line(self.body_rcv) > MAX_CHUNK_LINE_BYTES

    def _give_back(self) -> None:
        held_bytes, self._held_bytes = self._held_bytes, 0
        self._admission.bodies.give_back(held_bytes)
        if self.body_rcv is not None:
            self.body_rcv.getbuf().close()


def _longest_line(chunks: Any) -> int:
    return max(len(chunks.control_line), len(chunks.trailer))


class _JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers what never reaches the app in the same form as the app's errors."""

    def execute(self) -> None:
        error = self.request.error
        code, message, status, reason = _described(error)
        log_failure(status, "A request", "before it reached the app", message)
        body = json.dumps({"error": code, "message": message}).encode()
        self.status = f"{status} {reason}"
        headers = {"Content-Type": "application/json", **STRICT_HEADERS, **headers_of(error)}
        self.response_headers.extend(headers.items())
        self.channel.is_refused = True
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


def _described(error: Any) -> tuple[str, str, int, str]:
    """Return the code, message, status and reason of what a parser refused."""
    if isinstance(error, EdgeError):
        status = HTTPStatus(STATUS_OF[type(error)])
        return error.code, str(error), status, status.phrase
    if isinstance(error, RequestEntityTooLarge):
        return ImageTooLarge.code, TOO_LARGE, error.code, error.reason
    code = "internal" if error.code >= 500 else "bad_request"
    return code, f"{error.reason}: {error.body}.", error.code, error.reason


class _TlsNotReady(Exception):
    """TLS has received less than a record, so nothing can be read yet."""


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection whose requests ask for admission; through TLS where there is a context for it.

    After a refusal, what the client still sends is let in and thrown away, until it has read the answer:
    closing at once would make most clients report a broken connection instead.

    Args:
        admission: What judges a request by its headers.
        tls: How to encrypt, if so.
        server: What accepted the connection.
        sock: The connection.
        address: Where it comes from.
        adj: Waitress' settings.
        map: All sockets of the server's loop.
    """

    error_task_class: Callable[..., Any] = _JsonErrorTask
    request: Any = None
    close_when_flushed: bool = False
    active_s = 0.0
    is_refused = False
    _lingers_since_s: float | None = None

    def __init__(
        self,
        admission: Admission,
        tls: ssl.SSLContext | None,
        server: BaseWSGIServer,
        sock: socket.socket,
        address: tuple[str, int],
        adj: Adjustments,
        map: dict[int, object],  # noqa: A002, Waitress names it so
    ) -> None:
        if tls is not None:
            sock = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._new_parser = partial(_Parser, admission, address[0])
        super().__init__(server, sock, address, adj, map=map)

    def parser_class(self, adj: Adjustments) -> _Parser:
        """Begin to read a request; one too many is refused whatever it asks for, and what follows it."""
        parser = self._new_parser(adj)
        if len(self.requests) >= MAX_REQUESTS_AHEAD:
            parser.refuse(BadRequest("Too many requests came before the first was answered"))
        return parser

    @property
    def last_activity(self) -> float:
        """When something last came or went, in seconds of a clock that never jumps."""
        return self.active_s

    @last_activity.setter
    def last_activity(self, _wall_clock_s: float) -> None:
        self.active_s = time.monotonic()

    @property
    def started_s(self) -> float | None:
        """When the request began that is still coming; None where none is, or an earlier one is served."""
        is_coming = self.request is not None and not self.requests
        return self.request.started_s if is_coming else self._lingers_since_s

    @property
    def is_served(self) -> bool:
        """Whether a whole request has come and is not answered yet."""
        return bool(self.requests)

    @property
    def unfetched_bytes(self) -> int:
        """How much of its answers waits to be fetched."""
        return int(self.total_outbufs_len)

    def refuse_late(self) -> None:
        """Answer that the request came too slowly; hang up where it is answered already."""
        if self.request is None:
            self.hang_up()
            return
        with self.requests_lock:
            request, self.request = self.request, None
            request.refuse(TooSlow(_TOO_SLOW))
            self.requests.append(request)
            self.server.add_task(self)

    def hang_up(self) -> None:
        """Close the connection, even where its other end fetches nothing."""
        self.will_close = True
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # which makes the loop turn to it

    def handle_write(self) -> None:
        """Send what waits; after a refusal, go on listening."""
        is_refusal = self.is_refused and self.close_when_flushed
        self.close_when_flushed = self.close_when_flushed and not is_refusal
        super().handle_write()
        if is_refusal and self.connected:
            self.close_when_flushed = bool(self.total_outbufs_len)
            if not self.close_when_flushed:
                self._linger()

    def received(self, data: bytes) -> bool:
        """Take what came, or throw it away after a refusal."""
        return self._lingers_since_s is None and bool(super().received(data))

    def recv(self, buffer_size: int) -> bytes:
        """Receive what has come."""
        try:
            return bytes(super().recv(buffer_size))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise _TlsNotReady from error

    def handle_read(self) -> None:
        """Receive, where TLS has a whole record."""
        with suppress(_TlsNotReady):
            super().handle_read()

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send as much as the connection takes now."""
        try:
            return int(super().send(data, do_close))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def handle_close(self) -> None:
        """Give back what the request holds that was still coming."""
        if self.request is not None:
            self.request.close()
        super().handle_close()

    def _linger(self) -> None:
        self._lingers_since_s = time.monotonic()
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)  # tells the client that nothing more comes
