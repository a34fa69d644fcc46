"""The pages that people see."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from edge_app.predictor import PredictorLike
from edge_app.settings import Settings

CARD = "MODEL_CARD.md"
# The packages of the app's own list; what they bring is told in docs/DEPENDENCIES.md.
PACKAGES = (
    "flask",
    "flask-babel",
    "msgspec",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pillow",
    "waitress",
)


def blueprint(settings: Settings, predictor: PredictorLike) -> Blueprint:
    """Make the routes of the pages.

    Args:
        settings: For the caps that the page tells, and the bundle's model card.
        predictor: For the model's name, date and figures, and the device.

    Returns:
        The blueprint.
    """
    routes = Blueprint("page", __name__)
    manifest = predictor.manifest

    @routes.get("/")
    def show() -> ResponseReturnValue:
        parts = _in_words(manifest.training.dataset.body_parts)
        paths = {rule.rule for rule in current_app.url_map.iter_rules()}
        return render_template(
            "page.html",
            manifest=manifest,
            settings=settings,
            body_parts=parts,
            has_studies="/studies" in paths,
            has_reports="/results/<keys>/report.pdf" in paths,
        )

    @routes.get("/sheet")
    def sheet() -> ResponseReturnValue:
        parts = _in_words(manifest.training.dataset.body_parts)
        return render_template("sheet.html", manifest=manifest, body_parts=parts)

    @routes.get("/about")
    def about() -> ResponseReturnValue:
        return render_template(
            "about.html",
            manifest=manifest,
            settings=settings,
            predictor=predictor,
            body_parts=_in_words(manifest.training.dataset.body_parts),
            card=_card(settings),
            packages=[_package(name) for name in PACKAGES],
        )

    return routes


def _in_words(body_parts: tuple[str, ...]) -> list[str]:
    """Return the names of body parts in the request's language; an unknown one as the model has it."""
    words = {
        "hand": gettext("hand"),
        "wrist": gettext("wrist"),
        "forearm": gettext("forearm"),
        "elbow": gettext("elbow"),
        "humerus": gettext("upper arm"),
        "shoulder": gettext("shoulder"),
        "finger": gettext("finger"),
        "leg": gettext("leg"),
        "hip": gettext("hip"),
    }
    return [words.get(part, part) for part in body_parts]


def _card(settings: Settings) -> str:
    path = settings.bundle_dir / CARD
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _package(name: str) -> tuple[str, str, str]:
    """Return the name, the version and the licence of an installed package."""
    try:
        facts = metadata(name).json
    except PackageNotFoundError:
        return name, "", ""
    licence = facts.get("license_expression") or facts.get("license") or ""
    return name, str(facts["version"]), str(licence)
