from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from flask import request
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from edge_app.errors import ModelError
from edge_app.imaging.decode import decode
from edge_app.imaging.images import encode_png
from edge_app.imaging.overlay import overlay
from edge_app.model.manifest import Manifest
from edge_app.predictor import Prediction, Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app

SMALL = replace(Settings(), max_upload_bytes=300_000)


@pytest.fixture
def client(toy_predictor: Predictor) -> Iterator[FlaskClient]:
    with create_app(SMALL, toy_predictor).test_client() as client:
        yield client


def multipart(data: bytes, field: str = "file") -> dict[str, object]:
    """Return a request's arguments; made by hand, since Werkzeug's client spools large files to disk."""
    head = f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="x.png"\r\n\r\n'
    body = head.encode() + data + b"\r\n--edge--\r\n"
    return {"data": body, "content_type": "multipart/form-data; boundary=edge"}


def post(client: FlaskClient, data: bytes, field: str = "file") -> TestResponse:
    return client.post("/predict", **multipart(data, field))


def test_answer_has_everything_the_contract_names(client: FlaskClient) -> None:
    answer = post(client, encode_png(np.full((64, 64), 255, np.uint8))).json
    assert answer["prediction"] == "Fracture Detected"
    assert answer["probability"] == pytest.approx(0.982014, abs=1e-6)
    assert answer["confidence"] == answer["probability"]
    assert answer["threshold"] == 0.5
    assert answer["heatmap"].startswith("/results/")
    assert answer["notice"] == "Assistive tool, not a diagnosis."
    model = {"name": "toy", "version": "1", "created": "2026-01-01", "precision": "float32"}
    assert answer["model"] == model
    assert answer["device"] == "cpu"


def test_normal_without_evidence_has_no_heat_map(client: FlaskClient) -> None:
    answer = post(client, encode_png(np.zeros((64, 64), np.uint8))).json
    assert answer["prediction"] == "Normal"
    assert answer["heatmap"] is None


def test_pictures_of_a_result_are_the_upload_and_its_overlay(
    client: FlaskClient, toy_predictor: Predictor, drawn_png: bytes
) -> None:
    answer = post(client, drawn_png).json
    prediction = toy_predictor.predict(drawn_png)
    picture, heatmap = (client.get(answer[name]) for name in ("picture", "heatmap"))
    assert picture.mimetype == heatmap.mimetype == "image/png"
    np.testing.assert_array_equal(pixels(picture), prediction.picture)
    np.testing.assert_array_equal(pixels(heatmap), overlay(prediction.picture, prediction.heatmap))


def test_grey_heat_map_is_the_heat_map_alone(
    client: FlaskClient, toy_predictor: Predictor, drawn_png: bytes
) -> None:
    heatmap = toy_predictor.predict(drawn_png).heatmap
    grey = pixels(client.get(post(client, drawn_png).json["heatmap_grey"]))
    assert grey.shape == heatmap.shape
    np.testing.assert_allclose(grey / 255, heatmap, atol=0.5 / 255)


def test_result_is_forgotten_on_demand(client: FlaskClient, white_png: bytes) -> None:
    answer = post(client, white_png).json
    assert client.delete(f"/results/{answer['id']}").status_code == 204
    assert client.get(answer["picture"]).status_code == 404
    assert client.delete(f"/results/{answer['id']}").status_code == 204


def test_health_tells_device_and_model(client: FlaskClient) -> None:
    answer = client.get("/health").json
    assert answer["status"] == "ok"
    assert answer["device"] == "cpu"
    assert (answer["model"]["name"], answer["model"]["precision"]) == ("toy", "float32")


def test_page_names_the_model_and_says_what_it_is_not(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "Assistive tool, not a diagnosis" in page
    assert "<bdi>toy 1</bdi>" in page
    assert "Nothing is stored on this computer" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", 400, "missing_image"),
        (b"hello", 415, "unsupported_image"),
        (encode_png(np.zeros((64, 64), np.uint8))[:60], 422, "invalid_image"),
        (b"\xff\xd8" + bytes(300_000), 413, "image_too_large"),
        (b"\xff\xd8" + bytes(2_000_000), 413, "image_too_large"),
    ],
    ids=["empty", "text", "truncated", "over the file's cap", "over the body's cap"],
)
def test_bad_upload_is_answered_and_the_next_good_one_judged(
    client: FlaskClient, white_png: bytes, data: bytes, status: int, code: str
) -> None:
    response = post(client, data)
    assert (response.status_code, response.json["error"]) == (status, code)
    assert response.json["message"].endswith(".")
    assert post(client, white_png).status_code == 200


def test_too_many_pixels_are_413(toy_predictor: Predictor, toy_bundle: object) -> None:
    tight = Predictor(toy_bundle, device="cpu", decoder=partial(decode, max_pixels=1000))
    client = create_app(Settings(), tight).test_client()
    response = post(client, encode_png(np.zeros((64, 64), np.uint8)))
    assert (response.status_code, response.json["error"]) == (413, "image_too_large")


@pytest.mark.parametrize("field", ["image", "files"])
def test_missing_field_says_which_is_expected(client: FlaskClient, white_png: bytes, field: str) -> None:
    response = post(client, white_png, field)
    assert (response.status_code, response.json["error"]) == (400, "missing_image")
    assert "'file'" in response.json["message"]


def test_two_files_at_once_are_refused(client: FlaskClient, white_png: bytes) -> None:
    both = [(io.BytesIO(white_png), "a.png"), (io.BytesIO(white_png), "b.png")]
    assert client.post("/predict", data={"file": both}).json["message"].startswith("Expected one X-ray")


def test_forgotten_result_is_404(client: FlaskClient) -> None:
    response = client.get("/results/unknown/picture.png")
    assert (response.status_code, response.json["error"]) == (404, "result_expired")


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/predict", 405)])
def test_wrong_calls_are_answered_in_json(client: FlaskClient, path: str, status: int) -> None:
    response = client.get(path)
    assert (response.status_code, response.json["error"]) == (status, f"http_{status}")


def test_large_upload_stays_in_memory(toy_predictor: Predictor) -> None:
    app = create_app(Settings(), toy_predictor)
    with app.test_request_context("/predict", method="POST", **multipart(bytes(12_000_000))):
        stream = request.files["file"].stream
        assert type(stream) is io.BytesIO
        assert len(stream.getvalue()) == 12_000_000


def pixels(response: TestResponse) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(response.data)))


class FailingPredictor:
    """A predictor whose model gives no number."""

    device, variant = "cpu", "float32"

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    def predict(self, data: bytes) -> Prediction:
        raise ModelError("The model gave no number for this picture, so nothing was judged.")


def test_failure_of_the_model_is_logged_in_one_line(
    toy_predictor: Predictor, white_png: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = create_app(SMALL, FailingPredictor(toy_predictor.manifest)).test_client()
    assert post(client, white_png).status_code == 500
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert line.startswith("POST /predict was answered with 500: The model gave no number")


def test_refused_picture_is_not_logged(client: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    assert post(client, b"hello").status_code == 415
    assert caplog.records == []


@pytest.mark.parametrize("path", ["/predict", "/studies"])
def test_plain_form_is_read_only_where_it_is_small(client: FlaskClient, path: str) -> None:
    kind = "application/x-www-form-urlencoded"
    assert client.post(path, data=b"a=1&" * 1000, content_type=kind).status_code == 400
    refused = client.post(path, data=b"a=1&" * 100_000, content_type=kind)
    assert (refused.status_code, refused.json["error"]) == (413, "image_too_large")
