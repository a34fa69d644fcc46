"""The Flask app, put together from what it is given."""

from __future__ import annotations

import io
from types import TracebackType
from typing import IO, Any

from flask import Flask, Request, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from edge_app.arrivals import Arrivals
from edge_app.imaging.sandbox.wire import Isolation
from edge_app.logs import frames_of
from edge_app.predictor import PredictorLike
from edge_app.settings import Settings
from edge_app.web.lanes import Lanes
from edge_app.web.language import speak_languages
from edge_app.web.routes import api, error_handlers, openapi, page, report, status, stow, studies
from edge_app.web.routes import arrivals as arrived
from edge_app.web.security import protect
from edge_app.web.server import BODY_ALLOWANCE_BYTES
from edge_app.web.store import ResultStore

# Of a form without files, whose fields are a name or an identifier.
MAX_PLAIN_FORM_BYTES = 64 * 1024


class _FormParser(FormDataParser):
    """Reads forms; a plain one only where it is small: of each of its bytes Werkzeug makes forty."""

    def parse(self, stream: IO[bytes], mimetype: str, content_length: int | None, *more: Any) -> Any:
        is_plain = mimetype == "application/x-www-form-urlencoded"
        if is_plain and (content_length is None or content_length > MAX_PLAIN_FORM_BYTES):
            raise RequestEntityTooLarge
        return super().parse(stream, mimetype, content_length, *more)


class MemoryRequest(Request):
    """A request whose uploaded files stay in memory; Werkzeug's own writes large ones to disk."""

    form_data_parser_class = _FormParser

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        return io.BytesIO()


class _App(Flask):
    """An app whose log tells neither the address of a result nor the words of an unforeseen error."""

    request_class = MemoryRequest

    def log_exception(
        self,
        exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None],
    ) -> None:
        frames = "" if exc_info[1] is None else frames_of(exc_info[1])
        self.logger.error("%s %s failed.\n%s", request.method, request.url_rule, frames)


def create_app(
    settings: Settings,
    predictor: PredictorLike,
    isolation: Isolation = status.IN_PROCESS,
    lanes: Lanes | None = None,
    store: ResultStore | None = None,
    arrivals: Arrivals | None = None,
) -> Flask:
    """Put the app together.

    Args:
        settings: Caps and limits.
        predictor: What predicts for a picture.
        isolation: What keeps in the process that decodes pictures.
        lanes: Where pictures wait, to tell how long.
        store: Where results are held; by default one of its own.
        arrivals: What came over the network, where a DICOM node runs.

    Returns:
        The app.
    """
    app = _App("edge_app.web")
    app.config["MAX_CONTENT_LENGTH"] = settings.max_upload_bytes + BODY_ALLOWANCE_BYTES // 2
    app.config["MAX_FORM_MEMORY_SIZE"] = app.config["MAX_CONTENT_LENGTH"]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    if store is None:
        store = ResultStore(settings.results_bytes, settings.result_minutes * 60)
    protect(app, settings.hostnames)
    speak_languages(app)
    error_handlers.register(app)
    app.register_blueprint(page.blueprint(settings, predictor))
    app.register_blueprint(status.blueprint(predictor, isolation, store, lanes or Lanes()))
    app.register_blueprint(api.blueprint(settings, predictor, store))
    app.register_blueprint(openapi.blueprint())
    app.register_blueprint(report.blueprint(settings, predictor, store))
    app.register_blueprint(studies.blueprint(predictor, store))
    app.context_processor(lambda: {"has_arrivals": arrivals is not None})
    if arrivals is not None:
        app.register_blueprint(arrived.blueprint(arrivals))
        if arrivals.takes_web:
            app.register_blueprint(stow.blueprint(arrivals))
    return app
