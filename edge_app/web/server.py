"""Waitress, set up so that nothing of a request or a response is ever written to a disk."""

from __future__ import annotations

import socket
import ssl
import time
from functools import partial
from typing import Any

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer, TcpWSGIServer

from edge_app.errors import SettingsError
from edge_app.settings import Settings
from edge_app.web.admission import Admission
from edge_app.web.channel import Channel
from edge_app.web.crowd import Crowd, Limits
from edge_app.web.lanes import Lanes
from edge_app.web.neighbour import free_port_after, program_at
from edge_app.web.password_file import PasswordFile

# More than the multipart wrapping around one file, so that Flask sees a body just over its cap.
BODY_ALLOWANCE_BYTES = 1024 * 1024
NEVER_BYTES = 2**62
RECEIVED_BYTES = 64 * 1024  # at once; Waitress' own 8 KiB cost a millisecond with a large X-ray
HEADER_BYTES = 16 * 1024
OPEN_BODIES = 4  # of the largest size, together
LOOK_S = 1.0  # between two looks at all connections
WAITRESS = {
    "inbuf_overflow": NEVER_BYTES,
    "outbuf_overflow": NEVER_BYTES,
    "outbuf_high_watermark": NEVER_BYTES,  # else who fetches nothing holds up a thread; `Crowd` bounds it
    "recv_bytes": RECEIVED_BYTES,
    "max_request_header_size": HEADER_BYTES,
    "ident": None,
    "clear_untrusted_proxy_headers": True,
}


def make_server(
    app: Flask, settings: Settings, lanes: Lanes | None = None, limits: Limits | None = None
) -> BaseWSGIServer:
    """Bind the app to its address.

    Waitress moves bodies and responses above a limit to temporary files. That limit is out of reach here;
    what bounds memory is the cap on a body.

    Args:
        app: The app.
        settings: The address and the caps.
        lanes: Who is served next; by default lanes of its own.
        limits: What connections may take.

    Returns:
        A server whose `run()` serves until it is interrupted, on every address that the host's name has.

    Raises:
        SettingsError: the address cannot be used, most often because another program listens there.
    """
    limits, lanes = limits or Limits(), lanes or Lanes()
    body_cap = settings.max_upload_bytes + BODY_ALLOWANCE_BYTES
    password = None if settings.password_file is None else PasswordFile(settings.password_file)
    admission = Admission(settings.hostnames, OPEN_BODIES * body_cap, lanes, password)
    channel_class = partial(Channel, admission, _tls_context(settings))
    options = {
        **WAITRESS,
        "url_scheme": "http" if settings.certificate is None else "https",
        "max_request_body_size": body_cap,
        "connection_limit": 2 * limits.connections,
    }
    adj = _adjustments(settings, options)
    shared: dict[str, Any] = {"map": {}, "dispatcher": lanes, "adj": adj}
    try:
        servers = [
            _Server(Crowd(limits), channel_class, app, sockinfo=address, **shared) for address in adj.listen
        ]
    except OSError as error:
        raise SettingsError(
            f"Port {settings.port} of {settings.host} cannot be used: {error.strerror}. {_advice(settings)}"
        ) from error
    lanes.start()
    return servers[0]


def _adjustments(settings: Settings, options: dict[str, Any]) -> Adjustments:
    try:
        return Adjustments(host=settings.host, port=settings.port, **options)
    except ValueError as error:
        raise SettingsError(
            f"--host {settings.host}: expected an address of this computer, or a name that has one."
        ) from error


class _Server(TcpWSGIServer):  # type: ignore[misc]
    """Listens on one address, and looks after the connections by a clock that never jumps."""

    def __init__(self, crowd: Crowd, channel_class: Any, app: Flask, **options: Any) -> None:
        self.channel_class = channel_class
        self._crowd = crowd
        self._next_look_s = 0.0
        super().__init__(app, **options)

    def set_reuse_addr(self) -> None:
        """Keep the port to this program while it runs, as Waitress asks before it binds."""
        self.socket.setsockopt(socket.SOL_SOCKET, port_option(socket), 1)

    def readable(self) -> bool:
        now_s = time.monotonic()
        if now_s >= self._next_look_s or self._crowd.is_too_large(len(self.active_channels)):
            self._next_look_s = now_s + LOOK_S
            self._crowd.thin_out(list(self.active_channels.values()), now_s)
        return bool(self.accepting and len(self._map) < self.adj.connection_limit)


def port_option(system: Any) -> int:
    """Return the option with which nobody else gets the port.

    Windows lets any program share a port whose owner set `SO_REUSEADDR`. Elsewhere that option only lets
    the app start again at once, and the other one does not exist.

    Args:
        system: What names the system's options, as the module `socket` does.

    Source:
        Microsoft, Windows Sockets 2, Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE.
    """
    return int(getattr(system, "SO_EXCLUSIVEADDRUSE", system.SO_REUSEADDR))


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
