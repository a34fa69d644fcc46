"""Senders that fall silent, and those that only wait: who is cut off, and after which time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import DigitalXRayImageStorageForPresentation

from edge_app.arrivals import Source
from edge_app.dicom_node.provider import Provider
from edge_app.node_settings import NodeSettings, Peer
from tests.edge_app.dicom_node.conftest import wait_for, xray
from tests.edge_app.web.test_server import free_port

pytestmark = [  # the library leaves the sockets of callers to the garbage collector
    pytest.mark.usefixtures("collected"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SILENCE_S = 2.0
SOURCE = Source("SENDER", "127.0.0.1")
STORED = 0x0000


class Listener:
    """A provider whose pictures go to a function, and what it noted."""

    def __init__(self, store: Callable[[], None]) -> None:
        self.port = free_port()
        self.notes: list[tuple[str, str]] = []
        self.stored = 0
        self._store = store
        settings = NodeSettings(port=self.port, allowed=(Peer(*SOURCE),))
        self.provider = Provider(
            settings, self.port, frozenset({SOURCE}), 2**20, self._take, self._note, SILENCE_S
        )

    def _take(self, *_picture: object) -> None:
        self._store()
        self.stored += 1

    def _note(self, code: str, _source: Source, message: str) -> None:
        self.notes.append((code, message))


@contextmanager
def listening(store: Callable[[], None] = lambda: None) -> Iterator[Listener]:
    listener = Listener(store)
    try:
        yield listener
    finally:
        listener.provider.close()


@contextmanager
def association(port: int) -> Iterator[Association]:
    sender = AE("SENDER")
    sender.add_requested_context(DigitalXRayImageStorageForPresentation)
    opened = sender.associate("127.0.0.1", port, ae_title="FRACTURE_EDGE")
    assert opened.is_established
    try:
        yield opened
    finally:
        opened.abort()


def test_time_that_an_answer_takes_is_no_silence() -> None:
    picture = dcmread(BytesIO(xray(1)))
    with listening(lambda: time.sleep(1.5 * SILENCE_S)) as node, association(node.port) as sender:
        assert [sender.send_c_store(picture).Status for _ in range(3)] == [STORED] * 3
        assert node.stored == 3


def test_sender_that_stops_within_its_first_words_is_hung_up_on() -> None:
    with listening() as node, socket.create_connection(("127.0.0.1", node.port), timeout=60) as sender:
        sender.sendall(b"\x01\x00\x00")
        assert sender.recv(1) == b""


def test_sender_that_stops_within_a_fragment_is_hung_up_on() -> None:
    with listening() as node, association(node.port) as sender:
        connection = sender.dul.socket.socket
        connection.sendall(b"\x04\x00\x00\x00\x10\x00" + b"cut off")
        wait_for(lambda: not sender.is_established, 20)


def test_sender_that_does_not_wait_for_answers_is_cut_off() -> None:
    data = xray(1)
    with listening(lambda: time.sleep(0.5)) as node, association(node.port) as sender:
        for number in range(1, 20):
            request = C_STORE()
            request.MessageID, request.Priority = number, 2
            request.AffectedSOPClassUID = DigitalXRayImageStorageForPresentation
            request.AffectedSOPInstanceUID = f"1.2.3.{number}"
            request.DataSet = BytesIO(data)
            sender.dimse.send_msg(request, sender.accepted_contexts[0].context_id)
        wait_for(lambda: not sender.is_established, 20)
        assert node.notes == [("broken_off", "It sends more without waiting for the answers.")]
        assert node.stored < 19
