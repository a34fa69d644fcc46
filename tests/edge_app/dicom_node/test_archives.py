"""A whole chain with real archives: Orthanc, and dcmtk's storescp."""

from __future__ import annotations

import io
import logging
import subprocess
import zipfile
from pathlib import Path

import highdicom
import pytest
from highdicom.sr import ValueTypeValues
from highdicom.sr.utils import find_content_items
from pydicom import dcmread

from edge_app.arrivals import ArrivedStudy, Delivery
from edge_app.dicom_node.__main__ import main
from edge_app.dicom_node.node import Node
from edge_app.dicom_node.peers import DicomArchive
from edge_app.errors import PeerError
from edge_app.node_settings import Peer
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from export.proof.drawn import draw_xray
from tests.conftest import require
from tests.edge_app.dicom_node.conftest import (
    is_sent,
    running_node,
    running_orthanc,
    send,
    three_views,
    wait_for,
    whole_study,
    xray,
)
from tests.edge_app.web.test_server import free_port
from tools.orthanc import Orthanc

# The library leaves the sockets of calls that failed to the garbage collector; a test collects them itself.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("collected"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ANSWER_KINDS = ["DOC", "OT", "PR", "SR"]


def test_study_goes_from_orthanc_to_the_node_and_its_answers_back(
    default_predictor: Predictor, tmp_path: Path
) -> None:
    node_port = free_port()
    with running_orthanc(tmp_path, node_port) as orthanc:
        allowed = (Peer("ORTHANC", "127.0.0.1"),)
        with running_node(
            default_predictor, port=node_port, allowed=allowed, archive=orthanc.peer, study_idle_s=2
        ) as node:
            study = orthanc.upload(three_views())
            orthanc.post("/modalities/fracture/echo", b"{}")
            orthanc.post("/modalities/fracture/store", study.encode())
            arrived = whole_study(node, 3)
            # On a slow computer the pause between two pictures lets a study count as whole before its last.
            wait_for(lambda: is_sent(node) and 3 in _views_told(orthanc, study, arrived))
            series = orthanc.series_of(study)
            del series["SR"]
            assert len(series.pop("DX")) == 3
            assert len(series.pop("OT")) == 3
            for each in series.pop("DOC"):
                assert (
                    dcmread(io.BytesIO(orthanc.content(f"/instances/{each}/file"))).EncapsulatedDocument[:5]
                    == b"%PDF-"
                )
            assert list(series) in ([], ["PR"])
            assert node.archive_state().reason == ""
            assert node.way_back()[:3] == ("FRACTURE_EDGE", "127.0.0.1", node_port)
            assert node.way_back().called_at is not None


def failed_delivery(node: Node) -> Delivery | None:
    """Return how far the answers to the only study are, once an attempt has failed."""
    delivery = node.studies()[0].delivery
    return delivery if delivery is not None and delivery.attempts else None


def _views_told(orthanc: Orthanc, study: str, arrived: ArrivedStudy) -> list[int]:
    """Return of how many views each structured report in the archive tells."""
    reports = orthanc.series_of(study).get("SR", [])
    return [_views_in(orthanc.content(f"/instances/{each}/file"), arrived) for each in reports]


def _views_in(data: bytes, arrived: ArrivedStudy) -> int:
    """Return of how many views a structured report tells; each with a probability that was answered."""
    report = highdicom.sr.srread(io.BytesIO(data))
    figures = find_content_items(report, value_type=ValueTypeValues.NUM, recursive=True)
    told = [item.value for item in figures if item.name.meaning == "Probability of fracture"]
    answered = [view.answer.probability for view in arrived.views]
    assert all(any(abs(each - known) < 1e-6 for known in answered) for each in told)
    return len(told)


def test_answers_go_to_storescp(toy_predictor: Predictor, tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "archive"
    folder.mkdir()
    command = [require("storescp", "dcmtk"), "-aet", "PACS", "-od", str(folder), "+xa", str(port)]
    with subprocess.Popen(command) as archive:
        try:
            peer = Peer("PACS", "127.0.0.1", port)
            with running_node(toy_predictor, archive=peer) as node:
                send(node, tmp_path, xray(1, draw_xray(1, fractured=True)))
                wait_for(lambda: is_sent(node))
                stored = [dcmread(path) for path in folder.iterdir()]
        finally:
            archive.terminate()
    assert set(ANSWER_KINDS) >= {each.Modality for each in stored} >= {"DOC", "OT", "SR"}
    assert {each.StudyInstanceUID for each in stored} == {"1.2.826.0.1.3680043.8.498.2"}
    assert {each.PatientID for each in stored} == {"drawn"}


def test_archive_that_is_away_gets_the_answers_when_it_is_back(
    toy_predictor: Predictor, tmp_path: Path
) -> None:
    port, folder = free_port(), tmp_path / "archive"
    folder.mkdir()
    with running_node(toy_predictor, archive=Peer("PACS", "127.0.0.1", port), answers=("sr",)) as node:
        send(node, tmp_path, xray(1))
        whole_study(node)
        delivery = wait_for(lambda: failed_delivery(node))
        assert (delivery.state, delivery.reason) == ("waiting", "unreachable")
        assert list(folder.iterdir()) == []
        command = [require("storescp", "dcmtk"), "-aet", "PACS", "-od", str(folder), str(port)]
        with subprocess.Popen(command) as archive:
            try:
                wait_for(lambda: is_sent(node), 90)
            finally:
                archive.terminate()
    assert len(list(folder.iterdir())) == 1


def test_answers_are_downloaded_from_the_page(toy_predictor: Predictor, tmp_path: Path) -> None:
    with running_node(toy_predictor) as node:
        send(node, tmp_path, xray(1, draw_xray(1, fractured=True)))
        study = whole_study(node)
        client = create_app(Settings(), toy_predictor, arrivals=node).test_client()
        answer = client.get(f"/arrivals/{study.id}/answers.zip", headers={"Host": "localhost"})
        with zipfile.ZipFile(io.BytesIO(answer.data)) as packed:
            kinds = {dcmread(io.BytesIO(packed.read(name))).Modality for name in packed.namelist()}
        assert kinds >= {"OT", "SR", "DOC"}
        gone = client.get("/arrivals/nothing/answers.zip", headers={"Host": "localhost"})
        assert gone.status_code == 404


def test_echo_command_says_in_a_sentence_what_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with running_orthanc(tmp_path, free_port(), title="KNOWN") as orthanc:
        place = f"127.0.0.1:{orthanc.peer.port}"
        assert main(["echo", f"ORTHANC@{place}", "--ae-title", "KNOWN"]) == 0
        assert main(["echo", f"ORTHANC@{place}", "--ae-title", "STRANGER"]) == 1
        assert "does not know the AE title STRANGER: add it there" in caplog.text
    assert main(["echo", f"ORTHANC@127.0.0.1:{free_port()}"]) == 1
    assert "Nothing answers at 127.0.0.1" in caplog.text
    assert main(["echo", "ORTHANC"]) == 2


def test_wrong_called_title_is_told(node: Node) -> None:
    DicomArchive("STORESCU", Peer("FRACTURE_EDGE", "127.0.0.1", node.settings.port)).check()
    with pytest.raises(PeerError, match="is not called OTHER") as failure:
        DicomArchive("STORESCU", Peer("OTHER", "127.0.0.1", node.settings.port)).check()
    assert failure.value.reason == "unknown_called"
