"""What a page shows of studies that came over a network, and whom it asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from edge_app.imaging.picture import Patient
from edge_app.predictor import Answer


class Source(NamedTuple):
    """Who sent something: an AE title and a network address."""

    ae_title: str
    address: str


@dataclass(frozen=True)
class Refusal:
    """Why a picture gave no answer: a stable code, a sentence, and the DICOM attribute at fault if any."""

    code: str
    message: str
    tag: str = ""


@dataclass(frozen=True)
class ArrivedView:
    """A picture that came: its answer with the key of its result, or its refusal, or neither yet."""

    key: str = ""
    answer: Answer | None = None
    refusal: Refusal | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether nobody has looked at it yet."""
        return self.answer is None and self.refusal is None


@dataclass(frozen=True)
class Delivery:
    """How far the answers to a study are on their way to an archive.

    `state` is `waiting` or `sent`; `reason` a stable word for why the last attempt failed, and
    `message` the sentence.
    """

    peer: str
    state: str
    attempts: int
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class ArrivedStudy:
    """A study: its views so far, their joint answer, and whether more may come.

    `version` counts how often it became whole: above 1 a late picture changed its answer. `delivery` tells
    how far its answers are, where an archive gets them.
    """

    id: str
    source: Source
    patient: Patient
    came_at: datetime
    views: tuple[ArrivedView, ...]
    answer: Answer | None
    is_whole: bool
    version: int
    delivery: Delivery | None = None


@dataclass(frozen=True)
class Incident:
    """Something that went wrong on the way: a stable code and a sentence that names no patient."""

    code: str
    source: Source
    came_at: datetime
    message: str


class ArchiveState(NamedTuple):
    """Whether the archive answers, and whether it called.

    `reason` is empty where it answers, else a stable word for why not, with the sentence in `message`.
    """

    peer: str
    reason: str
    message: str


class WayBack(NamedTuple):
    """How the archive calls this node: by which title, address and port; and when it did so last."""

    ae_title: str
    address: str
    port: int
    called_at: datetime | None


class FiledStudy(NamedTuple):
    """A study in an archive: its identifier, whose it is, when it was made, and of which kinds it is."""

    uid: str
    patient: Patient
    date: str
    description: str
    modalities: str


class Receipt(NamedTuple):
    """What became of a picture that was sent.

    `failure` is the DICOM status of a refusal, 0 where the picture was taken. The identifiers are empty
    where it did not tell them.
    """

    sop_class_uid: str
    sop_uid: str
    failure: int = 0
    message: str = ""


class Arrivals(Protocol):
    """What the page needs of a DICOM node."""

    @property
    def has_archive(self) -> bool:
        """Whether an archive gets the answers."""

    @property
    def has_library(self) -> bool:
        """Whether studies can be brought in from an archive."""

    @property
    def takes_web(self) -> bool:
        """Whether pictures are taken by STOW-RS."""

    def studies(self) -> Sequence[ArrivedStudy]:
        """Return the studies that are held, the most suspicious first."""

    def incidents(self) -> Sequence[Incident]:
        """Return what went wrong of late, the newest first."""

    def answer_files(self, study_id: str) -> Sequence[tuple[str, bytes]]:
        """Return the answers to a study as DICOM files with their names.

        Raises:
            ResultExpired: the study is held no longer, or none of its pictures was judged.
        """

    def archive_state(self) -> ArchiveState | None:
        """Ask the archive whether it answers; None where none is named."""

    def way_back(self) -> WayBack | None:
        """Tell how the archive calls this node; None where it cannot."""

    def find(self, words: str) -> Sequence[FiledStudy]:
        """Look for a patient's studies in the archive.

        Args:
            words: The patient's number, or the beginning of the name.

        Raises:
            PeerError: the archive does not answer as it should.
        """

    def bring_in(self, study_uid: str) -> None:
        """Let a study be brought in from the archive; it comes by and by.

        Raises:
            RequestRefused: this is no identifier of a study.
        """

    def take(self, files: Iterable[bytes], address: str, study_uid: str | None) -> Sequence[Receipt]:
        """Take pictures that came by STOW-RS.

        Args:
            files: DICOM files.
            address: The network address that they came from.
            study_uid: The study that they must belong to; None: any.

        Returns:
            What became of each.

        Raises:
            RequestRefused: nobody there may send.
            NoRoom: too many pictures wait already; those before it were taken.
        """
