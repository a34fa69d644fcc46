"""Several files at once: each view, and the studies that they make."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from edge_app.errors import ImageError, MissingImage
from edge_app.predictor import Prediction, PredictorLike
from edge_app.study import group_views, joint_answer, require_one_study
from edge_app.web.routes.api import NOTICE, describe
from edge_app.web.routes.error_handlers import content_of
from edge_app.web.routes.status import facts_of
from edge_app.web.store import ResultStore


def blueprint(predictor: PredictorLike, store: ResultStore) -> Blueprint:
    """Make the route.

    Args:
        predictor: What predicts for a picture.
        store: Where results wait for their pictures to be fetched.

    Returns:
        The blueprint.
    """
    routes = Blueprint("studies", __name__)
    model = facts_of(predictor)

    @routes.post("/studies")
    def predict() -> ResponseReturnValue:
        files = request.files.getlist("file")
        if not files:
            raise MissingImage("Expected X-rays in multipart fields 'file', received none.")
        require_one_study(len(files))
        outcomes = [_outcome(predictor, file.read()) for file in files]
        predictions = {n: each for n, each in enumerate(outcomes) if isinstance(each, Prediction)}
        studies = _studies(predictions)
        views = [
            {"file": n, **(describe(store.put(each), each) if isinstance(each, Prediction) else each)}
            for n, each in enumerate(outcomes)
        ]
        return jsonify(
            study=studies[0] if len(studies) == 1 else None,
            studies=studies,
            views=views,
            notice=NOTICE,
            model=model,
            device=predictor.device,
        )

    return routes


def _outcome(predictor: PredictorLike, data: bytes) -> Prediction | dict[str, str]:
    """Predict for one file, or tell what is wrong with it: that stops nobody else."""
    try:
        return predictor.predict(data)
    except ImageError as error:
        return content_of(error)


def _studies(predictions: dict[int, Prediction]) -> list[dict[str, Any]]:
    files, views = list(predictions), list(predictions.values())
    return [
        {"views": [files[index] for index in group], **_answer([views[i] for i in group])}
        for group in group_views([view.header for view in views])
    ]


def _answer(views: list[Prediction]) -> dict[str, Any]:
    study = joint_answer(views)
    return {
        "prediction": study.prediction,
        "confidence": study.confidence,
        "probability": study.probability,
        "threshold": study.threshold,
        "uncertain": study.is_uncertain,
    }
