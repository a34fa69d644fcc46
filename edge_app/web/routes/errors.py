"""The one place where errors become status codes."""

from __future__ import annotations

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from edge_app.errors import (
    TOO_LARGE,
    EdgeError,
    ImageTooLarge,
    InvalidImage,
    MissingImage,
    RequestRefused,
    ResultExpired,
    UnsupportedImage,
)

STATUS_OF = {
    MissingImage: 400,
    RequestRefused: 403,
    ResultExpired: 404,
    ImageTooLarge: 413,
    UnsupportedImage: 415,
    InvalidImage: 422,
}


def register(app: Flask) -> None:
    """Answer every error as JSON with `error`, a stable code, and `message`, a sentence.

    Args:
        app: The app.
    """

    @app.errorhandler(EdgeError)
    def answer_edge_error(error: EdgeError) -> ResponseReturnValue:
        return _answer(error.code, str(error), STATUS_OF.get(type(error), 500))

    @app.errorhandler(RequestEntityTooLarge)
    def answer_too_large(_: RequestEntityTooLarge) -> ResponseReturnValue:
        return _answer(ImageTooLarge.code, TOO_LARGE, 413)

    @app.errorhandler(HTTPException)
    def answer_http_error(error: HTTPException) -> ResponseReturnValue:
        return _answer(f"http_{error.code}", error.description or error.name, error.code or 500)


def _answer(code: str, message: str, status: int) -> ResponseReturnValue:
    return jsonify(error=code, message=message), status
