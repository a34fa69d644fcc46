from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from edge_app.errors import SettingsError
from edge_app.node_settings import (
    NodeSettings,
    Peer,
    TlsFiles,
    WebAddress,
    add_node_arguments,
    node_words,
)
from edge_app.settings import Settings, parse_choose_settings, parse_settings
from installer.recipe import LOCKS_DIR


def test_defaults_are_loopback_and_port_5000() -> None:
    settings = parse_settings([])
    assert (settings.host, settings.port, settings.device) == ("127.0.0.1", 5000, "auto")
    assert settings.bundle_dir.parts[-2:] == ("models", "default")


def test_command_line_is_read() -> None:
    words = ["--host", "localhost", "--port", "81", "--bundle", "/b", "--device", "cpu", "--threads", "2"]
    assert parse_settings(words) == Settings("127.0.0.1", 81, Path("/b"), "cpu", 2)


def test_bundle_needs_no_signature_unless_a_key_is_named() -> None:
    assert parse_settings([]).trusted_key is None
    assert parse_settings(["--trusted-key", "/k.pem"]).trusted_key == Path("/k.pem")


def test_measuring_takes_what_is_about_the_model() -> None:
    words = ["--bundle", "/b", "--device", "cpu", "--threads", "2", "--trusted-key", "/k.pem"]
    expected = Settings(bundle_dir=Path("/b"), device="cpu", threads=2, trusted_key=Path("/k.pem"))
    assert parse_choose_settings(words) == expected
    with pytest.raises(SettingsError, match="0 to 256"):
        parse_choose_settings(["--threads", "-1"])


def test_dicom_node_is_off_unless_asked_for() -> None:
    assert parse_settings([]).node is None
    words = ["--dicom", "104", "--allow", "ROOM@10.0.0.5", "--allow", "PACS@pacs", "--answers", "sr,pdf"]
    node = parse_settings([*words, "--answer-to", "PACS@pacs:4242", "--study-idle", "3"]).node
    assert node == NodeSettings(
        port=104,
        ae_title="FRACTURE_EDGE",
        allowed=(Peer("ROOM", "10.0.0.5"), Peer("PACS", "pacs")),
        archive=Peer("PACS", "pacs", 4242),
        answers=("sr", "pdf"),
        study_idle_s=3.0,
    )


def test_archive_with_dicomweb_has_a_login_and_an_authority_of_its_own(tmp_path: Path) -> None:
    login_path, authority_path = tmp_path / "login", tmp_path / "ca.pem"
    login_path.write_text("clinic:horse:battery\n")
    authority_path.write_text("x")
    words = [
        "--fetch-from",
        "https://pacs:8043/dicom-web/",
        "--answer-to",
        "http://10.0.0.9:8042/dicom-web",
    ]
    node = parse_settings(
        [*words, "--web-login", str(login_path), "--web-authority", str(authority_path)]
    ).node
    login = ("clinic", "horse:battery")
    assert node == NodeSettings(
        archive=WebAddress("http://10.0.0.9:8042/dicom-web", login, authority_path),
        library=WebAddress("https://pacs:8043/dicom-web", login, authority_path),
    )


def test_tls_goes_one_way_or_both(tmp_path: Path) -> None:
    files = TlsFiles(*(tmp_path / name for name in ("own.pem", "own.key", "clinic.pem")))
    for path in files:
        path.write_text("x")
    options = ("--dicom-certificate", "--dicom-certificate-key", "--dicom-authority")
    words = ["--dicom", "2762", "--allow", "A@b", "--answer-to", "A@b:2762"]
    words += [word for pair in zip(options, map(str, files), strict=True) for word in pair]
    for way, receiving, calling in (
        ([], files, files),
        (["--dicom-tls", "receive"], files, None),
        (["--dicom-tls", "answer"], None, files),
    ):
        node = parse_settings([*words, *way]).node
        assert (node.receiving_tls, node.calling_tls) == (receiving, calling)


def test_tls_without_the_files_that_it_needs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("x")
    node, pem = ["--dicom", "2762", "--allow", "A@b"], str(tmp_path / "x.pem")
    own = ["--dicom-certificate", pem, "--dicom-certificate-key", pem]
    for words, message in (
        ([*node, "--dicom-certificate", pem], "belong together"),
        ([*node, "--dicom-authority", pem], "needs --dicom-certificate"),
        ([*node, *own, "--answer-to", "A@b:1"], "needs --dicom-authority"),
        ([*node, *own, "--dicom-authority", "/nowhere"], "--dicom-authority /nowhere: there is no such"),
        (own, "need --dicom"),
    ):
        with pytest.raises(SettingsError, match=message):
            parse_settings(words)


def test_installed_command_passes_the_node_on() -> None:
    words = [
        "--dicom",
        "104",
        "--allow",
        "A@b",
        "--allow",
        "C@d",
        "--answer-to",
        "C@d:1",
        "--answers",
        "sr",
        "--stow",
        "--fetch-from",
        "https://pacs/dicom-web",
        "--dicom-certificate",
        str(Path(__file__)),
        "--dicom-certificate-key",
        str(Path(__file__)),
        "--dicom-tls",
        "receive",
    ]
    parser = argparse.ArgumentParser()
    add_node_arguments(parser)
    passed = node_words(vars(parser.parse_args(words)))
    assert parse_settings(passed).node == parse_settings(words).node
    assert node_words(vars(parser.parse_args([]))) == []


def test_every_clinic_s_lock_carries_the_dicom_network() -> None:
    locks = sorted(LOCKS_DIR.glob("*-x86_64-*.txt"))
    assert len(locks) == 4
    for package in ("pynetdicom", "dicomweb-client"):
        assert all(f"\n{package}==" in path.read_text() for path in locks)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dicom", "104"], "at least one --allow"),
        (["--allow", "A@b"], "need --dicom"),
        (["--dicom", "0", "--allow", "A@b"], "1 to 65535"),
        (["--dicom", "104", "--allow", "A"], "expected AE@HOST"),
        (["--dicom", "104", "--allow", "SEVENTEEN_LETTERS@b"], "1 to 16 letters"),
        (["--dicom", "104", "--allow", "A@b", "--ae-title", "A\\B"], "without backslash"),
        (["--dicom", "104", "--allow", "A@b", "--answer-to", "A@b"], "expected AE@HOST:PORT"),
        (["--dicom", "104", "--allow", "A@b", "--answers", "sr,png"], "expected some of sc, sr"),
        (["--dicom", "104", "--allow", "A@b", "--study-idle", "-1"], "0 to 3600"),
        (["--stow"], "--stow needs at least one --allow"),
        (["--fetch-from", "pacs:8042"], "expected the URL of a DICOMweb service"),
        (["--fetch-from", "https://me:secret@pacs/dicom-web"], "in the file of --web-login"),
        (["--fetch-from", "http://pacs", "--web-login", "/nowhere"], "cannot be read"),
        (["--fetch-from", "http://pacs", "--web-authority", "/nowhere"], "there is no such file"),
        (["--host", "0.0.0.0"], "would let other computers in"),
        (["--certificate", "/c.pem"], "belong together"),
        (["--port", "0"], "1 to 65535"),
        (["--port", "70000"], "1 to 65535"),
        (["--threads", "-1"], "0 to 256"),
    ],
)
def test_values_out_of_range_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings(words)
