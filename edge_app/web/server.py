"""Waitress, set up so that nothing of a request or a response is ever written to a disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Flask
from waitress import create_server
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import BaseWSGIServer
from waitress.task import ErrorTask
from waitress.utilities import RequestEntityTooLarge

from edge_app.errors import TOO_LARGE, ImageTooLarge, SettingsError
from edge_app.settings import Settings
from edge_app.web.security import STRICT_HEADERS

# More than the multipart wrapping around one file, so that Flask sees a body just over its cap.
BODY_ALLOWANCE_BYTES = 1024 * 1024
DISCARD_LIMIT_BYTES = 1024**3
NEVER_BYTES = 2**62
RECEIVED_BYTES = 64 * 1024  # at once; Waitress' own 8 KiB cost a millisecond with a large X-ray
THREADS = 4


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
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
    except OSError as error:
        raise SettingsError(
            f"Port {settings.port} of {settings.host} cannot be used: {error.strerror}. Perhaps "
            f"Fracture Edge runs already: open http://localhost:{settings.port}. "
            "Otherwise choose another port with --port."
        ) from error
    server.channel_class = _Channel
    return server


class _Parser(HTTPRequestParser):
    """Reads an oversized body to its end and keeps nothing of it.

    Answering before the body has come would make most clients report a broken connection instead of
    the answer.
    """

    _discard_bytes = 0

    def received(self, data: bytes) -> int:
        if self._discard_bytes:
            taken = min(len(data), self._discard_bytes)
            self._discard_bytes -= taken
            self.completed = not self._discard_bytes
            return taken
        if self.error is not None:
            self.completed = True
            return len(data)
        consumed: int = super().received(data)
        too_large = isinstance(self.error, RequestEntityTooLarge) and not self.chunked
        if too_large and self.content_length <= DISCARD_LIMIT_BYTES:
            self._discard_bytes = self.content_length
            self.completed = False
        return consumed


class _JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers what never reaches the app in the same form as the app's errors."""

    def execute(self) -> None:
        error = self.request.error
        if isinstance(error, RequestEntityTooLarge):
            content = {"error": ImageTooLarge.code, "message": TOO_LARGE}
        else:
            code = "internal" if error.code >= 500 else "bad_request"
            content = {"error": code, "message": f"{error.reason}: {error.body}."}
        body = json.dumps(content).encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend([("Content-Type", "application/json"), *STRICT_HEADERS.items()])
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser
    error_task_class: Callable[..., Any] = _JsonErrorTask
