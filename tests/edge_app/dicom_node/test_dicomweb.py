"""DICOMweb in both directions, with a real Orthanc and its plug-in."""

from __future__ import annotations

import io
import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from dicomweb_client.web import DICOMwebClient
from flask import Flask
from pydicom import dcmread

from edge_app.dicom_node.__main__ import main
from edge_app.dicom_node.addresses import lookup
from edge_app.dicom_node.held_studies import Studies
from edge_app.dicom_node.intake import Intake
from edge_app.dicom_node.node import Node
from edge_app.dicom_node.waiting import WaitingRoom
from edge_app.dicom_node.web_archive import WebArchive
from edge_app.errors import ImageTooLarge, PeerError
from edge_app.imaging.images import MAX_PIXELS
from edge_app.node_settings import Peer, TlsFiles, WebAddress
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.routes import error_handlers, stow
from edge_app.web.server import make_server
from tests.conftest import require
from tests.edge_app.dicom_node.certificates import Authority
from tests.edge_app.dicom_node.conftest import (
    STUDY,
    is_sent,
    post,
    running_node,
    running_orthanc,
    three_views,
    wait_for,
    whole_study,
    xray,
)
from tests.edge_app.web.test_server import free_port
from tools.orthanc import LOGIN, Orthanc, dicomweb_plugin

pytestmark = pytest.mark.slow
HERE = (Peer("ANY", "127.0.0.1"),)


@contextmanager
def running_web_archive(folder: Path, page_port: int = 1) -> Iterator[Orthanc]:
    """Run an Orthanc with DICOMweb that knows the page of a node as another DICOMweb service."""
    plugin = dicomweb_plugin()
    if plugin is None:
        require("orthanc-dicomweb")
    web = {"Enable": True, "Root": "/dicom-web/"}
    servers = {"fracture": [f"http://127.0.0.1:{page_port}/dicom-web/"]}
    more = {"Plugins": [str(plugin)], "DicomWeb": {**web, "Servers": servers}}
    with running_orthanc(folder, free_port(), **more) as orthanc:
        yield orthanc


