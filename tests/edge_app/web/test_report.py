from __future__ import annotations

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from edge_app.imaging.images import encode_png
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.language import LANGUAGES
from tests.conftest import require
from tests.dicom_files import xray_file

HOST = {"Host": "localhost"}
WHITE = np.full((64, 64), 255, np.uint8)


@pytest.fixture
def client(toy_predictor: Predictor) -> FlaskClient:
    return create_app(Settings(), toy_predictor).test_client()


def held(client: FlaskClient, data: bytes) -> str:
    return client.post("/predict", data={"file": (io.BytesIO(data), "x")}, headers=HOST).get_json()["id"]


def text_of(document: bytes, tmp_path: Path) -> str:
    path = tmp_path / "report.pdf"
    path.write_bytes(document)
    command = [require("pdftotext", "poppler-utils"), "-layout", str(path), "-"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_report_tells_the_answer_the_model_and_the_disclaimer(client: FlaskClient, tmp_path: Path) -> None:
    key = held(client, encode_png(WHITE))
    reply = client.get(f"/results/{key}/report.pdf", headers=HOST)
    assert (reply.status_code, reply.mimetype) == (200, "application/pdf")
    text = text_of(reply.data, tmp_path)
    for expected in (
        *("Fracture Detected", "Probability of a fracture: 98%", "Threshold: 50%", "toy 1, float32"),
        *("SHA-256", "The reader's own judgement", "signature", "Assistive tool, not a diagnosis."),
    ):
        assert expected in text
    assert "Patient" not in text


def test_report_of_a_study_has_a_sheet_for_each_view(client: FlaskClient, tmp_path: Path) -> None:
    keys = [held(client, encode_png(level * WHITE)) for level in (1, 0)]
    text = text_of(client.get(f"/results/{','.join(keys)}/report.pdf", headers=HOST).data, tmp_path)
    assert text.count("Fracture Detected: 55%") == 2  # (0.982 + 0.119) / 2, on each sheet
    assert "1/2" in text
    assert "2/2" in text


def test_view_that_is_named_again_and_again_has_one_sheet(client: FlaskClient, tmp_path: Path) -> None:
    key = held(client, encode_png(WHITE))
    address = f"/results/{','.join([key] * 700)}/report.pdf"  # as many as an address has room for
    assert text_of(client.get(address, headers=HOST).data, tmp_path).count("Threshold") == 1


def test_report_about_more_views_than_any_study_has_is_refused(client: FlaskClient) -> None:
    reply = client.get(f"/results/{','.join(map(str, range(51)))}/report.pdf", headers=HOST)
    assert (reply.status_code, reply.get_json()["error"]) == (400, "too_many_views")


def test_patient_stands_there_only_when_asked_for(client: FlaskClient, tmp_path: Path) -> None:
    key = held(client, xray_file(WHITE, PatientName="Doe^Jane", PatientID="4711"))
    address = f"/results/{key}/report.pdf"
    assert "Doe" not in text_of(client.get(address, headers=HOST).data, tmp_path)
    asked = client.post(address, data={"from_header": "1"}, headers=HOST).data
    assert "Patient: Doe Jane, 4711" in text_of(asked, tmp_path)
    typed = client.post(address, data={"from_header": "1", "patient": "Bed 7"}, headers=HOST).data
    assert "Patient: Bed 7" in text_of(typed, tmp_path)


@pytest.mark.parametrize(
    ("language", "font"),
    [("ar", "Arabic"), ("bn", "Bengali"), ("hi", "Devanagari"), ("fr", "NotoSans"), ("sw", "NotoSans")],
)
def test_each_script_has_its_own_letters(
    client: FlaskClient, language: str, font: str, tmp_path: Path
) -> None:
    key = held(client, encode_png(WHITE))
    document = client.get(f"/results/{key}/report.pdf?lang={language}", headers=HOST).data
    assert language in LANGUAGES
    path = tmp_path / "report.pdf"
    path.write_bytes(document)
    fonts = subprocess.run(
        [require("pdffonts", "poppler-utils"), str(path)], check=True, capture_output=True, text=True
    ).stdout
    assert font in fonts
    assert ".notdef" not in fonts
    assert len(document) < 400_000


def test_expired_result_has_no_report(client: FlaskClient) -> None:
    reply = client.get("/results/none/report.pdf", headers=HOST)
    assert (reply.status_code, reply.get_json()["error"]) == (404, "result_expired")
