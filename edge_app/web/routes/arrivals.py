"""What came over the network, as a page."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from edge_app.arrivals import Arrivals
from edge_app.errors import PeerError


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
        return _page(arrivals, archive=arrivals.archive_state() if request.args.get("test") else None)

    @routes.post("/arrivals")  # what names a patient stands in no address that a browser remembers
    def search() -> ResponseReturnValue:
        words = request.form.get("patient", "").strip()
        try:
            return _page(arrivals, words=words, filed=arrivals.find(words))
        except PeerError as error:
            return _page(arrivals, words=words, trouble=error.reason)

    @routes.post("/arrivals/bring-in")
    def bring_in() -> ResponseReturnValue:
        arrivals.bring_in(request.form.get("study", ""))
        return redirect(url_for("arrivals.show", lang=request.args.get("lang")), 303)

    @routes.get("/arrivals/<study_id>/answers.zip")
    def answers(study_id: str) -> ResponseReturnValue:
        return Response(_zipped(arrivals.answer_files(study_id)), mimetype="application/zip")

    return routes


def _page(arrivals: Arrivals, **shown: Any) -> str:
    return render_template(
        "arrivals.html",
        studies=arrivals.studies(),
        incidents=arrivals.incidents(),
        has_archive=arrivals.has_archive,
        has_library=arrivals.has_library,
        way_back=arrivals.way_back(),
        troubles=_troubles(),
        reasons=_reasons(),
        **shown,
    )


def _zipped(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Pack files in memory; the same files give the same bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files:
            packed.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def _reasons() -> dict[str, str]:
    """Say in the request's language why an archive does not take what it is sent, by the reason."""
    return {
        "unreachable": _("The archive does not answer. Check its address, its port and the network."),
        "unknown_calling": _("The archive does not know this computer's AE title. Add it there."),
        "unknown_called": _("The archive has another AE title than the one given here. Correct it here."),
        "rejected": _("The archive turned the connection away. It must try again."),
        "aborted": _("The archive broke the connection off. Its log says why."),
        "kind_refused": _("The archive does not take this kind of answer. Switch that on there."),
        "status": _("The archive refused. Its log says why."),
        "login": _("The archive asks for another name and password. Correct them here."),
        "not_web": _("The archive has no DICOMweb service at this address. Correct the address here."),
        "certificate": _("The archive's certificate is not trusted on this computer. Add it here."),
        "certificate_date": _("The archive's certificate is out of date, or a clock is wrong."),
        "certificate_name": _(
            "The archive's certificate is for another address. Correct the address here, or renew it there."
        ),
        "own_certificate": _("The archive does not accept this computer's certificate. Add it there."),
        "tls_wanted": _("The archive asks for TLS. Switch that on here."),
        "no_tls": _(
            "The archive speaks no TLS at this port. Correct the port here, or switch TLS on there."
        ),
    }


def _troubles() -> dict[str, str]:
    """Say in the request's language what went wrong on the way, by its code."""
    return {
        "unknown_called": _(
            "It calls this computer by a wrong AE title. Correct the AE title in the sender's settings."
        ),
        "unknown_sender": _(
            "It is not on the list of those that may send. Whoever looks after this PC can add it."
        ),
        "tls": _(
            "It could not connect: it uses no TLS, or one of the two certificates is not trusted. Correct "
            "that in the sender's settings."
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
        "not_brought_in": _("A study could not be brought in from the archive. Try again."),
        "nothing_brought_in": _("The study that was asked for holds no X-ray that can be judged."),
    }
