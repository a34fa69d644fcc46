"""The DICOM node as a whole: pictures come in, wait, are judged, and are held by study."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from pydicom.dataset import Dataset

from edge_app.arrivals import (
    ArchiveState,
    ArrivedStudy,
    ArrivedView,
    FiledStudy,
    Incident,
    Receipt,
    Refusal,
    Source,
    WayBack,
)
from edge_app.dicom_node.addresses import lookup, own_address
from edge_app.dicom_node.answers import Shelf, judged_study, make_answers
from edge_app.dicom_node.archive import open_archive
from edge_app.dicom_node.held_studies import HeldStudy, Place, Studies
from edge_app.dicom_node.intake import Intake
from edge_app.dicom_node.library import WADO, Library
from edge_app.dicom_node.objects.common import to_file
from edge_app.dicom_node.objects.subject import ModelFacts
from edge_app.dicom_node.outbox import Outbox
from edge_app.dicom_node.provider import Provider
from edge_app.dicom_node.waiting import Received, WaitingRoom
from edge_app.errors import EdgeError, PeerError, ResultExpired, TagError
from edge_app.imaging.region import warm_outline
from edge_app.model.choice import manifest_hash
from edge_app.node_settings import NodeSettings, Peer
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
        self._predictor = predictor
        self._shelf = shelf
        self._model = _facts_of(predictor, settings)
        self._archive = node.archive and open_archive(
            node.ae_title, node.archive, settings, node.calling_tls
        )
        self._outbox = None if self._archive is None else Outbox(self._archive, self._answers_to)
        self._studies = Studies(node.study_idle_s, settings.result_minutes * 60, self._send)
        room = WaitingRoom(self._judge, add_turn)
        allowed = lookup(node.allowed)
        self._intake = Intake(self._studies, room, settings.max_pixels, allowed)
        self._library = _library_of(node, settings, self._intake)
        self._provider = None
        if node.port is not None:
            receive, note = self._intake.store, self._studies.note
            self._provider = Provider(node, node.port, allowed, settings.max_upload_bytes, receive, note)

    @property
    def has_archive(self) -> bool:
        """Whether an archive gets the answers."""
        return self._archive is not None

    @property
    def has_library(self) -> bool:
        """Whether studies can be brought in from an archive."""
        return self._library is not None

    @property
    def takes_web(self) -> bool:
        """Whether pictures are taken by STOW-RS."""
        return self.settings.takes_web

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
        if self._archive is None:
            return None
        try:
            self._archive.check()
        except PeerError as error:
            return ArchiveState(str(self._archive), error.reason, str(error))
        return ArchiveState(str(self._archive), "", "")

    def way_back(self) -> WayBack | None:
        """Tell how the archive calls this node; None where it cannot."""
        port, archive = self.settings.port, self.settings.archive
        if self._provider is None or port is None or not isinstance(archive, Peer):
            return None
        called_at = self._provider.called_at(archive.ae_title)
        return WayBack(self.settings.ae_title, own_address(archive.host), port, called_at)

    def find(self, words: str) -> Sequence[FiledStudy]:
        """Look for a patient's studies in the archive; see `WebArchive.find`."""
        return [] if self._library is None else self._library.find(words)

    def bring_in(self, study_uid: str) -> None:
        """Let a study be brought in from the archive; see `Library.bring_in`."""
        if self._library is not None:
            self._library.bring_in(study_uid)

    def take(self, files: Iterable[bytes], address: str, study_uid: str | None) -> Sequence[Receipt]:
        """Take pictures that came by STOW-RS; see `Intake.take`."""
        return self._intake.take(files, address, study_uid)

    def close(self) -> None:
        """Stop receiving and fetching."""
        if self._library is not None:
            self._library.close()
        if self._provider is not None:
            self._provider.close()

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


def _library_of(node: NodeSettings, settings: Settings, intake: Intake) -> Library | None:
    if node.library is None:
        return None
    # Loaded where it is asked for only: it brings an HTTP client along.
    from edge_app.dicom_node.web_archive import WebArchive

    host = urlsplit(node.library.url).hostname or ""
    return Library(WebArchive(node.library, settings.max_upload_bytes), Source(WADO, host), intake)


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
