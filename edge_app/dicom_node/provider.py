"""The node that others call: who is let in, and what a picture that comes is answered with."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from socketserver import TCPServer
from types import SimpleNamespace
from typing import Any, cast

from pydicom.dataset import Dataset
from pynetdicom import AE, _config, evt, timer
from pynetdicom.transport import ThreadedAssociationServer

from edge_app.arrivals import Source
from edge_app.dicom_node.accepted import accepted_contexts
from edge_app.dicom_node.addresses import plain_address
from edge_app.dicom_node.messages import MAX_MESSAGE_BYTES, bound_messages
from edge_app.dicom_node.statuses import status_of
from edge_app.dicom_node.tls import caller_fault, receiving_context
from edge_app.errors import EdgeError, SettingsError
from edge_app.node_settings import NodeSettings

SILENCE_S = 60
HANDSHAKE_S = 10.0
HANDSHAKES = 24  # at once
STRANGERS = 4  # at once, with addresses that are not on the list; they are told why they may not send
ACCEPTED = 0x0000
# Source: DICOM PS3.8, section 9.3.4: result, source and reason of a rejected association.
_UNKNOWN_CALLED, _UNKNOWN_CALLING, _LIMIT_EXCEEDED = (1, 1, 7), (1, 1, 3), (2, 3, 2)
_NO_LIMIT = 1_000_000
_COMMENT_LETTERS = 64  # of Error Comment (0000,0902)
_UNANSWERED = 1  # request that waits behind another; a sender that keeps to the standard has none
_LAST_FRAGMENT = 0b10  # of a command or a data set, in a fragment's first byte; PS3.8, annex E.2

# A stranger's title that a person may type as part of a command; others could hold one of their own.
_TYPABLE = re.compile(r"[\w.-]+", re.ASCII)

Store = Callable[[str, str, bytes, Source], None]
Note = Callable[[str, Source, str], None]


def quieten() -> None:
    """Keep the network library from writing what it receives to the log or a disk, and from the wall clock.

    What it receives names patients. Its time-outs ask the wall clock, which people and time servers set.
    """
    _config.LOG_HANDLER_LEVEL = "none"
    _config.STORE_RECV_CHUNKED_DATASET = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    timer.time = SimpleNamespace(time=time.monotonic)  # type: ignore[assignment, attr-defined]


class Provider:
    """Answers C-ECHO and C-STORE.

    Args:
        settings: The title and the number of associations.
        port: Where it listens.
        allowed: Who may call.
        max_bytes: Of one picture.
        store: Takes the SOP class and instance UIDs that a picture was announced with, its bytes and its
            sender; raises an error to refuse it.
        note: Takes a code, a sender and a sentence about what went wrong.
        silence_s: After how long without a word from a sender its association is ended.

    Raises:
        SettingsError: the port or a file of its TLS cannot be used.
    """

    def __init__(
        self,
        settings: NodeSettings,
        port: int,
        allowed: frozenset[Source],
        max_bytes: int,
        store: Store,
        note: Note,
        silence_s: float = SILENCE_S,
    ) -> None:
        quieten()
        self._settings = settings
        self._max_bytes = max_bytes
        self._store = store
        self._note = note
        self._silence_s = silence_s
        self._called_at: dict[str, datetime] = {}
        self._allowed = allowed
        tls = settings.receiving_tls
        self._server = self._listen(port, None if tls is None else receiving_context(tls))
        self._server.note = note
        self._server.addresses = frozenset(source.address for source in allowed)
        self._server.hangs_up_at = _hang_up_at(settings)
        threading.Thread(target=self._server.serve_forever, name="dicom", daemon=True).start()

    def called_at(self, ae_title: str) -> datetime | None:
        """Tell when a node last called that may; None where it has not."""
        return self._called_at.get(ae_title)

    def close(self) -> None:
        """Stop listening, and end what is open."""
        for association in self._server.active_associations:
            if association.is_established:
                association.abort()
            else:
                _hang_up(association)
        self._server.shutdown()

    def _listen(self, port: int, context: ssl.SSLContext | None) -> _Server:
        node = AE(ae_title=self._settings.ae_title)
        # Out of reach: this module has limits of its own, and tells who was refused.
        node.maximum_associations = _NO_LIMIT
        node.acse_timeout = node.dimse_timeout = node.network_timeout = self._silence_s
        handlers = [
            (evt.EVT_CONN_OPEN, self._bound),
            (evt.EVT_REQUESTED, self._admit),
            (evt.EVT_PDU_RECV, self._measure),
            (evt.EVT_CONN_CLOSE, self._part),
            (evt.EVT_C_ECHO, lambda _event: ACCEPTED),
            (evt.EVT_C_STORE, self._receive),
        ]
        try:
            server: Any = node.make_server(
                (_listening_address(self._allowed), port),
                contexts=accepted_contexts(),
                ssl_context=context,
                evt_handlers=handlers,  # type: ignore[arg-type]
                server_class=_Server,
            )
            return cast(_Server, server)
        except OSError as error:
            raise SettingsError(
                f"--dicom {port}: the port cannot be used: {error.strerror}. Choose another."
            ) from error

    def _bound(self, event: Any) -> None:
        def tell() -> None:
            self._note("oversized", _source(event), f"A message has more than {MAX_MESSAGE_BYTES} bytes.")

        bound_messages(event.assoc, self._silence_s, tell)

    def _admit(self, event: Any) -> None:
        """Reject an association that is not for this node, or not from one that may call."""
        association, source = event.assoc, _source(event)
        called = association.requestor.primitive.called_ae_title
        if called != self._settings.ae_title:
            reason, code = _UNKNOWN_CALLED, "unknown_called"
            message = f"It calls this node {called}, but this node's AE title is {self._settings.ae_title}."
        elif source not in self._allowed:
            reason, code = _UNKNOWN_CALLING, "unknown_sender"
            title = source.ae_title if _TYPABLE.fullmatch(source.ae_title) else "AE"
            message = f"It may not send: start Fracture Edge with --allow {title}@{source.address}."
        elif self._server.known_associations > self._settings.max_associations:
            reason, code = _LIMIT_EXCEEDED, "too_many_associations"
            message = f"More than {self._settings.max_associations} connections are open at once."
        else:
            association.untrusted_bytes = 0
            self._called_at[source.ae_title] = datetime.now().astimezone()
            return
        self._note(code, source, message)
        association.acse.send_reject(*reason)
        association.kill()

    def _measure(self, event: Any) -> None:
        """Cut an association off that sends more than a picture may have, or does not wait for answers."""
        if event.assoc.dimse.msg_queue.qsize() > _UNANSWERED and not event.assoc.is_aborted:
            self._note("broken_off", _source(event), "It sends more without waiting for the answers.")
            event.assoc.abort()
        fragments = getattr(event.pdu, "presentation_data_value_items", ())
        for fragment in fragments:
            content = fragment.presentation_data_value
            is_last = content[0] & _LAST_FRAGMENT
            sent_bytes = getattr(event.assoc, "untrusted_bytes", 0) + len(content)
            event.assoc.untrusted_bytes = 0 if is_last else sent_bytes
            if sent_bytes > self._max_bytes and not event.assoc.is_aborted:
                event.assoc.untrusted_bytes = 0
                self._note("oversized", _source(event), f"A picture has more than {self._max_bytes} bytes.")
                event.assoc.abort()

    def _part(self, event: Any) -> None:
        """Tell of a sender that went away in the middle of a picture."""
        if getattr(event.assoc, "untrusted_bytes", 0):
            event.assoc.untrusted_bytes = 0
            self._note("broken_off", _source(event), "The connection broke off in the middle of a picture.")

    def _receive(self, event: Any) -> int | Dataset:
        request, source = event.request, _source(event)
        try:
            data = event.encoded_dataset()
            request.DataSet = None  # so that the picture is held once
            self._store(str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID), data, source)
        except EdgeError as error:
            self._note(error.code, source, str(error))
            return _refusal(error)
        finally:
            # the time that the answer took is no silence of the sender's
            event.assoc.dul._idle_timer.restart()
        return ACCEPTED


def _refusal(error: EdgeError) -> Dataset:
    answer = Dataset()
    answer.Status = status_of(error)
    answer.ErrorComment = str(error)[:_COMMENT_LETTERS]
    return answer


class _Server(ThreadedAssociationServer):
    """Takes connections, and hangs up at once on more than any number of senders would make."""

    daemon_threads = True
    request_queue_size = 64
    note: Note
    addresses: frozenset[str]
    hangs_up_at: int

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._handshakes = threading.BoundedSemaphore(HANDSHAKES)
        self._strangers_handshakes = threading.BoundedSemaphore(STRANGERS)

    def verify_request(self, _request: Any, address: Any) -> bool:
        """Let strangers take no place of those that may send."""
        if self._is_known(address[0]):
            return self.known_associations < self.hangs_up_at
        return len(self.active_associations) - self.known_associations < STRANGERS

    @property
    def known_associations(self) -> int:
        """How many are open from addresses on the list."""
        return sum(self._is_known(each.requestor.address) for each in self.active_associations)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Take a connection without its handshake: the library's own would let all others wait for it."""
        connection, address = TCPServer.get_request(self)
        connection.settimeout(self.ae.network_timeout)
        return connection, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Begin an association, in a thread of its own."""
        if self.ssl_context is not None:
            request = self._secured(request, client_address, self.ssl_context)
        super().finish_request(request, client_address)

    def _secured(self, connection: socket.socket, address: Any, context: ssl.SSLContext) -> ssl.SSLSocket:
        handshakes = self._handshakes if self._is_known(address[0]) else self._strangers_handshakes
        if not handshakes.acquire(blocking=False):
            raise ConnectionAbortedError
        try:
            connection.settimeout(HANDSHAKE_S)
            secured = context.wrap_socket(connection, server_side=True)
            secured.settimeout(self.ae.network_timeout)
            return secured
        except OSError as error:  # ssl's errors are OSErrors
            self.note("tls", Source("", plain_address(address[0])), caller_fault(error))
            raise
        finally:
            handshakes.release()

    def _is_known(self, address: str) -> bool:
        return plain_address(address) in self.addresses

    def shutdown(self) -> None:
        TCPServer.shutdown(self)  # the library's own takes the server out of a list in which this is not
        self.server_close()

    def handle_error(self, _request: Any, _address: Any) -> None:
        """Keep quiet: a traceback would show what was received."""


def _hang_up_at(settings: NodeSettings) -> int:
    """Return at how many connections no further one is even asked who it is."""
    return 2 * settings.max_associations + 1


def _hang_up(association: Any) -> None:
    """Close a connection on which no association stands yet; the library aborts none but others."""
    with suppress(OSError, AttributeError):  # it may be gone meanwhile
        association.dul.socket.socket.shutdown(socket.SHUT_RDWR)


def _source(event: Any) -> Source:
    requestor = event.assoc.requestor
    title = requestor.ae_title or getattr(requestor.primitive, "calling_ae_title", "")
    return Source(str(title).strip(), plain_address(requestor.address))


def _listening_address(allowed: frozenset[Source]) -> str:
    """Return this computer's own address where only programs on it may send."""
    is_near = all(each.address.startswith("127.") or each.address == "::1" for each in allowed)
    if is_near:
        return "127.0.0.1"
    return "0.0.0.0"  # noqa: S104 # nosec B104 # the list names other computers
