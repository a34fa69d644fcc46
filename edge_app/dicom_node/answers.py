"""A held study to its answers, one DICOM object after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from pydicom.dataset import Dataset

from edge_app.dicom_node.held_studies import HeldStudy, HeldView
from edge_app.dicom_node.objects.capture import to_capture
from edge_app.dicom_node.objects.encapsulated_pdf import to_document
from edge_app.dicom_node.objects.presentation_state import to_presentation_state
from edge_app.dicom_node.objects.structured_report import to_structured_report
from edge_app.dicom_node.objects.subject import JudgedStudy, JudgedView, ModelFacts
from edge_app.errors import ResultExpired
from edge_app.predictor import Prediction
from edge_app.study import joint_answer


class Shelf(Protocol):
    """Where predictions are held until they expire."""

    def put(self, prediction: Prediction) -> str:
        """Hold one; returns its key."""

    def get(self, key: str) -> Prediction:
        """Return a held one; raises ResultExpired where it is held no longer."""


def judged_study(study: HeldStudy, shelf: Shelf, model: ModelFacts) -> JudgedStudy | None:
    """Gather what was said of a study.

    Args:
        study: The study.
        shelf: Where its predictions are held.
        model: Which model answered.

    Returns:
        What there is to tell; None where no picture could be judged.
    """
    views = tuple(
        _judged_view(held, shelf) for held in study.views.values() if held.view.answer is not None
    )
    if not views:
        return None
    answer = joint_answer([view.answer for view in views])
    return JudgedStudy(views, answer, study.version, study.whole_at, model)


def make_answers(study: JudgedStudy, kinds: Sequence[str]) -> Iterator[Dataset]:
    """Make the answers to a study, one at a time, so that one at a time is in memory.

    Args:
        study: The study.
        kinds: Which: `sc`, `sr`, `pdf`, `gsps`.

    Yields:
        DICOM objects. Captures and the PDF need pictures; views whose pictures are held no longer have
        none.
    """
    if "sc" in kinds:
        for view in study.views:
            if view.prediction is not None:
                yield to_capture(study, view, view.prediction)
    if "sr" in kinds:
        yield to_structured_report(study)
    if "pdf" in kinds and any(view.prediction is not None for view in study.views):
        yield to_document(study)
    if "gsps" in kinds:
        yield from (to_presentation_state(study, view) for view in study.views if view.outline is not None)


def _judged_view(held: HeldView, shelf: Shelf) -> JudgedView:
    assert held.view.answer is not None
    try:
        prediction = shelf.get(held.view.key)
    except ResultExpired:
        prediction = None
    return JudgedView(
        envelope=held.envelope,
        digest=held.digest,
        answer=held.view.answer,
        outline=held.place.outline,
        size_px=held.place.size_px,
        spacing_mm=held.place.spacing_mm,
        prediction=prediction,
    )
