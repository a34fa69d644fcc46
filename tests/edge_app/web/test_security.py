from __future__ import annotations

import io

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app


@pytest.fixture
def client(toy_predictor: Predictor) -> FlaskClient:
    return create_app(Settings(), toy_predictor).test_client()


def post(client: FlaskClient, data: bytes, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/predict", data={"file": (io.BytesIO(data), "x.png")}, headers=named)


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "LocalHost"])
def test_names_of_this_computer_are_served(client: FlaskClient, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "127.0.0.1.nip.example", "10.0.0.1", "[", ""),
        *("evil.example@localhost", "localhost/evil", "localhost?evil", "localhost#evil", "localhost:evil"),
        *("local\thost", "localhost, evil.example"),
    ],
)
def test_other_names_are_refused(client: FlaskClient, host: str) -> None:
    response = client.get("/health", headers={"Host": host})
    assert (response.status_code, response.json["error"]) == (403, "request_refused")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8080"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site, same-origin"},
    ],
)
def test_other_pages_cannot_send_pictures(
    client: FlaskClient, white_png: bytes, headers: dict[str, str]
) -> None:
    assert post(client, white_png, **headers).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://localhost"}, {"Sec_Fetch_Site": "same-origin"}])
def test_own_page_and_plain_scripts_can(
    client: FlaskClient, white_png: bytes, headers: dict[str, str]
) -> None:
    assert post(client, white_png, **headers).status_code == 200


def test_link_from_another_site_opens_the_page_but_not_a_result(
    client: FlaskClient, white_png: bytes
) -> None:
    picture = post(client, white_png).json["picture"]
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client.get("/", headers=foreign).status_code == 200
    assert client.get(picture, headers=foreign).status_code == 403


@pytest.mark.parametrize("path", ["/", "/health", "/static/js/page.js", "/nowhere"])
def test_every_response_is_strict_and_uncached(client: FlaskClient, path: str) -> None:
    with client.get(path) as response:
        headers = response.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
