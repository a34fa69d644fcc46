"""Other nodes that this one calls: is it there, does it know us, does it take the answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from edge_app.dicom_node.provider import quieten
from edge_app.errors import PeerError
from edge_app.node_settings import Peer

ANSWER_CLASSES = (
    SecondaryCaptureImageStorage,
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
)
ANSWER_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
TIMEOUT_S = 20
_REJECTED = {(1, 3): "unknown_calling", (1, 7): "unknown_called"}  # source and reason: PS3.8, table 9-21
REASONS = {
    "unreachable": (
        "Nothing answers at {peer.host}, port {peer.port}. Check that the archive runs, its address and "
        "port, and the firewalls between."
    ),
    "unknown_calling": (
        "The archive does not know the AE title {own}: add it there, with this computer's address."
    ),
    "unknown_called": (
        "The archive is not called {peer.ae_title}: look up its own AE title, and give that one."
    ),
    "rejected": "The archive turned the connection away: {detail}. Try again later, or ask who runs it.",
    "aborted": "The archive broke the connection off. Its log says why.",
    "kind_refused": "The archive does not take {detail}. Switch it on there, or leave it out of --answers.",
    "status": "The archive answered with status 0x{detail}. Its log says why.",
}


class DicomArchive(NamedTuple):
    """Calls another node under this node's AE title."""

    own_title: str
    peer: Peer

    def __str__(self) -> str:
        return str(self.peer)

    def check(self) -> None:
        """Ask it whether it is there and knows this one: C-ECHO.

        Raises:
            PeerError: it does not answer as it should; the message says why and what to do.
        """
        with _association(self.own_title, self.peer, [Verification]) as association:
            _check_status(association.send_c_echo(), self.own_title, self.peer)

    def send(self, objects: Iterable[Dataset]) -> Iterator[str]:
        """Send objects in one association: C-STORE.

        Args:
            objects: What to send; each is made when its turn comes.

        Yields:
            The SOP Instance UID of each that was taken.

        Raises:
            PeerError: it does not answer or refuses; the message says why and what to do.
        """
        with _association(self.own_title, self.peer, ANSWER_CLASSES) as association:
            accepted = {
                context.abstract_syntax: context.transfer_syntax[0]
                for context in association.accepted_contexts
            }
            for dataset in objects:
                syntax = accepted.get(dataset.SOPClassUID)
                if syntax is None:
                    kind = UID(dataset.SOPClassUID).name
                    raise peer_error("kind_refused", self.own_title, self.peer, kind)
                dataset.file_meta.TransferSyntaxUID = syntax
                _check_status(association.send_c_store(dataset), self.own_title, self.peer)
                yield dataset.SOPInstanceUID


def peer_error(reason: str, own_title: str, peer: Peer, detail: str = "") -> PeerError:
    """Make the error about another node.

    Args:
        reason: One of `REASONS`.
        own_title: This node's AE title.
        peer: The other.
        detail: What the sentence says besides.
    """
    return PeerError(REASONS[reason].format(own=own_title, peer=peer, detail=detail), reason)


@contextmanager
def _association(own_title: str, peer: Peer, classes: Iterable[UID]) -> Iterator[Association]:
    quieten()
    caller = AE(ae_title=own_title)
    caller.acse_timeout = caller.dimse_timeout = caller.network_timeout = TIMEOUT_S
    caller.connection_timeout = TIMEOUT_S
    for sop_class in classes:
        caller.add_requested_context(sop_class, list(ANSWER_SYNTAXES))
    association = caller.associate(peer.host, peer.port, ae_title=peer.ae_title)
    _check_established(association, own_title, peer)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _check_established(association: Association, own_title: str, peer: Peer) -> None:
    if association.is_established:
        return
    answer: Any = association.acceptor.primitive
    if association.is_rejected:
        reason = _REJECTED.get((answer.result_source, answer.diagnostic), "rejected")
        raise peer_error(reason, own_title, peer, str(answer.reason_str))
    raise peer_error("unreachable" if answer is None else "aborted", own_title, peer)


def _check_status(answer: Dataset, own_title: str, peer: Peer) -> None:
    """Let success and warnings pass. Source: DICOM PS3.7, annex C."""
    status = answer.get("Status")
    if status is None:
        raise peer_error("aborted", own_title, peer)
    if status != 0 and status >> 12 != 0xB and status not in (0x0001, 0x0107, 0x0116):
        raise peer_error("status", own_title, peer, f"{status:04X}")
