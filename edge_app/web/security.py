"""Who may call: host names, origins, and the headers that keep a browser strict."""

from __future__ import annotations

import re
from typing import NamedTuple

from flask import Flask, Request, Response, request

from edge_app.errors import RequestRefused

_OPEN_TO_LINKS = ("/", "/static/")
_OWN_SITE = (None, "same-origin", "none")  # none: typed by a person, or a bookmark
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9a-z._-]+))(?::[0-9]*)?", re.IGNORECASE)
STRICT_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; script-src 'self'; style-src 'self'; "
        "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), microphone=(), geolocation=(), usb=(), serial=(), payment=(), display-capture=()"
    ),
    "Cache-Control": "no-store",
}


class Caller(NamedTuple):
    """What the headers of a request tell of who makes it; None where a header is absent."""

    method: str
    path: str
    scheme: str
    host: str
    origin: str | None
    fetch_site: str | None


def protect(app: Flask, hostnames: frozenset[str]) -> None:
    """Refuse callers from elsewhere, and send strict headers with every response.

    A plain script on this computer sends neither `Origin` nor `Sec-Fetch-Site` and is let in.

    Args:
        app: The app.
        hostnames: The exact names under which it may be called.
    """

    @app.before_request
    def refuse_strangers() -> None:
        check_caller(_caller(request), hostnames)

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers.update(STRICT_HEADERS)
        return response


def check_caller(caller: Caller, hostnames: frozenset[str]) -> None:
    """Let a request pass, or refuse it.

    Names are compared exactly: a foreign page whose domain was re-bound to this computer sends its own.

    Args:
        caller: Who asks for what.
        hostnames: The names under which this app may be called.

    Raises:
        RequestRefused: its `Host` is not this computer, or another web page made it.
    """
    if _hostname(caller.host) not in hostnames:
        raise RequestRefused(
            "Open this page as http://localhost or http://127.0.0.1; other names are refused, unless the "
            "app was started with --name."
        )
    is_foreign = caller.origin is not None and caller.origin != f"{caller.scheme}://{caller.host}"
    if is_foreign or (_is_cross_site(caller) and not _is_open_to_links(caller)):
        raise RequestRefused("Another web page tried to use this tool. Only its own page may.")


def _caller(incoming: Request) -> Caller:
    headers = incoming.headers
    return Caller(
        method=incoming.method,
        path=incoming.path,
        scheme=incoming.scheme,
        host=headers.get("Host", ""),
        origin=headers.get("Origin"),
        fetch_site=headers.get("Sec-Fetch-Site"),
    )


def _is_cross_site(caller: Caller) -> bool:
    return caller.fetch_site not in _OWN_SITE


def _is_open_to_links(caller: Caller) -> bool:
    page, files = _OPEN_TO_LINKS
    return caller.method == "GET" and (caller.path == page or caller.path.startswith(files))


def _hostname(host: str) -> str | None:
    """Read the name in a `Host` header: a name or an address, then a port at most.

    Source:
        RFC 9110, section 7.2.
    """
    match = _HOST.fullmatch(host)
    return (match[1] or match[2]).lower() if match else None
