"""What came over the network, as a page."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from edge_app.arrivals import Arrivals


def blueprint(arrivals: Arrivals) -> Blueprint:
    """Make the route.

    Args:
        arrivals: What came.

    Returns:
        The blueprint.
    """
    routes = Blueprint("arrivals", __name__)

    @routes.get("/arrivals")
    def show() -> ResponseReturnValue:
        return render_template(
            "arrivals.html",
            studies=arrivals.studies(),
            incidents=arrivals.incidents(),
            troubles=_troubles(),
        )

    return routes


def _troubles() -> dict[str, str]:
    """Say in the request's language what went wrong on the way, by its code."""
    return {
        "unknown_called": _(
            "It calls this computer by a wrong AE title. Correct the AE title in the sender's settings."
        ),
        "unknown_sender": _(
            "It is not on the list of those that may send. Whoever looks after this PC can add it."
        ),
        "too_many_associations": _("It opened too many connections at once. It must try again."),
        "oversized": _("It sent something larger than any X-ray picture. Nothing of it was kept."),
        "broken_off": _("The connection broke off in the middle of a picture. Send it again."),
        "duplicate_instance": _(
            "It sent another picture under an identifier that came before. Nothing was replaced."
        ),
        "other_patient": _("It sent a picture of another patient within one study. It was not taken."),
        "mislabelled_instance": _("It sent another picture than the one that it announced."),
        "no_room": _("Too many pictures were waiting. Send it again."),
    }
