"""Held results as one PDF, in the language of the request."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from flask_babel import format_percent
from flask_babel import gettext as _

from edge_app.model.choice import manifest_hash
from edge_app.predictor import FRACTURE, Answer, Prediction, PredictorLike
from edge_app.reports.content import View, Words
from edge_app.settings import Settings
from edge_app.study import joint_answer
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

        views = [store.get(key) for key in keys.split(",")]
        facts = [
            *_patient(views[0]),
            (_("Time"), datetime.now().astimezone().isoformat(" ", "minutes")),
            (_("Model"), f"{model} (SHA-256 {model_hash[:16]})"),
            *_joint(views),
        ]
        document = to_pdf([_view(view) for view in views], facts, _words())
        return Response(document, mimetype="application/pdf")

    return routes


def _patient(view: Prediction) -> list[tuple[str, str]]:
    """Return what the person typed, or asked to be taken from the header; nothing unless asked."""
    typed = request.form.get("patient", "").strip()[:MAX_PATIENT_CHARACTERS]
    if not typed and request.form.get("from_header") and view.header is not None:
        patient = view.header.patient
        parts = (patient.name.replace("^", " ").strip(), patient.identifier, patient.birth_date)
        typed = ", ".join(part for part in parts if part)
    return [(_("Patient"), typed)] if typed else []


def _joint(views: list[Prediction]) -> list[tuple[str, str]]:
    if len(views) == 1:
        return []
    study = joint_answer(views)
    rule = _("The study's probability is the mean of those of its views. Look at each view as well.")
    return [(_answer_in_words(study), f"{format_percent(study.probability)}. {rule}")]


def _view(view: Prediction) -> View:
    header = view.header
    told = () if header is None else (header.body_part, header.view, header.laterality)
    facts = [
        (_("Probability of a fracture"), format_percent(view.probability)),
        (_("Threshold"), format_percent(view.threshold)),
        *([(_("View"), ", ".join(part for part in told if part))] if any(told) else []),
    ]
    return View(view, _answer_in_words(view), tuple(facts), tuple(_remarks(view)))


def _remarks(view: Prediction) -> list[str]:
    """Say in words what the input gate doubts, and whether the answer is uncertain."""
    words = _doubts()
    reasons = [] if view.quality is None or view.quality.accepted else view.quality.reasons
    unsure = _(
        "The tool cannot tell. Treat it as a possible fracture until a qualified person has read the X-ray."
    )
    return [words[reason] for reason in reasons if reason in words] + [unsure] * view.is_uncertain


def _doubts() -> dict[str, str]:
    return {
        "other_imaging": _(
            "This looks like another kind of medical picture than an X-ray of a limb. "
            "Do not rely on the answer."
        ),
        "inverted": _(
            "Black and white seem to be exchanged in this X-ray. Do not rely on the "
            "answer; export it again as it is usually shown."
        ),
        "photo_of_screen": _(
            "This looks like a photograph of a screen or a film. Do not rely on the "
            "answer; send the X-ray's own file."
        ),
        "too_bright": _("This X-ray is very bright. Do not rely on the answer."),
        "too_dark": _("This X-ray is very dark. Do not rely on the answer."),
        "unfamiliar": _(
            "This X-ray looks unlike those that the tool was made with. Do not rely on the answer."
        ),
    }


def _answer_in_words(answer: Answer) -> str:
    if answer.is_uncertain:
        return _("Uncertain")
    return _("Fracture Detected") if answer.prediction == FRACTURE else _("Normal")


def _words() -> Words:
    language = language_of_request()
    return Words(
        language=language,
        is_right_to_left=direction_of(language) == "rtl",
        title=f"Fracture Edge: {_('Report')}",
        xray=_("X-ray"),
        heatmap=_("Heat map"),
        judgement=_("The reader's own judgement"),
        signature=_("Name, date and signature"),
        notice=_("Assistive tool, not a diagnosis."),
    )
