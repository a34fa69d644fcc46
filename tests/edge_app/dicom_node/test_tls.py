"""TLS on DICOM's ports with real programs: dcmtk's, Orthanc, and OpenSSL's own client."""

from __future__ import annotations

import logging
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread

from edge_app.dicom_node.__main__ import main
from edge_app.dicom_node.archive import open_archive
from edge_app.dicom_node.node import Node
from edge_app.errors import PeerError, SettingsError
from edge_app.node_settings import Peer, TlsFiles
from edge_app.predictor import FRACTURE, Predictor
from edge_app.settings import Settings
from export.proof.drawn import draw_xray
from tests.conftest import require
from tests.edge_app.dicom_node.certificates import Authority
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

# The library leaves the sockets of calls that failed to the garbage collector; a test collects them itself.
pytestmark = [
    pytest.mark.usefixtures("collected"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def clinic(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "clinic")


@pytest.fixture
def own(clinic: Authority) -> TlsFiles:
    return clinic.sign("own")


@pytest.fixture
def node(toy_predictor: Predictor, own: TlsFiles) -> Iterator[Node]:
    with running_node(toy_predictor, receiving_tls=own) as running:
        yield running


def words_of(files: TlsFiles) -> list[str]:
    """Return how dcmtk's programs are told to go through TLS."""
    return ["+tls", str(files.key_path), str(files.certificate_path), "+cf", str(files.authority_path)]


def echo(node: Node, *words: str) -> int:
    """Call a node as dcmtk does, and return the exit status."""
    caller = [require("echoscu", "dcmtk"), "-aet", "STORESCU", "-aec", "FRACTURE_EDGE", *words]
    return subprocess.run([*caller, "127.0.0.1", str(node.settings.port)], timeout=60).returncode


def last_trouble(node: Node) -> str:
    """Return what the page is told of the last caller, once it is told."""
    (incident,) = wait_for(node.incidents)
    assert (incident.code, incident.source) == ("tls", ("", "127.0.0.1"))
    return incident.message


def test_study_comes_through_tls(node: Node, clinic: Authority, tmp_path: Path) -> None:
    words = words_of(clinic.sign("room"))
    assert send(node, tmp_path, xray(1), xray(2), words=words).returncode == 0
    assert whole_study(node, 2).answer.prediction == FRACTURE
    assert node.incidents() == []


def test_certificate_of_another_authority_is_refused_and_told(node: Node, tmp_path: Path) -> None:
    strange = Authority(tmp_path, "elsewhere").sign("room")
    trusting = strange._replace(authority_path=tmp_path / "clinic.pem")
    assert echo(node, *words_of(trusting)) != 0
    assert "Its certificate is not trusted here: unable to get local issuer" in last_trouble(node)


def test_caller_without_a_certificate_is_refused_and_told(node: Node, clinic: Authority) -> None:
    assert echo(node, "+tla", "+cf", str(clinic.path)) != 0
    assert "It shows no certificate" in last_trouble(node)


def test_caller_that_does_not_trust_this_computer_is_told(node: Node, tmp_path: Path) -> None:
    assert echo(node, *words_of(Authority(tmp_path, "elsewhere").sign("room"))) != 0
    assert "It does not trust this computer's certificate" in last_trouble(node)


def test_caller_without_tls_is_refused_and_told(node: Node) -> None:
    assert echo(node) != 0
    assert "It speaks no TLS 1.2 or newer" in last_trouble(node)


def test_without_an_authority_callers_need_no_certificate(
    toy_predictor: Predictor, own: TlsFiles, clinic: Authority
) -> None:
    with running_node(toy_predictor, receiving_tls=own._replace(authority_path=None)) as node:
        assert echo(node, "+tla", "+cf", str(clinic.path)) == 0


@pytest.mark.parametrize(
    ("version", "is_spoken"), [("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)]
)
def test_tls_before_1_2_is_not_spoken(node: Node, own: TlsFiles, version: str, is_spoken: bool) -> None:
    client = [require("openssl"), "s_client", version, "-cipher", "DEFAULT:@SECLEVEL=0", "-brief"]
    shown = ["-cert", str(own.certificate_path), "-key", str(own.key_path)]
    place = f"127.0.0.1:{node.settings.port}"
    answer = subprocess.run(
        [*client, *shown, "-connect", place], input=b"", capture_output=True, timeout=60
    )
    assert (b"CONNECTION ESTABLISHED" in answer.stderr) == is_spoken


def test_who_connects_and_says_nothing_holds_nobody_up(node: Node, clinic: Authority) -> None:
    with socket.create_connection(("127.0.0.1", node.settings.port)):
        assert echo(node, *words_of(clinic.sign("room"))) == 0


@contextmanager
def storescp(folder: Path, *words: str) -> Iterator[Peer]:
    """Run dcmtk's archive, which stores into a folder."""
    peer = Peer("PACS", "127.0.0.1", free_port())
    command = [require("storescp", "dcmtk"), "-aet", peer.ae_title, "-od", str(folder), "+xa"]
    with subprocess.Popen([*command, *words, str(peer.port)]) as archive:
        try:
            wait_for(lambda: _listens(peer.port))
            yield peer
        finally:
            archive.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_answers_go_through_tls(
    toy_predictor: Predictor, own: TlsFiles, clinic: Authority, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    with (
        storescp(folder, *words_of(clinic.sign("archive"))) as peer,
        running_node(toy_predictor, archive=peer, calling_tls=own) as node,
    ):
        send(node, tmp_path, xray(1, draw_xray(1, fractured=True)))
        wait_for(lambda: is_sent(node))
        assert node.archive_state().reason == ""
    assert {dcmread(path).Modality for path in folder.iterdir()} >= {"DOC", "OT", "SR"}


def test_archive_that_wants_tls_is_told(own: TlsFiles, tmp_path: Path) -> None:
    with storescp(tmp_path, *words_of(own)) as peer:
        assert fault(peer, None) == "tls_wanted"


def test_archive_without_tls_is_told(own: TlsFiles, tmp_path: Path) -> None:
    with storescp(tmp_path) as peer:
        assert fault(peer, own) == "no_tls"


def test_archive_that_does_not_run_is_no_fault_of_tls(own: TlsFiles) -> None:
    for tls in (own, None):
        assert fault(Peer("PACS", "127.0.0.1", free_port()), tls) == "unreachable"


def fault(peer: Peer, tls: TlsFiles | None) -> str:
    """Return why an archive does not answer."""
    with pytest.raises(PeerError) as failure:
        open_archive("FRACTURE_EDGE", peer, Settings(), tls).check()
    return failure.value.reason


def test_fault_of_an_archive_s_certificate_is_told(
    clinic: Authority, own: TlsFiles, tmp_path: Path
) -> None:
    strange = Authority(tmp_path, "elsewhere").sign("stranger")
    for files, expected in (
        (strange._replace(authority_path=clinic.path), "certificate"),
        (clinic.sign("expired", days=-1), "certificate_date"),
        (clinic.sign("moved", address="192.0.2.7"), "certificate_name"),
    ):
        with storescp(tmp_path, *words_of(files)) as peer:
            assert fault(peer, own) == expected


def test_archive_that_refuses_this_computer_s_certificate_is_told(
    clinic: Authority, own: TlsFiles, tmp_path: Path
) -> None:
    strange = Authority(tmp_path, "elsewhere").sign("stranger")._replace(authority_path=clinic.path)
    with storescp(tmp_path, *words_of(clinic.sign("archive"))) as peer:
        assert fault(peer, strange) == "own_certificate"
        assert fault(peer, TlsFiles(authority_path=clinic.path)) == "own_certificate"


def test_certificate_that_an_archive_signed_itself_is_trusted_by_itself(
    clinic: Authority, own: TlsFiles, tmp_path: Path
) -> None:
    pinned = clinic.sign("archive")
    with storescp(tmp_path, *words_of(pinned)) as peer:
        tls = own._replace(authority_path=pinned.certificate_path)
        open_archive("FRACTURE_EDGE", peer, Settings(), tls).check()


def test_echo_command_goes_through_tls_and_says_what_is_wrong(
    clinic: Authority, own: TlsFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files = ["--dicom-certificate", str(own.certificate_path), "--dicom-certificate-key", str(own.key_path)]
    with storescp(tmp_path, *words_of(clinic.sign("archive"))) as peer:
        assert main(["echo", str(peer), *files, "--dicom-authority", str(clinic.path)]) == 0
        assert main(["echo", str(peer)]) == 1
        assert "The archive asks for TLS" in caplog.text
        assert main(["echo", str(peer), *files[:2]]) == 2


def test_files_that_cannot_be_used_are_told_and_no_passphrase_is_asked_for(
    own: TlsFiles, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    command = [require("openssl"), "ec", "-in", str(own.key_path), "-aes256", "-passout", "pass:secret"]
    subprocess.run([*command, "-out", str(locked)], check=True, capture_output=True)
    for files in (own._replace(key_path=locked), own._replace(authority_path=own.key_path)):
        with pytest.raises(SettingsError, match=r"cannot use .* without a passphrase"):
            open_archive("FRACTURE_EDGE", Peer("PACS", "127.0.0.1", 1), Settings(), files)


@pytest.mark.slow
def test_orthanc_sends_and_is_answered_through_tls(
    toy_predictor: Predictor, own: TlsFiles, clinic: Authority, tmp_path: Path
) -> None:
    port, archive = free_port(), clinic.sign("archive")
    tls = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(archive.certificate_path),
        "DicomTlsPrivateKey": str(archive.key_path),
        "DicomTlsTrustedCertificates": str(archive.authority_path),
    }
    known = {"AET": "FRACTURE_EDGE", "Host": "127.0.0.1", "Port": port, "UseDicomTls": True}
    with running_orthanc(tmp_path, port, **tls, DicomModalities={"fracture": known}) as orthanc:
        allowed = (Peer("ORTHANC", "127.0.0.1"),)
        settings = {"port": port, "allowed": allowed, "archive": orthanc.peer, "study_idle_s": 2}
        with running_node(toy_predictor, receiving_tls=own, calling_tls=own, **settings) as node:
            study = orthanc.upload(three_views())
            orthanc.post("/modalities/fracture/store", study.encode())
            whole_study(node, 3)
            wait_for(lambda: is_sent(node))
            assert {"SR", "OT", "DOC"} <= set(orthanc.series_of(study))
