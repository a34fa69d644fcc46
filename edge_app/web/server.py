"""Waitress, set up so that nothing of a request or a response is ever written to a disk."""

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

from flask import Flask
from waitress import create_server
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import BaseWSGIServer
from waitress.task import ErrorTask
from waitress.utilities import RequestEntityTooLarge

from edge_app.errors import TOO_LARGE, EdgeError, ImageTooLarge, SettingsError
from edge_app.settings import Settings
from edge_app.web.admission import Admission, caller_of, too_much_at_once
from edge_app.web.lanes import Lanes
from edge_app.web.neighbour import free_port_after, program_at
from edge_app.web.password_file import PasswordFile
from edge_app.web.routes.error_handlers import STATUS_OF, headers_of, log_failure
from edge_app.web.security import STRICT_HEADERS

# More than the multipart wrapping around one file, so that Flask sees a body just over its cap.
BODY_ALLOWANCE_BYTES = 1024 * 1024
DISCARD_LIMIT_BYTES = 1024**3
NEVER_BYTES = 2**62
RECEIVED_BYTES = 64 * 1024  # at once; Waitress' own 8 KiB cost a millisecond with a large X-ray
OPEN_BODIES = 4  # of the largest size, together
BODY_LIMIT_S = 60.0  # within which a whole request must have come
SILENCE_LIMIT_S = 30
WAITRESS = {
    "inbuf_overflow": NEVER_BYTES,
    "outbuf_overflow": NEVER_BYTES,
    "recv_bytes": RECEIVED_BYTES,
    "channel_timeout": SILENCE_LIMIT_S,
    "cleanup_interval": SILENCE_LIMIT_S // 3,
    "ident": None,
    "clear_untrusted_proxy_headers": True,
}


def make_server(app: Flask, settings: Settings, lanes: Lanes | None = None) -> BaseWSGIServer:
    """Bind the app to its address.

    Waitress moves bodies and responses above a limit to temporary files. That limit is out of reach here;
    what bounds memory is the cap on a body.

    Args:
        app: The app.
        settings: The address and the caps.
        lanes: Who is served next; by default lanes of its own.

    Returns:
        A server whose `run()` serves until it is interrupted.

    Raises:
        SettingsError: the address cannot be used, most often because another program listens there.
    """
    body_cap = settings.max_upload_bytes + BODY_ALLOWANCE_BYTES
    password = None if settings.password_file is None else PasswordFile(settings.password_file)
    lanes = lanes or Lanes()
    admission = Admission(settings.hostnames, OPEN_BODIES * body_cap, lanes, password)
    channel_class = partial(_Channel, admission, _tls_context(settings))
    try:
        server = create_server(
            app,
            host=settings.host,
            port=settings.port,
            url_scheme="http" if settings.certificate is None else "https",
            max_request_body_size=body_cap,
            _dispatcher=lanes,
            **WAITRESS,
        )
    except OSError as error:
        raise SettingsError(
            f"Port {settings.port} of {settings.host} cannot be used: {error.strerror}. {_advice(settings)}"
        ) from error
    server.channel_class = channel_class
    lanes.start()
    return server


def _advice(settings: Settings) -> str:
    program = program_at(settings.port)
    holder = "" if program is None else f"{program} listens there. "
    port = free_port_after(settings.host, settings.port)
    return f"{holder}Choose another port with --port{'' if port is None else f', such as {port}'}."


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    if settings.certificate is None or settings.certificate_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.certificate_key)
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors
        raise SettingsError(
            f"--certificate {settings.certificate} and its key cannot be used: {error}. Expected two files "
            "in PEM form that belong together, the key without a passphrase."
        ) from error
    return context


class _Parser(HTTPRequestParser):
    """Refuses a request once its headers are there, and bounds what it holds.

    An oversized body is read to its end and nothing of it is kept: answering before it has come would make
    most clients report a broken connection instead of the answer.
    """

    _discard_bytes = 0
    _held_bytes = 0

    def __init__(self, admission: Admission, address: str, adj: Adjustments) -> None:
        super().__init__(adj)
        self._admission = admission
        self._address = address
        self.started_s = time.monotonic()

    def received(self, data: bytes) -> int:
        if self._discard_bytes:
            return self._discard(len(data))
        if self.error is not None:
            self.completed = True
            return len(data)
        is_body = self.headers_finished
        consumed: int = super().received(data)
        if is_body:
            self._hold(consumed)
        elif self.headers_finished and not self.empty:
            self._admit()
        if isinstance(self.error, RequestEntityTooLarge) and not self.chunked:
            self._expect_rest()
        return len(data) if isinstance(self.error, EdgeError) else consumed

    def close(self) -> None:
        held_bytes, self._held_bytes = self._held_bytes, 0
        self._admission.bodies.give_back(held_bytes)
        super().close()

    def _discard(self, size_bytes: int) -> int:
        taken = min(size_bytes, self._discard_bytes)
        self._discard_bytes -= taken
        self.completed = not self._discard_bytes
        return taken

    def _admit(self) -> None:
        is_too_large = isinstance(self.error, RequestEntityTooLarge)
        if self.error is None or is_too_large:
            caller = caller_of(self.command, self.path, self.url_scheme, self.headers)
            content_bytes = 0 if is_too_large else self.content_length
            authorization = self.headers.get("AUTHORIZATION")
            self._refuse(self._admission.refusal(caller, content_bytes, authorization, self._address))

    def _expect_rest(self) -> None:
        if self.content_length <= DISCARD_LIMIT_BYTES:
            self._discard_bytes = self.content_length
            self.completed = False

    def _hold(self, size_bytes: int) -> None:
        if self._admission.bodies.take(size_bytes):
            self._held_bytes += size_bytes
        else:
            self._refuse(too_much_at_once())

    def _refuse(self, reason: EdgeError | None) -> None:
        if reason is not None:
            self.error = reason
            self.expect_continue = False
            self.completed = True


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


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection whose requests ask for admission; through TLS where there is a context for it."""

    error_task_class: Callable[..., Any] = _JsonErrorTask

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
        self.parser_class = partial(_Parser, admission, address[0])
        super().__init__(server, sock, address, adj, map=map)

    def received(self, data: bytes) -> bool:
        request = self.request
        if request is not None and time.monotonic() - request.started_s > BODY_LIMIT_S:
            self.will_close = True
        return bool(super().received(data))

    def recv(self, buffer_size: int) -> bytes:
        try:
            return bytes(super().recv(buffer_size))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise _TlsNotReady from error

    def handle_read(self) -> None:
        with suppress(_TlsNotReady):
            super().handle_read()

    def send(self, data: bytes, do_close: bool = True) -> int:
        try:
            return int(super().send(data, do_close))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def handle_close(self) -> None:
        if self.request is not None:
            self.request.close()
        super().handle_close()
