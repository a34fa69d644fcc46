"""The page of what came over the network."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from edge_app.arrivals import ArrivedStudy, ArrivedView, Incident, Refusal, Source
from edge_app.imaging.picture import Patient
from edge_app.predictor import Answer, Prediction, Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.language import LANGUAGES
from edge_app.web.store import ResultStore

SOURCE = Source("XRAY_ROOM", "192.0.2.5")
NOW = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)
LOCAL = {"Host": "localhost"}


class Drawn:
    """Arrivals that stand still."""

    has_archive = False

    def __init__(self, *studies: ArrivedStudy, incidents: tuple[Incident, ...] = ()) -> None:
        self._studies = studies
        self._incidents = incidents

    def studies(self) -> tuple[ArrivedStudy, ...]:
        return self._studies

    def incidents(self) -> tuple[Incident, ...]:
        return self._incidents


def study(*views: ArrivedView, version: int = 1, is_whole: bool = True) -> ArrivedStudy:
    answers = [view.answer for view in views if view.answer]
    return ArrivedStudy(
        id="x",
        source=SOURCE,
        patient=Patient("4711", "Doe^Jane"),
        came_at=NOW,
        views=views,
        answer=answers[0] if answers else None,
        is_whole=is_whole,
        version=version,
    )


def page(predictor: Predictor, drawn: Drawn, language: str = "en", store: ResultStore | None = None) -> str:
    app = create_app(Settings(), predictor, store=store, arrivals=drawn)
    answer = app.test_client().get(f"/arrivals?lang={language}", headers=LOCAL)
    assert answer.status_code == 200
    return answer.text


def test_page_is_there_only_where_a_node_runs(toy_predictor: Predictor) -> None:
    client = create_app(Settings(), toy_predictor).test_client()
    assert client.get("/arrivals", headers=LOCAL).status_code == 404
    assert "/arrivals" not in client.get("/", headers=LOCAL).text
    with_node = create_app(Settings(), toy_predictor, arrivals=Drawn()).test_client()
    assert "/arrivals" in with_node.get("/", headers=LOCAL).text


def test_study_shows_its_answer_patient_and_sender(toy_predictor: Predictor) -> None:
    shown = page(toy_predictor, Drawn(study(ArrivedView("key", Answer(0.97, 0.4)))))
    for text in ("Fracture Detected", "97%", "Doe Jane", "4711", "XRAY_ROOM", "192.0.2.5", "09:30:00"):
        assert text in shown
    assert "/results/key/heatmap.png" in shown
    assert "Assistive tool, not a diagnosis." in shown


def test_links_of_a_view_lead_to_its_pictures_and_report(toy_predictor: Predictor) -> None:
    store = ResultStore(1_000_000, 60)
    blank = np.zeros((8, 8), np.uint8)
    key = store.put(Prediction(0.9, 0.4, blank.astype(np.float32), blank, (8, 8)))
    drawn = Drawn(study(ArrivedView(key, Answer(0.9, 0.4))))
    assert f"/results/{key}/report.pdf?lang=hi" in page(toy_predictor, drawn, "hi", store)


def test_name_of_a_patient_is_text_and_no_markup(toy_predictor: Predictor) -> None:
    hostile = replace(study(), patient=Patient("1", "<script>alert(1)</script>"))
    assert "<script>alert" not in page(toy_predictor, Drawn(hostile))


@pytest.mark.parametrize(
    ("drawn", "sentence"),
    [
        (Drawn(), "Nothing has arrived yet."),
        (Drawn(study(ArrivedView(), is_whole=False)), "More X-rays may come."),
        (Drawn(study(ArrivedView("k", Answer(0.1, 0.4)), version=2)), "A late X-ray came"),
        (Drawn(study(ArrivedView(refusal=Refusal("invalid_image", "x")))), "The picture is broken"),
        (Drawn(study(ArrivedView(refusal=Refusal("tag", "x")))), "Something went wrong inside the tool"),
        (Drawn(incidents=(Incident("broken_off", SOURCE, NOW, ""),)), "The connection broke off"),
        (Drawn(incidents=(Incident("not_an_xray", SOURCE, NOW, ""),)), "something else than an X-ray"),
    ],
)
def test_each_state_has_its_sentence(toy_predictor: Predictor, drawn: Drawn, sentence: str) -> None:
    assert sentence in page(toy_predictor, drawn)


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_every_language_says_it_its_own_way(toy_predictor: Predictor, language: str) -> None:
    drawn = Drawn(incidents=(Incident("broken_off", SOURCE, NOW, ""),))
    assert "The connection broke off" not in page(toy_predictor, drawn, language)
