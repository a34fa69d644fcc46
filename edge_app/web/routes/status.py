"""How the app is: for the page, for watchdogs, and for whoever asks what protects it."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from edge_app.imaging.sandbox.wire import Isolation
from edge_app.predictor import PredictorLike

IN_PROCESS = Isolation((), ("pictures are decoded in the app's own process",))


def blueprint(predictor: PredictorLike, isolation: Isolation) -> Blueprint:
    """Make the routes that tell how the app is.

    Args:
        predictor: What predicts for pictures.
        isolation: What keeps in the process that decodes them.

    Returns:
        The blueprint.
    """
    routes = Blueprint("status", __name__)

    @routes.get("/health")
    def health() -> ResponseReturnValue:
        decoder = {
            "isolation": "partial" if isolation.missing else "full",
            "in_force": isolation.in_force,
            "missing": isolation.missing,
        }
        return jsonify(status="ok", device=predictor.device, model=facts_of(predictor), decoder=decoder)

    return routes


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
