"""Pictures come in as dcmtk sends them."""

from __future__ import annotations

import socket
import subprocess
import threading
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, GrayscaleSoftcopyPresentationStateStorage
from pynetdicom import AE, build_context
from pynetdicom.sop_class import DigitalXRayImageStorageForPresentation

from edge_app.dicom_node.messages import bound_messages
from edge_app.dicom_node.node import Node
from edge_app.dicom_node.provider import STRANGERS
from edge_app.node_settings import Peer
from edge_app.predictor import FRACTURE, NORMAL, Predictor
from edge_app.settings import Settings
from tests.conftest import require
from tests.dicom_files import as_jpeg_2000, xray_dataset
from tests.edge_app.dicom_node.conftest import (
    BLACK,
    WHITE,
    running_node,
    send,
    wait_for,
    whole_study,
    xray,
)

pytestmark = [  # the library leaves the sockets of callers to the garbage collector
    pytest.mark.usefixtures("collected"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_echo_is_answered(node: Node) -> None:
    words = ["-aet", "STORESCU", "-aec", "FRACTURE_EDGE", "127.0.0.1", str(node.settings.port)]
    assert subprocess.run([require("echoscu", "dcmtk"), *words]).returncode == 0


def test_node_that_only_asks_leaves_no_trace(node: Node, tmp_path: Path) -> None:
    test_echo_is_answered(node)
    send(node, tmp_path, xray(1))
    whole_study(node)
    assert node.incidents() == []


def test_views_of_a_study_are_judged_each_and_together(node: Node, tmp_path: Path) -> None:
    assert send(node, tmp_path, xray(1, WHITE), xray(2, BLACK)).returncode == 0
    study = whole_study(node, 2)
    white, black = (view.answer.probability for view in study.views)
    assert (white, black) == (pytest.approx(0.982014, abs=1e-6), pytest.approx(0.119203, abs=1e-6))
    assert study.answer.probability == pytest.approx((white + black) / 2)
    assert study.source == ("STORESCU", "127.0.0.1")
    assert node.incidents() == []


def test_late_picture_opens_its_study_again(node: Node, tmp_path: Path) -> None:
    send(node, tmp_path, xray(1, BLACK))
    assert whole_study(node).answer.prediction == NORMAL
    send(node, tmp_path, xray(2, WHITE))
    study = whole_study(node, 2)
    assert (study.version, study.answer.prediction) == (2, FRACTURE)


def test_most_suspicious_study_comes_first(node: Node, tmp_path: Path) -> None:
    send(node, tmp_path, xray(1, BLACK, StudyInstanceUID="1.2.3.1"))
    send(node, tmp_path, xray(2, WHITE, StudyInstanceUID="1.2.3.2"))
    wait_for(lambda: all(study.is_whole for study in node.studies()) and len(node.studies()) == 2)
    assert [study.answer.prediction for study in node.studies()] == [FRACTURE, NORMAL]


def test_same_bytes_again_are_taken_and_judged_once(node: Node, tmp_path: Path) -> None:
    for _ in range(2):
        assert send(node, tmp_path, xray(1)).returncode == 0
    assert len(whole_study(node).views) == 1
    assert whole_study(node).version == 1
    assert node.incidents() == []


def test_other_bytes_under_one_identifier_are_refused(node: Node, tmp_path: Path) -> None:
    send(node, tmp_path, xray(1, WHITE))
    answer = send(node, tmp_path, xray(1, BLACK))
    assert "0x111" in answer.stderr  # Duplicate SOP Instance
    assert [incident.code for incident in node.incidents()] == ["duplicate_instance"]
    assert whole_study(node).answer.prediction == FRACTURE


def test_another_patient_within_a_study_is_refused(node: Node, tmp_path: Path) -> None:
    answer = send(node, tmp_path, xray(1, PatientID="one"), xray(2, PatientID="other"))
    assert "CannotUnderstand" in answer.stderr
    assert [incident.code for incident in node.incidents()] == ["other_patient"]
    assert len(whole_study(node).views) == 1


def test_wrong_modality_is_refused_as_not_fitting_its_class(node: Node, tmp_path: Path) -> None:
    answer = send(node, tmp_path, xray(1, Modality="CT"))
    assert "DataSetDoesNotMatchSOPClass" in answer.stderr
    assert [incident.code for incident in node.incidents()] == ["not_an_xray"]
    assert node.studies() == []


def test_broken_pixels_are_told_and_stop_no_other(node: Node, tmp_path: Path) -> None:
    dataset = xray_dataset(WHITE, SOPInstanceUID="1.2.3.4.5")
    compressed = as_jpeg_2000(dataset, WHITE, 0)
    middle = compressed.rindex(b"\xff\x93")  # start of data
    broken = compressed[:middle] + bytes(len(compressed) - middle - 8) + compressed[-8:]
    send_as(node, broken, dataset, "1.2.840.10008.1.2.4.90")
    send(node, tmp_path, xray(2))
    study = whole_study(node, 2)
    assert study.views[0].refusal.code == "invalid_image"
    assert study.views[1].answer.prediction == FRACTURE
    assert study.answer.probability == study.views[1].answer.probability


def send_as(node: Node, data: bytes, dataset: Dataset, syntax: str) -> int:
    """Send the data set of a file, whatever it holds, and return the status."""
    sender = AE("STORESCU")
    sender.add_requested_context(dataset.SOPClassUID, syntax)
    association = sender.associate("127.0.0.1", node.settings.port, ae_title="FRACTURE_EDGE")
    assert association.is_established
    try:
        return association.send_c_store(dcmread(BytesIO(data), force=True)).Status
    finally:
        association.release()


@pytest.mark.parametrize(
    ("title", "called", "code", "reason"),
    [
        ("STRANGER", "FRACTURE_EDGE", "unknown_sender", "Calling AE Title Not Recognized"),
        ("STORESCU", "OTHER", "unknown_called", "Called AE Title Not Recognized"),
    ],
)
def test_stranger_is_rejected_with_the_reason(
    node: Node, tmp_path: Path, title: str, called: str, code: str, reason: str
) -> None:
    answer = send(node, tmp_path, xray(1), title=title, called=called)
    assert reason in answer.stderr
    assert [incident.code for incident in node.incidents()] == [code]
    assert node.studies() == []


@pytest.mark.parametrize(
    ("title", "shown"), [("STRANGER", "STRANGER"), ("$(reboot)", "AE"), ("x;reboot", "AE"), ("a&b", "AE")]
)
def test_stranger_s_title_is_no_command_for_who_reads_it(
    node: Node, tmp_path: Path, title: str, shown: str
) -> None:
    send(node, tmp_path, xray(1), title=title)
    assert [incident.message for incident in node.incidents()] == [
        f"It may not send: start Fracture Edge with --allow {shown}@127.0.0.1."
    ]


def test_known_title_at_another_address_is_a_stranger(toy_predictor: Predictor, tmp_path: Path) -> None:
    allowed = (Peer("STORESCU", "192.0.2.7"), Peer("OTHER", "127.0.0.1"))
    with running_node(toy_predictor, allowed=allowed) as node:
        assert send(node, tmp_path, xray(1)).returncode != 0
        assert [incident.code for incident in node.incidents()] == ["unknown_sender"]


def test_oversized_picture_is_cut_off_while_it_comes(toy_predictor: Predictor, tmp_path: Path) -> None:
    with running_node(toy_predictor, Settings(max_upload_bytes=100_000)) as node:
        large = xray(1, np.zeros((2000, 2000), np.uint8))
        assert send(node, tmp_path, large).returncode != 0
        assert [incident.code for incident in node.incidents()] == ["oversized"]
        assert send(node, tmp_path, xray(2)).returncode == 0
        assert len(whole_study(node).views) == 1


def test_sender_that_goes_away_within_a_picture_is_told(node: Node) -> None:
    sender = AE("STORESCU")
    sender.requested_contexts = [build_context(DigitalXRayImageStorageForPresentation)]
    association = sender.associate("127.0.0.1", node.settings.port, ae_title="FRACTURE_EDGE")
    raw = association.dul.socket.socket
    fragment = b"\x01\x00" + bytes(1000)  # context 1, data set, more to come
    body = len(fragment).to_bytes(4, "big") + fragment
    raw.sendall(b"\x04\x00" + len(body).to_bytes(4, "big") + body)
    raw.shutdown(socket.SHUT_RDWR)
    association.abort()
    wait_for(lambda: [each.code for each in node.incidents()] == ["broken_off"])


def test_flood_of_associations_is_rejected_and_ends(toy_predictor: Predictor, tmp_path: Path) -> None:
    sender = AE("STORESCU")
    sender.requested_contexts = [build_context(DigitalXRayImageStorageForPresentation)]
    with running_node(toy_predictor, max_associations=2) as node:
        place = ("127.0.0.1", node.settings.port)
        associations = [sender.associate(*place, ae_title="FRACTURE_EDGE") for _ in range(3)]
        assert [each.is_established for each in associations] == [True, True, False]
        assert [each.code for each in node.incidents()] == ["too_many_associations"]
        for association in associations[:2]:
            association.release()
        wait_for(lambda: send(node, tmp_path, xray(1)).returncode == 0)


def test_message_that_announces_more_than_any_has_is_not_read(node: Node) -> None:
    with socket.create_connection(("127.0.0.1", node.settings.port), timeout=60) as stranger:
        stranger.sendall(b"\x01\x00" + (2**32 - 1).to_bytes(4, "big"))
        wait_for(lambda: [each.code for each in node.incidents()] == ["oversized"])
        with suppress(ConnectionError):
            assert stranger.recv(1) == b""


class Transport:
    """What the library keeps of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection


def test_message_that_comes_a_byte_now_and_then_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    association = SimpleNamespace(dul=SimpleNamespace(socket=Transport(ours)))
    bound_messages(association, limit_s=0.2, tell=lambda: None)
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.05):
            theirs.send(b"x")

    with ours, theirs:
        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            with pytest.raises(TimeoutError):
                association.dul.socket.recv(10_000)
        finally:
            stop.set()
            dripping.join()
        assert ours.fileno() == -1  # closed


def test_strangers_take_no_place_of_those_that_may_send(toy_predictor: Predictor) -> None:
    """All of 127.x is this computer, so 127.0.0.2 can be the sender and 127.0.0.1 a stranger."""
    allowed = (Peer("STORESCU", "127.0.0.2"),)
    with running_node(toy_predictor, allowed=allowed, max_associations=2) as node, ExitStack() as opened:
        place = ("127.0.0.1", node.settings.port)
        for _ in range(STRANGERS + 6):
            opened.enter_context(socket.create_connection(place, timeout=60))
        sender = AE("STORESCU")
        sender.requested_contexts = [build_context(DigitalXRayImageStorageForPresentation)]
        association = sender.associate(*place, ae_title="FRACTURE_EDGE", bind_address=("127.0.0.2", 0))
        assert association.is_established
        association.release()


def test_other_kinds_of_objects_are_not_negotiated(node: Node) -> None:
    sender = AE("STORESCU")
    kinds = [GrayscaleSoftcopyPresentationStateStorage, DigitalXRayImageStorageForPresentation]
    sender.requested_contexts = [build_context(kind, ExplicitVRLittleEndian) for kind in kinds]
    association = sender.associate("127.0.0.1", node.settings.port, ae_title="FRACTURE_EDGE")
    accepted = [context.abstract_syntax for context in association.accepted_contexts]
    association.release()
    assert accepted == [DigitalXRayImageStorageForPresentation]
