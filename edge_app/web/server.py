"""Waitress, set up so that nothing of a request or a response is ever written to a disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
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
from edge_app.web.routes.error_handlers import STATUS_OF, headers_of, log_failure
from edge_app.web.security import STRICT_HEADERS

# More than the multipart wrapping around one file, so that Flask sees a body just over its cap.
BODY_ALLOWANCE_BYTES = 1024 * 1024
DISCARD_LIMIT_BYTES = 1024**3
NEVER_BYTES = 2**62
RECEIVED_BYTES = 64 * 1024  # at once; Waitress' own 8 KiB cost a millisecond with a large X-ray
THREADS = 4
OPEN_BODIES = 4  # of the largest size, together
BODY_LIMIT_S = 60.0  # within which a whole request must have come
SILENCE_LIMIT_S = 30


def make_server(app: Flask, settings: Settings) -> BaseWSGIServer:
    """Bind the app to its address.

    Waitress moves bodies and responses above a limit to temporary files. That limit is out of reach here;
    what bounds memory is the cap on a body.

    Args:
        app: The app.
        settings: The address and the caps.

    Returns:
        A server whose `run()` serves until it is interrupted.

    Raises:
        SettingsError: the address cannot be used, most often because another program listens there.
    """
    body_cap = settings.max_upload_bytes + BODY_ALLOWANCE_BYTES
    try:
        server = create_server(
            app,
            host=settings.host,
            port=settings.port,
            threads=THREADS,
            max_request_body_size=body_cap,
            inbuf_overflow=NEVER_BYTES,
            outbuf_overflow=NEVER_BYTES,
            recv_bytes=RECEIVED_BYTES,
            channel_timeout=SILENCE_LIMIT_S,
            cleanup_interval=SILENCE_LIMIT_S // 3,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
    except OSError as error:
        raise SettingsError(
            f"Port {settings.port} of {settings.host} cannot be used: {error.strerror}. Perhaps "
            f"Fracture Edge runs already: open http://localhost:{settings.port}. "
            "Otherwise choose another port with --port."
        ) from error
    server.channel_class = _channel_class(Admission(OPEN_BODIES * body_cap))
    return server


class _Parser(HTTPRequestParser):
    """Refuses a request once its headers are there, and bounds what it holds.

    An oversized body is read to its end and nothing of it is kept: answering before it has come would make
    most clients report a broken connection instead of the answer.
    """

    _discard_bytes = 0
    _held_bytes = 0

    def __init__(self, admission: Admission, adj: Adjustments) -> None:
        super().__init__(adj)
        self._admission = admission
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
            self._refuse(self._admission.refusal(caller, 0 if is_too_large else self.content_length))

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


class _Channel(HTTPChannel):  # type: ignore[misc]
    error_task_class: Callable[..., Any] = _JsonErrorTask

    def received(self, data: bytes) -> bool:
        request = self.request
        if request is not None and time.monotonic() - request.started_s > BODY_LIMIT_S:
            self.will_close = True
        return bool(super().received(data))

    def handle_close(self) -> None:
        if self.request is not None:
            self.request.close()
        super().handle_close()


def _channel_class(admission: Admission) -> type[_Channel]:
    """Make the class of channels whose parsers ask one admission."""
    return type(
        "_AdmittedChannel", (_Channel,), {"parser_class": staticmethod(partial(_Parser, admission))}
    )
