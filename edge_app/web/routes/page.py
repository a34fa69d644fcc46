"""The page."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from edge_app.model.manifest import Manifest
from edge_app.settings import Settings


def blueprint(settings: Settings, manifest: Manifest) -> Blueprint:
    """Make the routes of the page.

    Args:
        settings: For the caps that the page tells.
        manifest: For the model's name, date and figures.

    Returns:
        The blueprint.
    """
    routes = Blueprint("page", __name__)

    @routes.get("/")
    def show() -> ResponseReturnValue:
        return render_template("page.html", manifest=manifest, settings=settings)

    return routes
