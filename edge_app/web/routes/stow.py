"""STOW-RS: pictures that X-ray machines and archives send over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from edge_app.arrivals import Arrivals, Receipt
from edge_app.errors import Busy, NoRoom
from edge_app.multipart import split_parts

RETRY_AFTER_S = 10
_STORED, _SOME_STORED, _NONE_STORED = 200, 202, 409


def blueprint(arrivals: Arrivals) -> Blueprint:
    """Make the routes.

    Args:
        arrivals: Takes the pictures.

    Returns:
        The blueprint.

    Source:
        DICOM PS3.18, section 10.5.
    """
    routes = Blueprint("stow", __name__)

    @routes.post("/dicom-web/studies")
    @routes.post("/dicom-web/studies/<study_uid>")
    def store(study_uid: str | None = None) -> ResponseReturnValue:
        files = split_parts(request.get_data(cache=False), request.headers.get("Content-Type", ""))
        try:
            receipts = arrivals.take(files, request.remote_addr or "", study_uid)
        except NoRoom as error:
            raise Busy(str(error), RETRY_AFTER_S) from error
        answer = jsonify(_told(receipts))
        answer.mimetype = "application/dicom+json"
        return answer, _status(receipts)

    return routes


def _status(receipts: Sequence[Receipt]) -> int:
    taken = [receipt for receipt in receipts if not receipt.failure]
    if not taken:
        return _NONE_STORED
    return _STORED if len(taken) == len(receipts) else _SOME_STORED


def _told(receipts: Sequence[Receipt]) -> dict[str, Any]:
    """Return the Store Instances Response module.

    Source:
        DICOM PS3.18, annexes F and I.
    """
    taken = [_item(receipt) for receipt in receipts if not receipt.failure]
    refused = [_item(receipt) for receipt in receipts if receipt.failure]
    told = {"00081198": refused, "00081199": taken}  # Failed SOP Sequence, Referenced SOP Sequence
    return {tag: {"vr": "SQ", "Value": items} for tag, items in told.items() if items}


def _item(receipt: Receipt) -> dict[str, Any]:
    item: dict[str, Any] = {
        "00081150": {"vr": "UI", "Value": [receipt.sop_class_uid]},  # Referenced SOP Class UID
        "00081155": {"vr": "UI", "Value": [receipt.sop_uid]},  # Referenced SOP Instance UID
    }
    if not receipt.sop_uid:
        item = {}
    if receipt.failure:
        item["00081197"] = {"vr": "US", "Value": [receipt.failure]}  # Failure Reason
    return item
