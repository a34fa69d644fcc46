"""Pictures that come in, whichever way: looked at from outside, held by study, let wait to be judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_app.arrivals import Receipt, Source
from edge_app.dicom_node.addresses import plain_address
from edge_app.dicom_node.held_studies import Studies
from edge_app.dicom_node.statuses import status_of
from edge_app.dicom_node.waiting import PATIENCE_S, Received, WaitingRoom
from edge_app.errors import EdgeError, MislabelledInstance, NoRoom, RequestRefused
from edge_app.imaging.dicom.envelope import Envelope, read_envelope

STOW = "STOW-RS"  # stands for an AE title, which senders by HTTP have none of


class Intake:
    """Takes pictures or refuses them.

    Args:
        studies: Where they are held.
        room: Where they wait.
        max_pixels: The largest rows times columns that is decoded.
        allowed: Who may send.
    """

    def __init__(
        self, studies: Studies, room: WaitingRoom, max_pixels: int, allowed: Iterable[Source]
    ) -> None:
        self._studies = studies
        self._room = room
        self._max_pixels = max_pixels
        self._addresses = {source.address for source in allowed}
        self.note = studies.note

    def store(self, sop_class_uid: str, sop_uid: str, data: bytes, source: Source) -> None:
        """Take a picture that came by C-STORE.

        Args:
            sop_class_uid: The SOP class that it was announced with.
            sop_uid: The SOP instance that it was announced with.
            data: Its bytes.
            source: Who sent it.

        Raises:
            EdgeError: it is refused.
        """
        envelope = self._open(data)
        _require(
            (envelope.sop_class_uid, envelope.sop_uid) == (sop_class_uid, sop_uid),
            "SOP Class or Instance UID",
        )
        self._hold(envelope, data, source, PATIENCE_S)

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
        source = Source(STOW, plain_address(address))
        if source.address not in self._addresses:
            message = f"It may not send: start Fracture Edge with --allow AE@{source.address}."
            self.note("unknown_sender", source, message)
            raise RequestRefused(message)
        return [self._receipt(data, source, study_uid) for data in files]

    def bring(self, data: bytes, source: Source, patience_s: float) -> None:
        """Take a picture that was fetched.

        Args:
            data: Its bytes.
            source: Where it was fetched.
            patience_s: How long it may wait for room.

        Raises:
            EdgeError: it is refused.
        """
        self._hold(self._open(data), data, source, patience_s)

    def _receipt(self, data: bytes, source: Source, study_uid: str | None) -> Receipt:
        identifiers = "", ""
        try:
            envelope = self._open(data)
            identifiers = envelope.sop_class_uid, envelope.sop_uid
            _require(study_uid in (None, envelope.study_uid), "Study Instance UID")
            self._hold(envelope, data, source, patience_s=0.0)
        except NoRoom:
            raise
        except EdgeError as error:
            self.note(error.code, source, str(error))
            return Receipt(*identifiers, status_of(error), str(error))
        return Receipt(*identifiers)

    def _open(self, data: bytes) -> Envelope:
        return read_envelope(data, self._max_pixels)

    def _hold(self, envelope: Envelope, data: bytes, source: Source, patience_s: float) -> None:
        self._room.take_room(len(data), patience_s)
        study_id = None
        try:
            study_id = self._studies.add(envelope, data, source)
        finally:
            if study_id is None:
                self._room.give_room(len(data))
        if study_id is not None:
            self._room.add(source, Received(study_id, envelope.sop_uid, data))


def _require(is_as_announced: bool, what: str) -> None:
    if not is_as_announced:
        raise MislabelledInstance(
            f"The picture has another {what} than it was announced with. Export it again from the X-ray "
            "system."
        )