@contextmanager
def served(node: Node, predictor: Predictor, port: int) -> Iterator[str]:
    """Serve the page of a node as the app does; gives its address."""
    settings = Settings(port=port)
    server = make_server(create_app(settings, predictor, arrivals=node), settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()


def test_study_is_found_brought_in_and_its_answers_go_back(
    toy_predictor: Predictor, tmp_path: Path
) -> None:
    with running_web_archive(tmp_path) as orthanc:
        study = orthanc.upload(three_views())
        places = {"archive": orthanc.web, "library": orthanc.web}
        with running_node(toy_predictor, port=None, allowed=(), study_idle_s=1, **places) as node:
            assert node.archive_state().reason == ""
            (filed,) = node.find("drawn xr")
            assert node.find("drawn") == [filed]
            assert (filed.uid, filed.patient.name, filed.modalities) == (STUDY, "Drawn^Xray", "DX")
            assert node.find("nobody") == []
            node.bring_in(filed.uid)
            arrived = whole_study(node, 3)
            assert arrived.source == ("WADO-RS", "127.0.0.1")
            assert all(view.answer is not None for view in arrived.views)
            wait_for(lambda: is_sent(node))
            series = orthanc.series_of(study)
            assert {kind: len(series[kind]) for kind in ("DX", "OT", "SR", "DOC")} == {
                "DX": 3,
                "OT": 3,
                "SR": 1,
                "DOC": 1,
            }
            (report,) = series["SR"]
            assert (
                dcmread(io.BytesIO(orthanc.content(f"/instances/{report}/file"))).StudyInstanceUID == STUDY
            )
            node.bring_in(filed.uid)  # its answers stand in the study now; they are not brought in
            node.bring_in("1.2.3")
            wait_for(lambda: [each.code for each in node.incidents()] == ["nothing_brought_in"])
            assert len(node.studies()[0].views) == 3


def test_orthanc_sends_a_study_by_stow(toy_predictor: Predictor, tmp_path: Path) -> None:
    page_port = free_port()
    with (
        running_web_archive(tmp_path, page_port) as orthanc,
        running_node(toy_predictor, port=None, allowed=HERE, takes_web=True) as node,
        served(node, toy_predictor, page_port),
    ):
        study = orthanc.upload(three_views())
        sent = orthanc.post("/dicom-web/servers/fracture/stow", f'{{"Resources": ["{study}"]}}'.encode())
        assert sent["InstancesCount"] == "3"
        assert whole_study(node, 3).source == ("STOW-RS", "127.0.0.1")
        assert node.incidents() == []


def test_each_picture_that_is_stored_by_stow_has_its_answer(toy_predictor: Predictor) -> None:
    port = free_port()
    with (
        running_node(toy_predictor, port=None, allowed=HERE, takes_web=True) as node,
        served(node, toy_predictor, port) as address,
    ):
        client = DICOMwebClient(f"{address}/dicom-web")
        stored = client.store_instances([dcmread(io.BytesIO(xray(1)))])
        (taken,) = stored.ReferencedSOPSequence
        assert taken.ReferencedSOPInstanceUID == "1.2.826.0.1.3680043.8.498.1.1"
        some = post(address, xray(2), b"no picture", xray(3, Modality="CT"))
        assert some.status_code == 202
        assert some.headers["Content-Type"] == "application/dicom+json"
        told = some.json()
        assert len(told["00081199"]["Value"]) == 1
        assert [each["00081197"]["Value"] for each in told["00081198"]["Value"]] == [[0xC000], [0xA900]]
        none = post(address, xray(4), study="/1.2.3")
        assert none.status_code == 409
        assert none.json()["00081198"]["Value"][0]["00081155"]["Value"] == ["1.2.826.0.1.3680043.8.498.1.4"]
        assert post(address, xray(5), kind="application/dicom+xml").status_code == 415
        assert len(whole_study(node, 2).views) == 2


def test_stow_is_open_only_where_it_is_switched_on_and_only_to_those_on_the_list(
    toy_predictor: Predictor,
) -> None:
    elsewhere = (Peer("PACS", "192.0.2.9"),)
    with running_node(toy_predictor, port=None, allowed=elsewhere, takes_web=True) as node:
        client = create_app(Settings(), toy_predictor, arrivals=node).test_client()
        refused = client.post(
            "/dicom-web/studies",
            data=b"--XY\r\n\r\n\r\n--XY--",
            headers={"Host": "localhost", "Content-Type": "multipart/related; boundary=XY"},
        )
        assert (refused.status_code, refused.json["error"]) == (403, "request_refused")
        assert [each.code for each in node.incidents()] == ["unknown_sender"]
    with running_node(toy_predictor, port=None, allowed=HERE) as node:
        client = create_app(Settings(), toy_predictor, arrivals=node).test_client()
        assert client.post("/dicom-web/studies", headers={"Host": "localhost"}).status_code == 404


def test_stow_without_room_says_when_to_try_again() -> None:
    room = WaitingRoom(lambda _received: None, lambda _turn: None, room_bytes=2 * len(xray(1)))
    app = Flask("stow")
    error_handlers.register(app)
    app.register_blueprint(stow.blueprint(Intake(Studies(10, 900), room, MAX_PIXELS, lookup(HERE))))
    body = b"--XY\r\n\r\n" + xray(1) + b"\r\n--XY\r\n\r\n" + xray(2) + b"\r\n--XY--"

    def sent() -> tuple[int, str | None]:
        kind = "multipart/related; boundary=XY"
        answer = app.test_client().post("/dicom-web/studies", data=body, content_type=kind)
        return answer.status_code, answer.headers.get("Retry-After")

    room.take_room(len(xray(1)), 0)
    assert sent() == (503, "10")
    room.give_room(len(xray(1)))
    assert sent() == (200, None)  # the first was taken before, which is no fault


def test_echo_says_in_a_sentence_what_is_wrong_with_dicomweb(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    login_path = tmp_path / "login"
    login_path.write_text(":".join(LOGIN))
    with running_web_archive(tmp_path) as orthanc:
        assert main(["echo", orthanc.web.url, "--web-login", str(login_path)]) == 0
        assert main(["echo", orthanc.web.url]) == 1
        assert "asks for another name and password" in caplog.text
        assert main(["echo", orthanc.web.url + "2", "--web-login", str(login_path)]) == 1
        assert "There is no DICOMweb service" in caplog.text
        secure = orthanc.web.url.replace("http:", "https:")
        assert main(["echo", secure]) == 1
        assert "speaks no TLS 1.2 or newer" in caplog.text
    assert main(["echo", f"http://127.0.0.1:{free_port()}/dicom-web"]) == 1
    assert "Nothing answers at http://127.0.0.1" in caplog.text


def test_certificate_that_is_not_in_order_is_told_by_what_is_wrong_with_it(tmp_path: Path) -> None:
    clinic, stranger = Authority(tmp_path, "clinic"), Authority(tmp_path, "stranger")
    reasons = {
        clinic.sign("good"): "status",  # what a server without DICOMweb answers, so it was called
        clinic.sign("expired", days=-1): "certificate_date",
        clinic.sign("moved", address="192.0.2.7"): "certificate_name",
        stranger.sign("other"): "certificate",
    }
    for files, reason in reasons.items():
        with secured(files) as url, pytest.raises(PeerError) as failure:
            WebArchive(WebAddress(url, authority_path=clinic.path), 1000).check()
        assert failure.value.reason == reason


@contextmanager
def secured(files: TlsFiles) -> Iterator[str]:
    """Serve nothing at all by https; gives the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(files.certificate_path), files.key_path)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_words: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextmanager
def answering(body: bytes, kind: str, status: int = 200) -> Iterator[WebArchive]:
    """Run an archive that gives one answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield WebArchive(WebAddress(f"http://127.0.0.1:{server.server_port}"), 1000)
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    "body", [b"<html>", b'{"x": 1}', b"[1]", b'[{"0020000D": {"Value": ["../.."]}}]', b'[{"0020000D": 5}]']
)
def test_answer_that_is_no_list_of_studies_is_told(body: bytes) -> None:
    with answering(body, "application/dicom+json") as archive:
        with pytest.raises(PeerError, match="no DICOMweb service") as failure:
            archive.find("x")
        assert failure.value.reason == "not_web"


def test_file_that_is_larger_than_a_picture_is_not_read_to_its_end() -> None:
    with (
        answering(bytes(200_000), "application/dicom") as archive,
        pytest.raises(ImageTooLarge, match="more than 1000 bytes"),
    ):
        archive._file("/studies/1")


def test_redirection_is_not_followed() -> None:
    with answering(b"", "text/plain", 302) as archive, pytest.raises(PeerError, match="status 302"):
        archive.check()
