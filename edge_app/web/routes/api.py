"""The JSON calls, and the pictures of a result."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from edge_app.errors import TOO_LARGE, ImageTooLarge, MissingImage
from edge_app.imaging.images import encode_png
from edge_app.imaging.overlay import overlay
from edge_app.imaging.picture import DicomHeader
from edge_app.predictor import Prediction, PredictorLike
from edge_app.settings import Settings
from edge_app.web.routes.status import facts_of
from edge_app.web.store import ResultStore

NOTICE = "Assistive tool, not a diagnosis."


def blueprint(settings: Settings, predictor: PredictorLike, store: ResultStore) -> Blueprint:
    """Make the routes of the API.

    Args:
        settings: For the cap on an upload.
        predictor: What predicts for a picture.
        store: Where results wait for their pictures to be fetched.

    Returns:
        The blueprint.
    """
    routes = Blueprint("api", __name__)
    model = facts_of(predictor)

    @routes.post("/predict")
    def predict() -> ResponseReturnValue:
        started_s = time.perf_counter()
        prediction = predictor.predict(_uploaded(settings.max_upload_bytes))
        key = store.put(prediction)
        return jsonify(
            **describe(key, prediction),
            notice=NOTICE,
            model=model,
            device=predictor.device,
            elapsed_ms=round(1000 * (time.perf_counter() - started_s), 1),
        )

    @routes.get("/results/<key>/picture.png")
    def picture(key: str) -> ResponseReturnValue:
        return _png(encode_png(store.get(key).picture))

    @routes.get("/results/<key>/heatmap.png")
    def heatmap(key: str) -> ResponseReturnValue:
        prediction = store.get(key)
        return _png(encode_png(overlay(prediction.picture, prediction.heatmap)))

    @routes.get("/results/<key>/heatmap-grey.png")
    def heatmap_grey(key: str) -> ResponseReturnValue:
        return _png(encode_png(np.round(255 * store.get(key).heatmap).astype(np.uint8)))

    @routes.delete("/results/<key>")
    def forget(key: str) -> ResponseReturnValue:
        store.forget(key)
        return "", 204

    return routes


def describe(key: str, prediction: Prediction) -> dict[str, Any]:
    """Return what an answer says of one view; of its DICOM header nothing that names the patient.

    Args:
        key: Under which the result is held.
        prediction: The result.

    Returns:
        A JSON object.
    """
    shows = prediction.has_evidence
    return {
        "id": key,
        "prediction": prediction.prediction,
        "confidence": prediction.confidence,
        "probability": prediction.probability,
        "threshold": prediction.threshold,
        "heatmap": url_for("api.heatmap", key=key) if shows else None,
        "heatmap_grey": url_for("api.heatmap_grey", key=key) if shows else None,
        "picture": url_for("api.picture", key=key),
        "quality": _quality(prediction),
        "uncertain": prediction.is_uncertain,
        "size_px": prediction.size_px,
        "header": None if prediction.header is None else _facts(prediction.header),
    }


def _quality(prediction: Prediction) -> dict[str, Any] | None:
    quality = prediction.quality
    return quality and {"accepted": quality.accepted, "reasons": quality.reasons}


def _facts(header: DicomHeader) -> dict[str, Any]:
    return {
        "modality": header.modality,
        "body_part": header.body_part,
        "view": header.view,
        "laterality": header.laterality,
        "spacing_mm": header.spacing_mm,
        "windows": [window._asdict() for window in header.windows],
    }


def _uploaded(max_bytes: int) -> bytes:
    files = request.files.getlist("file")
    if len(files) != 1:
        raise MissingImage(
            f"Expected one X-ray in the multipart field 'file', received {len(files)}. "
            "Choose one picture and send it again."
        )
    data = files[0].read()
    if len(data) > max_bytes:
        raise ImageTooLarge(TOO_LARGE)
    return data


def _png(data: bytes) -> Response:
    return Response(data, mimetype="image/png")
