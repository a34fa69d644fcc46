"""Listening on a network: a password is asked for before a body is read, TLS where it is set up."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from waitress.server import BaseWSGIServer

from edge_app.errors import SettingsError
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.password_file import hash_password
from edge_app.web.server import make_server
from tests.edge_app.web.test_server import free_port, start_and_fail

PASSWORD = "three small words"
RIGHT, WRONG = ("nurse", PASSWORD), ("nurse", "three other words")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "password"
    path.write_text(hash_password(PASSWORD))
    return Settings(host="0.0.0.0", port=free_port(), password_file=path, names=("xray.clinic.example",))


@pytest.fixture
def serve(toy_predictor: Predictor) -> Iterator[Callable[[Settings], None]]:
    servers: list[BaseWSGIServer] = []

    def start(settings: Settings) -> None:
        server = make_server(create_app(settings, toy_predictor), settings)
        servers.append(server)
        threading.Thread(target=server.run, daemon=True).start()

    yield start
    for server in servers:
        server.trigger.pull_trigger(server.close)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clinic")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, key_pem


def test_every_page_and_call_asks_for_the_password(
    serve: Callable[[Settings], None], settings: Settings, white_png: bytes
) -> None:
    serve(settings)
    for path in ("/", "/results/x/picture.png", "/static/page.css", "/nowhere"):
        response = requests.get(settings.address + path, timeout=60)
        assert (response.status_code, response.json()["error"]) == (401, "password_refused")
        assert response.headers["WWW-Authenticate"].startswith("Basic ")
    for auth, status in ((None, 401), (WRONG, 401), (RIGHT, 200)):
        response = requests.post(
            f"{settings.address}/predict", files={"file": white_png}, auth=auth, timeout=60
        )
        assert response.status_code == status


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system has no IPv6")
def test_every_address_of_a_host_asks_for_the_password(
    serve: Callable[[Settings], None], settings: Settings
) -> None:
    serve(replace(settings, host="*"))
    for host in ("127.0.0.1", "[::1]"):
        assert requests.get(f"http://{host}:{settings.port}/", timeout=60).status_code == 401


def test_host_that_is_none_is_refused(settings: Settings, toy_predictor: Predictor) -> None:
    settings = replace(settings, host="nowhere.invalid")
    with pytest.raises(SettingsError, match=r"--host nowhere\.invalid: expected an address"):
        make_server(create_app(settings, toy_predictor), settings)


def test_watchdogs_need_no_password(serve: Callable[[Settings], None], settings: Settings) -> None:
    serve(settings)
    assert requests.get(f"{settings.address}/health", timeout=60).json()["status"] == "ok"


def test_guessing_is_slowed_down(serve: Callable[[Settings], None], settings: Settings) -> None:
    serve(settings)
    statuses = [requests.get(settings.address, auth=("", f"{i}"), timeout=60).status_code for i in range(6)]
    assert statuses == [401, 401, 401, 401, 401, 429]
    response = requests.get(settings.address, auth=RIGHT, timeout=60)
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize(("host", "status"), [("xray.clinic.example", 200), ("evil.example", 403)])
def test_names_are_those_that_were_given(
    serve: Callable[[Settings], None], settings: Settings, host: str, status: int
) -> None:
    serve(settings)
    headers = {"Host": f"{host}:{settings.port}"}
    assert requests.get(settings.address, headers=headers, auth=RIGHT, timeout=60).status_code == status


def test_a_page_elsewhere_cannot_use_a_password_that_the_browser_remembers(
    serve: Callable[[Settings], None], settings: Settings, white_png: bytes
) -> None:
    serve(settings)
    response = requests.post(
        f"{settings.address}/predict",
        files={"file": white_png},
        auth=RIGHT,
        headers={"Origin": "http://evil.example"},
        timeout=60,
    )
    assert response.status_code == 403


def test_tls_carries_large_pictures_both_ways(
    serve: Callable[[Settings], None], settings: Settings, tmp_path: Path, drawn_png: bytes
) -> None:
    pem, key = certificate(tmp_path)
    settings = replace(settings, certificate=pem, certificate_key=key)
    serve(settings)
    address = f"https://127.0.0.1:{settings.port}"
    with requests.Session() as session:
        session.trust_env = False  # a list of authorities in the environment would win over `verify`
        session.verify, session.auth = str(pem), RIGHT
        origin = {"Origin": address}
        large = session.post(f"{address}/predict", files={"file": bytes(20_000_000)}, headers=origin)
        assert large.status_code == 415
        answer = session.post(f"{address}/predict", files={"file": drawn_png}, headers=origin).json()
        assert session.get(address + answer["picture"]).content.startswith(b"\x89PNG")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{settings.port}/health", timeout=60)
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{address}/health", timeout=60)
    assert requests.get(f"{address}/health", verify=str(pem), timeout=60).ok


def test_certificate_that_is_none_is_refused(
    settings: Settings, tmp_path: Path, toy_predictor: Predictor
) -> None:
    (tmp_path / "c.pem").write_text("nothing")
    settings = replace(settings, certificate=tmp_path / "c.pem", certificate_key=tmp_path / "c.pem")
    with pytest.raises(SettingsError, match="PEM form"):
        make_server(create_app(settings, toy_predictor), settings)


@pytest.mark.slow
def test_start_without_a_password_is_refused_in_one_line() -> None:
    code, line = start_and_fail("--host", "0.0.0.0")
    assert code == 2
    assert line.startswith("Fracture Edge cannot start. --host 0.0.0.0 would let other computers in")
    assert line.count("\n") == 1
