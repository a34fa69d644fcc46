from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from edge_app import logs
from edge_app.errors import SettingsError
from edge_app.imaging.sandbox.wire import Isolation
from edge_app.predictor import Prediction, Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.store import ResultStore

PATIENT = "Marie^Curie"


@pytest.fixture
def client(toy_predictor: Predictor) -> FlaskClient:
    return create_app(Settings(), toy_predictor).test_client()


def upload(client: FlaskClient, data: bytes) -> int:
    file = {"file": (io.BytesIO(data), f"{PATIENT}.png")}
    return client.post("/predict", data=file).status_code


def samples(client: FlaskClient) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name.removeprefix("fracture_edge_"): float(value) for name, value in pairs}


def test_metrics_count_answers_and_time(client: FlaskClient, white_png: bytes) -> None:
    assert [upload(client, data) for data in (white_png, white_png, b"hello")] == [200, 200, 415]
    values = samples(client)
    assert values['answers_total{route="/predict",status="200"}'] == 2
    assert values['answers_total{route="/predict",status="415"}'] == 1
    assert values["predict_seconds_count"] == values['predict_seconds_bucket{le="+Inf"}'] == 2
    assert 0 < values["predict_seconds_sum"] < 60
    assert values["held_result_bytes"] > 2 * 40 * 60
    assert values["waiting_pictures"] == 0


def test_metrics_name_neither_files_nor_results(client: FlaskClient, white_png: bytes) -> None:
    upload(client, white_png)
    client.get("/results/a-secret-id/picture.png")
    client.get(f"/{PATIENT}")
    text = client.get("/metrics").text
    assert PATIENT not in text
    assert "a-secret-id" not in text
    assert 'route="/results/<key>/picture.png",status="404"' in text


def test_ready_and_queue_are_told(client: FlaskClient) -> None:
    assert client.get("/ready").json == {"status": "ready", "device": "cpu"}
    assert client.get("/queue?ticket=x").json == {"waiting": 0, "expected_wait_s": 0, "position": None}


def test_health_tells_what_isolation_lacks(toy_predictor: Predictor) -> None:
    isolation = Isolation(("limits: some",), ("files: this kernel has no Landlock",))
    client = create_app(Settings(), toy_predictor, isolation).test_client()
    assert client.get("/health").json["decoder"] == {
        "isolation": "partial",
        "in_force": ["limits: some"],
        "missing": ["files: this kernel has no Landlock"],
    }


class FaultyStore(ResultStore):
    """A store with a fault whose words tell what it holds."""

    def get(self, key: str) -> Prediction:
        try:
            raise ValueError(PATIENT)
        except ValueError as error:
            raise LookupError(f"{key} of {PATIENT}") from error


def test_unforeseen_fault_is_logged_without_words_or_addresses(
    toy_predictor: Predictor, caplog: pytest.LogCaptureFixture
) -> None:
    client = create_app(Settings(), toy_predictor, store=FaultyStore(1, 1)).test_client()
    assert client.get("/results/a-secret-id/picture.png").status_code == 500
    assert "GET /results/<key>/picture.png failed." in caplog.text
    assert 'raise LookupError(f"{key} of {PATIENT}")' in caplog.text
    assert caplog.text.index("ValueError\n") < caplog.text.index("LookupError\n")
    assert PATIENT not in caplog.text
    assert "a-secret-id" not in caplog.text


def test_log_file_has_no_words_of_a_fault_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    logs.write_to(tmp_path / "log")
    try:
        raise ValueError(PATIENT)
    except ValueError:
        logging.getLogger("waitress").exception("It failed.")
    root.handlers[0].close()
    entry = json.loads((tmp_path / "log").read_text())
    assert entry["traceback"].endswith("raise ValueError(PATIENT)\nValueError")


def test_log_file_turns_and_is_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    path = tmp_path / "log"
    logs.write_to(path)
    (handler,) = root.handlers
    for index in range(12_000):
        logging.getLogger("edge_app").error("line %d %s", index, "x" * 60)
    handler.close()
    files = sorted(tmp_path.iterdir())
    assert 2 <= len(files) <= 1 + logs.FILES_KEPT
    assert max(file.stat().st_size for file in files) <= logs.MAX_FILE_BYTES
    entry = json.loads(path.read_text().splitlines()[-1])
    assert (entry["level"], entry["source"], entry["message"][:10]) == ("ERROR", "edge_app", "line 11999")


def test_log_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written"):
        logs.write_to(tmp_path / "nowhere" / "log")
