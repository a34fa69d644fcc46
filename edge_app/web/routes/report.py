"""Held results as one PDF, in the language of the request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from flask_babel import format_percent
from flask_babel import gettext as _

from edge_app.model.choice import manifest_hash
from edge_app.predictor import Prediction, PredictorLike
from edge_app.reports.wording import Speech, joint_facts, view_in, words_in
from edge_app.settings import Settings
from edge_app.study import require_one_study
from edge_app.web.language import direction_of, language_of_request
from edge_app.web.store import ResultStore

MAX_PATIENT_CHARACTERS = 120


def blueprint(settings: Settings, predictor: PredictorLike, store: ResultStore) -> Blueprint:
    """Make the route.

    Args:
        settings: For the place of the model.
        predictor: For the model's name.
        store: Where the results are held.

    Returns:
        The blueprint.
    """
    routes = Blueprint("report", __name__)
    model = f"{predictor.manifest.name} {predictor.manifest.version}, {predictor.variant}"
    model_hash = manifest_hash(settings.bundle_dir)

    @routes.route("/results/<keys>/report.pdf", methods=["GET", "POST"])
    def report(keys: str) -> ResponseReturnValue:
        # Loaded with the first report, so that the app starts fast.
        from edge_app.reports.document import to_pdf

        speech, distinct = _speech(), dict.fromkeys(keys.split(","))
        require_one_study(len(distinct))
        views = [store.get(key) for key in distinct]
        facts = [
            *_patient(views),
            (_("Time"), datetime.now().astimezone().isoformat(" ", "minutes")),
            (_("Model"), f"{model} (SHA-256 {model_hash[:16]})"),
            *joint_facts(views, speech),
        ]
        document = to_pdf([view_in(view, speech) for view in views], facts, words_in(speech))
        return Response(document, mimetype="application/pdf")

    return routes


def _patient(views: Sequence[Prediction]) -> list[tuple[str, str]]:
    """Return what the person typed, or asked to be taken from the header; nothing unless asked."""
    typed = request.form.get("patient", "").strip()[:MAX_PATIENT_CHARACTERS]
    headers = [view.header for view in views if view.header is not None]
    if not typed and request.form.get("from_header") and headers:
        patient = headers[0].patient
        parts = (patient.name.replace("^", " ").strip(), patient.identifier, patient.birth_date)
        typed = ", ".join(part for part in parts if part)
    return [(_("Patient"), typed)] if typed else []


def _speech() -> Speech:
    language = language_of_request()
    return Speech(language, direction_of(language) == "rtl", _, format_percent)
