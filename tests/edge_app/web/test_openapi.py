from __future__ import annotations

import io
from typing import Any

import jsonschema
import numpy as np
import pytest
from flask.testing import FlaskClient

from edge_app.imaging.images import encode_png
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from tests.dicom_files import xray_file

HOST = {"Host": "localhost"}
WHITE = np.full((64, 64), 255, np.uint8)
WINDOWED = xray_file(WHITE, WindowCenter=128, WindowWidth=256)


@pytest.fixture
def client(toy_predictor: Predictor) -> FlaskClient:
    return create_app(Settings(), toy_predictor).test_client()


@pytest.fixture
def document(client: FlaskClient) -> Any:
    return client.get("/api", headers=HOST).get_json()


def post(client: FlaskClient, address: str, *files: bytes) -> Any:
    parts = [(io.BytesIO(data), "x") for data in files]
    return client.post(address, data={"file": parts}, headers=HOST).get_json()


def check(document: Any, address: str, status: str, answer: Any) -> None:
    """Hold an answer against the schema that the document names for it."""
    responses = document["paths"][address]["post"]["responses"]
    schema = responses[status]["content"]["application/json"]["schema"]
    jsonschema.validate(answer, {**schema, "components": document["components"]})


@pytest.mark.parametrize("data", [encode_png(WHITE), encode_png(0 * WHITE), WINDOWED])
def test_prediction_is_as_the_document_says(client: FlaskClient, document: Any, data: bytes) -> None:
    check(document, "/predict", "200", post(client, "/predict", data))


@pytest.mark.parametrize("data", [b"hello", xray_file(WHITE, Modality=None)])
def test_refusal_is_as_the_document_says(client: FlaskClient, document: Any, data: bytes) -> None:
    check(document, "/predict", "default", post(client, "/predict", data))


def test_studies_are_as_the_document_says(client: FlaskClient, document: Any) -> None:
    one, other = WINDOWED, xray_file(WHITE, PatientID="other")
    check(document, "/studies", "200", post(client, "/studies", one, b"hello", encode_png(WHITE)))
    check(document, "/studies", "200", post(client, "/studies", one, other, xray_file(WHITE, Rows=None)))


def test_answer_that_leaves_the_document_is_noticed(client: FlaskClient, document: Any) -> None:
    answer = post(client, "/predict", encode_png(WHITE))
    for wrong in ({**answer, "more": 1}, {**answer, "probability": 2}, {"id": "x"}):
        with pytest.raises(jsonschema.ValidationError):
            check(document, "/predict", "200", wrong)


def test_every_address_of_the_document_is_served(client: FlaskClient, document: Any) -> None:
    key = post(client, "/predict", encode_png(WHITE))["id"]
    for address, calls in document["paths"].items():
        if "get" in calls:
            reply = client.get(address.replace("{id}", key), headers=HOST)
            (kind,) = calls["get"]["responses"]["200"]["content"]
            assert (reply.status_code, reply.mimetype) == (200, kind), address
