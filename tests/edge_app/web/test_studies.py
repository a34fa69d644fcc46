from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from edge_app.imaging.images import encode_png
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.study import MAX_VIEWS
from edge_app.web.app import create_app
from tests.dicom_files import xray_file

WHITE, BLACK = (np.full((64, 64), level, np.uint8) for level in (255, 0))


@pytest.fixture
def client(toy_predictor: Predictor) -> FlaskClient:
    return create_app(Settings(), toy_predictor).test_client()


def send(client: FlaskClient, *files: bytes) -> Any:
    parts = [(io.BytesIO(data), f"{n}.bin") for n, data in enumerate(files)]
    return client.post("/studies", data={"file": parts}, headers={"Host": "localhost"})


def test_views_are_answered_one_by_one_and_together(client: FlaskClient) -> None:
    answer = send(client, encode_png(WHITE), encode_png(BLACK)).get_json()
    white, black = (view["probability"] for view in answer["views"])
    assert (white, black) == (pytest.approx(0.982014, abs=1e-6), pytest.approx(0.119203, abs=1e-6))
    assert answer["study"]["probability"] == pytest.approx((white + black) / 2)
    assert answer["study"]["views"] == [0, 1]
    assert client.get(answer["views"][0]["picture"], headers={"Host": "localhost"}).status_code == 200


def test_broken_file_stops_no_other(client: FlaskClient) -> None:
    answer = send(client, b"%PDF-1.7", encode_png(WHITE), encode_png(WHITE)[:80]).get_json()
    assert [view.get("error") for view in answer["views"]] == ["unsupported_image", None, "invalid_image"]
    assert answer["study"]["views"] == [1]


def test_bad_dicom_names_its_tag(client: FlaskClient) -> None:
    answer = send(client, xray_file(WHITE, Modality=None)).get_json()
    assert answer["study"] is None
    assert answer["views"][0]["error"] == "missing_tag"
    assert answer["views"][0]["tag"] == "(0008,0060) Modality"


def test_several_patients_are_not_judged_together(client: FlaskClient) -> None:
    one, other = (xray_file(WHITE, PatientID=name) for name in ("one", "other"))
    answer = send(client, one, other, one).get_json()
    assert answer["study"] is None
    assert [study["views"] for study in answer["studies"]] == [[0, 2], [1]]


def test_header_tells_the_view_and_not_the_patient(client: FlaskClient) -> None:
    data = xray_file(WHITE, BodyPartExamined="HAND", ImageLaterality="L", PatientName="Doe^Jane")
    reply = send(client, data)
    assert reply.get_json()["views"][0]["header"] == {
        "modality": "DX",
        "body_part": "HAND",
        "view": "",
        "laterality": "L",
        "spacing_mm": None,
        "windows": [],
    }
    assert "Doe" not in reply.get_data(as_text=True)
    assert "drawn" not in reply.get_data(as_text=True)


def test_no_file_is_refused(client: FlaskClient) -> None:
    reply = client.post("/studies", data={}, headers={"Host": "localhost"})
    assert (reply.status_code, reply.get_json()["error"]) == (400, "missing_image")


def test_more_files_than_any_study_has_are_refused_before_one_is_read(client: FlaskClient) -> None:
    reply = send(client, *[b"no picture"] * (MAX_VIEWS + 1))
    assert (reply.status_code, reply.get_json()["error"]) == (400, "too_many_views")
    assert reply.get_json()["message"] == (
        "Expected at most 50 pictures of a study, received 51. Send fewer at once."
    )
    assert len(send(client, *[b"no picture"] * MAX_VIEWS).get_json()["views"]) == MAX_VIEWS
