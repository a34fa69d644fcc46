"""Who may call: host names, origins, and the headers that keep a browser strict."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Request, Response, request

from edge_app.errors import RequestRefused

# Exact names: a foreign page whose domain name was re-bound to this computer sends its own.
ALLOWED_HOSTNAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_OPEN_TO_LINKS = ("/", "/static/")
STRICT_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; script-src 'self'; style-src 'self'; "
        "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


def protect(app: Flask) -> None:
    """Refuse callers from elsewhere, and send strict headers with every response.

    A plain script on this computer sends neither `Origin` nor `Sec-Fetch-Site` and is let in.

    Args:
        app: The app.
    """

    @app.before_request
    def refuse_strangers() -> None:
        check_caller(request)

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers.update(STRICT_HEADERS)
        return response


def check_caller(incoming: Request) -> None:
    """Let a request pass, or refuse it.

    Args:
        incoming: The request.

    Raises:
        RequestRefused: its `Host` is not this computer, or another web page made it.
    """
    hostname = _hostname(f"//{incoming.headers.get('Host', '')}")
    if hostname not in ALLOWED_HOSTNAMES:
        raise RequestRefused(
            "Open this page as http://localhost or http://127.0.0.1; other names are refused."
        )
    origin = incoming.headers.get("Origin")
    is_foreign = origin is not None and origin != f"{incoming.scheme}://{incoming.host}"
    if is_foreign or (_is_cross_site(incoming) and not _is_open_to_links(incoming)):
        raise RequestRefused("Another web page tried to use this tool. Only its own page may.")


def _is_cross_site(incoming: Request) -> bool:
    return incoming.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")


def _is_open_to_links(incoming: Request) -> bool:
    page, files = _OPEN_TO_LINKS
    return incoming.method == "GET" and (incoming.path == page or incoming.path.startswith(files))


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
