"""Other nodes that this one calls: is it there, does it know us, does it take the answers."""

from __future__ import annotations

import ssl
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
from edge_app.dicom_node.tls import archive_fault
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
    "tls_wanted": "The archive asks for TLS: name what signed its certificate with --dicom-authority.",
    "no_tls": (
        "The archive speaks no TLS 1.2 or newer on port {peer.port}: switch that on there, or give another "
        "port."
    ),
    "certificate": (
        "The archive's certificate is not trusted. Name the one that signed it with --dicom-authority."
    ),
    "certificate_date": (
        "The archive's certificate has expired or is not valid yet: renew it, or set the clocks right."
    ),
    "certificate_name": (
        "The archive's certificate is not for {peer.host}: call it by a name in it, or have one made that "
        "names {peer.host}."
    ),
    "own_certificate": (
        "The archive does not accept this computer's certificate: give --dicom-certificate, and let the "
        "archive trust what signed it."
    ),
}


class DicomArchive(NamedTuple):
    """Calls another node under this node's AE title; with `context`, through TLS."""

    own_title: str
    peer: Peer
    context: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return str(self.peer)

    def check(self) -> None:
        """Ask it whether it is there and knows this one: C-ECHO.

        Raises:
            PeerError: it does not answer as it should; the message says why and what to do.
        """
        with self._association([Verification]) as association:
            self._check_status(association.send_c_echo())

    def send(self, objects: Iterable[Dataset]) -> Iterator[str]:
        """Send objects in one association: C-STORE.

        Args:
            objects: What to send; each is made when its turn comes.

        Yields:
            The SOP Instance UID of each that was taken.

        Raises:
            PeerError: it does not answer or refuses; the message says why and what to do.
        """
        with self._association(ANSWER_CLASSES) as association:
            accepted = {
                context.abstract_syntax: context.transfer_syntax[0]
                for context in association.accepted_contexts
            }
            for dataset in objects:
                syntax = accepted.get(dataset.SOPClassUID)
                if syntax is None:
                    raise self._error("kind_refused", UID(dataset.SOPClassUID).name)
                dataset.file_meta.TransferSyntaxUID = syntax
                self._check_status(association.send_c_store(dataset))
                yield dataset.SOPInstanceUID

    @contextmanager
    def _association(self, classes: Iterable[UID]) -> Iterator[Association]:
        quieten()
        caller = AE(ae_title=self.own_title)
        caller.acse_timeout = caller.dimse_timeout = caller.network_timeout = TIMEOUT_S
        caller.connection_timeout = TIMEOUT_S
        for sop_class in classes:
            caller.add_requested_context(sop_class, list(ANSWER_SYNTAXES))
        host, port = self.peer.host, self.peer.port
        tls_args = None if self.context is None else (self.context, host)
        association = caller.associate(host, port, ae_title=self.peer.ae_title, tls_args=tls_args)
        self._check_established(association)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _check_established(self, association: Association) -> None:
        if association.is_established:
            return
        answer: Any = association.acceptor.primitive
        if association.is_rejected:
            reason = _REJECTED.get((answer.result_source, answer.diagnostic), "rejected")
            raise self._error(reason, str(answer.reason_str))
        fault = archive_fault(self.peer.host, self.peer.port, self.context)
        raise self._error(fault or ("unreachable" if answer is None else "aborted"))

    def _check_status(self, answer: Dataset) -> None:
        """Let success and warnings pass. Source: DICOM PS3.7, annex C."""
        status = answer.get("Status")
        if status is None:
            raise self._error("aborted")
        if status != 0 and status >> 12 != 0xB and status not in (0x0001, 0x0107, 0x0116):
            raise self._error("status", f"{status:04X}")

    def _error(self, reason: str, detail: str = "") -> PeerError:
        return PeerError(REASONS[reason].format(own=self.own_title, peer=self.peer, detail=detail), reason)
