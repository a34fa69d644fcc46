"""The DICOM node as a whole: pictures come in, wait, are judged, and are held by study."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pydicom.dataset import Dataset

from edge_app.arrivals import ArchiveState, ArrivedStudy, ArrivedView, Incident, Refusal, Source
from edge_app.dicom_node.answers import Shelf, judged_study, make_answers
from edge_app.dicom_node.objects.common import to_file
from edge_app.dicom_node.objects.subject import ModelFacts
from edge_app.dicom_node.outbox import Outbox
from edge_app.dicom_node.peers import echo
from edge_app.dicom_node.provider import Provider
from edge_app.dicom_node.studies import HeldStudy, Place, Studies
from edge_app.dicom_node.waiting import Received, WaitingRoom
from edge_app.errors import EdgeError, MislabelledInstance, PeerError, ResultExpired, TagError
from edge_app.imaging.dicom.envelope import Envelope, read_envelope
from edge_app.imaging.region import warm_outline
from edge_app.model.choice import manifest_hash
from edge_app.node_settings import NodeSettings
from edge_app.predictor import FRACTURE, Answer, Prediction, PredictorLike
from edge_app.settings import Settings
from edge_app.turns import Turn

logger = logging.getLogger(__name__)


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
        self._model = _facts_of(predictor, settings)
        self._outbox = node.archive and Outbox(node.ae_title, node.archive, self._answers_to)
        self._studies = Studies(node.study_idle_s, settings.result_minutes * 60, self._send)
        self._room = WaitingRoom(self._judge, add_turn)
        self._provider = Provider(node, settings.max_upload_bytes, self._store, self._studies.note)

    @property
    def has_archive(self) -> bool:
        """Whether an archive gets the answers."""
        return self._outbox is not None

    def studies(self) -> Sequence[ArrivedStudy]:
        """Return the studies that are held, the most suspicious first."""
        held = self._studies.held()
        if self._outbox is None:
            return [study.shown() for study in held]
        return [replace(study.shown(), delivery=self._outbox.delivery(study.id)) for study in held]

    def incidents(self) -> Sequence[Incident]:
        """Return what went wrong of late, the newest first."""
        return self._studies.incidents()

    def answer_files(self, study_id: str) -> Sequence[tuple[str, bytes]]:
        """Return the answers to a study as DICOM files with their names.

        Args:
            study_id: The study's id.

        Raises:
            ResultExpired: the study is held no longer, or none of its pictures was judged.
        """
        answers = self._answers_to(study_id)
        if answers is None:
            raise ResultExpired("This study is no longer held in memory. Send it again.")
        return [
            (f"{each.Modality.lower()}-{number}.dcm", to_file(each))
            for number, each in enumerate(answers, 1)
        ]

    def archive_state(self) -> ArchiveState | None:
        """Ask the archive whether it answers; None where none is named."""
        archive = self.settings.archive
        if archive is None:
            return None
        try:
            echo(self.settings.ae_title, archive)
        except PeerError as error:
            reason, message = error.reason, str(error)
        else:
            reason, message = "", ""
        return ArchiveState(str(archive), reason, message, self._provider.called_at(archive.ae_title))

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
        self._studies.judge(received.study_id, received.sop_uid, *self._said_of(received.data))

    def _said_of(self, data: bytes) -> tuple[ArrivedView, Place]:
        try:
            prediction = self._predictor.predict(data)
        except EdgeError as error:
            tag = error.tag if isinstance(error, TagError) else ""
            return ArrivedView(refusal=Refusal(error.code, str(error), tag)), Place()
        except Exception:  # else the study would wait for this picture until it is forgotten
            logger.exception("A picture that came over DICOM was not judged.")
            return ArrivedView(refusal=Refusal("other", "Something went wrong inside the tool.")), Place()
        answer = Answer(prediction.probability, prediction.threshold, rule_out=prediction.rule_out)
        return ArrivedView(self._shelf.put(prediction), answer), _place_of(prediction)

    def _send(self, study: HeldStudy) -> None:
        if self._outbox is not None:
            self._outbox.add(study.id)

    def _answers_to(self, study_id: str) -> Iterator[Dataset] | None:
        study = self._studies.find(study_id)
        if study is None:
            return None
        judged = judged_study(study, self._shelf, self._model)
        return None if judged is None else make_answers(judged, self.settings.answers)


def _facts_of(predictor: PredictorLike, settings: Settings) -> ModelFacts:
    manifest = predictor.manifest
    return ModelFacts(
        manifest.name, manifest.version, predictor.variant, manifest_hash(settings.bundle_dir)
    )


def _place_of(prediction: Prediction) -> Place:
    """Return where a fracture is suspected; an answer that suspects none has no outline."""
    is_suspected = prediction.prediction == FRACTURE or prediction.is_uncertain
    outline = warm_outline(prediction.heatmap, prediction.size_px) if is_suspected else None
    spacing_mm = None if prediction.header is None else prediction.header.spacing_mm
    return Place(outline, prediction.size_px, spacing_mm)


def _require_announced(envelope: Envelope, sop_class_uid: str, sop_uid: str) -> None:
    if (envelope.sop_class_uid, envelope.sop_uid) != (sop_class_uid, sop_uid):
        raise MislabelledInstance(
            "The picture has another SOP Class or Instance UID than it was announced with. Export it again "
            "from the X-ray system."
        )
