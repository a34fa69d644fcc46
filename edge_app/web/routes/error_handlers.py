"""The one place where errors become status codes."""

from __future__ import annotations

import logging

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from edge_app.errors import (
    TOO_LARGE,
    Busy,
    EdgeError,
    ImageTooLarge,
    InvalidImage,
    MissingImage,
    NotAnXray,
    PasswordRefused,
    RequestRefused,
    ResultExpired,
    TagError,
    TooManyGuesses,
    TooManyViews,
    TooSlow,
    TryLater,
    UnsupportedImage,
)

STATUS_OF: dict[type, int] = {
    MissingImage: 400,
    TooManyViews: 400,
    RequestRefused: 403,
    ResultExpired: 404,
    TooSlow: 408,
    ImageTooLarge: 413,
    UnsupportedImage: 415,
    InvalidImage: 422,
    NotAnXray: 422,
    PasswordRefused: 401,
    TooManyGuesses: 429,
    Busy: 503,
}

logger = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Answer every error as JSON with `error`, a stable code, and `message`, a sentence.

    Args:
        app: The app.
    """

    @app.errorhandler(EdgeError)
    def answer_edge_error(error: EdgeError) -> ResponseReturnValue:
        status = status_of(error)
        log_failure(status, request.method, str(request.url_rule), error)
        return jsonify(content_of(error)), status, headers_of(error)

    @app.errorhandler(RequestEntityTooLarge)
    def answer_too_large(_: RequestEntityTooLarge) -> ResponseReturnValue:
        return _answer(ImageTooLarge.code, TOO_LARGE, 413)

    @app.errorhandler(HTTPException)
    def answer_http_error(error: HTTPException) -> ResponseReturnValue:
        status = error.code or 500
        if getattr(error, "original_exception", None) is None:  # else Flask has written a traceback
            log_failure(status, request.method, str(request.url_rule), error)
        return _answer(f"http_{status}", error.description or error.name, status)


def status_of(error: EdgeError) -> int:
    """Return the status code of an error, or that of the nearest kind above it; 500 where none has one."""
    return next((STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), 500)


def content_of(error: EdgeError) -> dict[str, str]:
    """Return what an answer says of an error: `error`, `message`, and `tag` where one is at fault."""
    tag = {"tag": error.tag} if isinstance(error, TagError) else {}
    return {"error": error.code, "message": str(error), **tag}


def headers_of(error: object) -> dict[str, str]:
    """Return the headers that belong to an error, such as when to try again."""
    if isinstance(error, TryLater):
        return {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, PasswordRefused):
        return {"WWW-Authenticate": 'Basic realm="Fracture Edge", charset="UTF-8"'}
    return {}


def log_failure(status: int, method: str, rule: str, error: object) -> None:
    """Write a line about an answer that is this app's failure, and nothing about others.

    Args:
        status: The answer's status code.
        method: The request's method.
        rule: The route's pattern, never the address itself: that may name a result.
        error: What went wrong, in a sentence that tells nothing about a patient.
    """
    if status >= 500:
        logger.error("%s %s was answered with %d: %s", method, rule, status, error)


def _answer(code: str, message: str, status: int) -> tuple[Response, int]:
    return jsonify(error=code, message=message), status
