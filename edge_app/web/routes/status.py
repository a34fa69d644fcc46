"""How the app is: for the page, for watchdogs, and for whoever asks what protects it."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, g, jsonify, request
from flask.typing import ResponseReturnValue

from edge_app.imaging.sandbox.wire import Isolation
from edge_app.predictor import PredictorLike
from edge_app.web.counters import CONTENT_TYPE, Counters
from edge_app.web.lanes import Lanes
from edge_app.web.store import ResultStore

IN_PROCESS = Isolation((), ("pictures are decoded in the app's own process",))


def blueprint(
    predictor: PredictorLike, isolation: Isolation, store: ResultStore, lanes: Lanes
) -> Blueprint:
    """Make the routes that tell how the app is.

    Args:
        predictor: What predicts for pictures.
        isolation: What keeps in the process that decodes them.
        store: Where results are held.
        lanes: Where pictures wait.

    Returns:
        The blueprint.
    """
    routes = Blueprint("status", __name__)
    counters = Counters()

    @routes.get("/health")
    def health() -> ResponseReturnValue:
        model, decoder = facts_of(predictor), _describe(isolation)
        return jsonify(status="ok", device=predictor.device, model=model, decoder=decoder)

    @routes.get("/ready")
    def ready() -> ResponseReturnValue:
        # The app listens only after the model is loaded and has given the answers to its golden cases.
        return jsonify(status="ready", device=predictor.device)

    @routes.get("/queue")
    def queue() -> ResponseReturnValue:
        return jsonify(lanes.line(request.args.get("ticket"))._asdict())

    @routes.get("/metrics")
    def show_metrics() -> ResponseReturnValue:
        line = lanes.line()
        gauges = {"waiting_pictures": line.waiting, "held_result_bytes": store.held_bytes}
        return Response(counters.text(gauges), content_type=CONTENT_TYPE)

    _count_answers(routes, counters)
    return routes


def _count_answers(routes: Blueprint, counters: Counters) -> None:
    """Count every answer of the app, and its time."""

    @routes.before_app_request
    def begin() -> None:
        g.begin_s = time.perf_counter()

    @routes.after_app_request
    def count(response: Response) -> Response:
        begin_s = g.get("begin_s", time.perf_counter())
        counters.count(str(request.url_rule), response.status_code, time.perf_counter() - begin_s)
        return response


def _describe(isolation: Isolation) -> dict[str, Any]:
    return {
        "isolation": "partial" if isolation.missing else "full",
        "in_force": isolation.in_force,
        "missing": isolation.missing,
    }


def facts_of(predictor: PredictorLike) -> dict[str, str]:
    """Tell which model predicts.

    Args:
        predictor: What predicts for pictures.

    Returns:
        Its name, version, day and variant.
    """
    manifest = predictor.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "created": manifest.created,
        "precision": predictor.variant,
    }
