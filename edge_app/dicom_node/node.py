"""The DICOM node as a whole: pictures come in, wait, are judged, and are held by study."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from edge_app.arrivals import ArrivedStudy, ArrivedView, Incident, Refusal, Source
from edge_app.dicom_node.provider import Provider
from edge_app.dicom_node.studies import Studies
from edge_app.dicom_node.waiting import Received, WaitingRoom
from edge_app.errors import EdgeError, MislabelledInstance, TagError
from edge_app.imaging.dicom.envelope import Envelope, read_envelope
from edge_app.node_settings import NodeSettings
from edge_app.predictor import Answer, Prediction, PredictorLike
from edge_app.settings import Settings
from edge_app.turns import Turn

logger = logging.getLogger(__name__)


class Shelf(Protocol):
    """Where predictions are held until they expire."""

    def put(self, prediction: Prediction) -> str:
        """Hold one; returns its key."""


class Node:
    """Receives, lets judge, and tells what came.

    Args:
        settings: Those of the app; the caps hold here too.
        node: Those of the node.
        predictor: What predicts for a picture.
        shelf: Where predictions are held.
        add_turn: Lets a turn wait beside the page's own.

    Raises:
        SettingsError: the port cannot be used, or the host of an allowed node is not known.
    """

    def __init__(
        self,
        settings: Settings,
        node: NodeSettings,
        predictor: PredictorLike,
        shelf: Shelf,
        add_turn: Callable[[Turn], None],
    ) -> None:
        self.settings = node
        self._max_pixels = settings.max_pixels
        self._predictor = predictor
        self._shelf = shelf
        self._studies = Studies(node.study_idle_s, settings.result_minutes * 60)
        self._room = WaitingRoom(self._judge, add_turn)
        self._provider = Provider(node, settings.max_upload_bytes, self._store, self._studies.note)

    def studies(self) -> Sequence[ArrivedStudy]:
        """Return the studies that are held, the most suspicious first."""
        return [study.shown() for study in self._studies.held()]

    def incidents(self) -> Sequence[Incident]:
        """Return what went wrong of late, the newest first."""
        return self._studies.incidents()

    def close(self) -> None:
        """Stop receiving."""
        self._provider.close()

    def _store(self, sop_class_uid: str, sop_uid: str, data: bytes, source: Source) -> None:
        """Take a picture, or refuse it."""
        envelope = read_envelope(data, self._max_pixels)
        _require_announced(envelope, sop_class_uid, sop_uid)
        self._room.take_room(len(data))
        study_id = None
        try:
            study_id = self._studies.add(envelope, data, source)
        finally:
            if study_id is None:
                self._room.give_room(len(data))
        if study_id is not None:
            self._room.add(source, Received(study_id, sop_uid, data))

    def _judge(self, received: Received) -> None:
        self._studies.judge(received.study_id, received.sop_uid, self._view(received.data))

    def _view(self, data: bytes) -> ArrivedView:
        try:
            prediction = self._predictor.predict(data)
        except EdgeError as error:
            tag = error.tag if isinstance(error, TagError) else ""
            return ArrivedView(refusal=Refusal(error.code, str(error), tag))
        except Exception:  # else the study would wait for this picture until it is forgotten
            logger.exception("A picture that came over DICOM was not judged.")
            return ArrivedView(refusal=Refusal("other", "Something went wrong inside the tool."))
        answer = Answer(prediction.probability, prediction.threshold, rule_out=prediction.rule_out)
        return ArrivedView(self._shelf.put(prediction), answer)


def _require_announced(envelope: Envelope, sop_class_uid: str, sop_uid: str) -> None:
    if (envelope.sop_class_uid, envelope.sop_uid) != (sop_class_uid, sop_uid):
        raise MislabelledInstance(
            "The picture has another SOP Class or Instance UID than it was announced with. Export it again "
            "from the X-ray system."
        )
