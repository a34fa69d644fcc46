"""The page of what came over the network."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from playwright.sync_api import expect

from edge_app.arrivals import (
    ArchiveState,
    ArrivedStudy,
    ArrivedView,
    FiledStudy,
    Incident,
    Refusal,
    Source,
    WayBack,
)
from edge_app.dicom_node import peers, web_archive
from edge_app.errors import PeerError
from edge_app.imaging.picture import Patient
from edge_app.predictor import Answer, Prediction, Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.language import LANGUAGES
from edge_app.web.store import ResultStore
from tests.edge_app.web.conftest import needs_chromium, no_problems, serve
from tools.browser import open_page

SOURCE = Source("XRAY_ROOM", "192.0.2.5")
NOW = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)
LOCAL = {"Host": "localhost"}


class Drawn:
    """Arrivals that stand still."""

    takes_web = False

    def __init__(
        self,
        *studies: ArrivedStudy,
        incidents: tuple[Incident, ...] = (),
        archive: ArchiveState | None = None,
        back: WayBack | None = None,
        library: dict[str, FiledStudy] | None = None,
    ) -> None:
        self._studies = studies
        self._incidents = incidents
        self._archive = archive
        self._back = back
        self._library = library
        self.brought_in: list[str] = []

    @property
    def has_archive(self) -> bool:
        return self._archive is not None

    @property
    def has_library(self) -> bool:
        return self._library is not None

    def archive_state(self) -> ArchiveState | None:
        return self._archive

    def way_back(self) -> WayBack | None:
        return self._back

    def find(self, words: str) -> list[FiledStudy]:
        if words == "nobody there":
            raise PeerError("x", "unreachable")
        return [study for name, study in self._library.items() if name.startswith(words)]

    def bring_in(self, study_uid: str) -> None:
        self.brought_in.append(study_uid)

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
    key = store.put(Prediction(0.9, 0.4, blank.astype(np.float32), blank, (8, 8), 8))
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


def archive_page(predictor: Predictor, archive: ArchiveState, back: WayBack | None = None) -> str:
    app = create_app(Settings(), predictor, arrivals=Drawn(archive=archive, back=back))
    return app.test_client().get("/arrivals?test=archive", headers=LOCAL).text


def test_test_of_the_archive_says_both_ways(toy_predictor: Predictor) -> None:
    back = WayBack("FRACTURE_EDGE", "192.0.2.30", 11112, None)
    shown = archive_page(toy_predictor, ArchiveState("PACS@192.0.2.9:4242", "", ""), back)
    for text in ("The archive answers.", "send a test (C-ECHO) from there", "There, this computer is:"):
        assert text in shown
    for text in ("PACS@192.0.2.9:4242", "FRACTURE_EDGE", "192.0.2.30", "11112"):
        assert f"<bdi>{text}</bdi>" in shown
    called = archive_page(toy_predictor, ArchiveState("x", "", ""), back._replace(called_at=NOW))
    assert "It last called this computer at 09:30:00." in called


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("unknown_calling", "The archive does not know this computer&#39;s AE title. Add it there."),
        ("login", "The archive asks for another name and password."),
        ("not_web", "The archive has no DICOMweb service at this address."),
        ("certificate", "The archive&#39;s certificate is not trusted on this computer."),
        ("tls_wanted", "The archive asks for TLS. Switch that on here."),
    ],
)
def test_test_of_the_archive_says_what_is_wrong(
    toy_predictor: Predictor, reason: str, sentence: str
) -> None:
    assert sentence in archive_page(toy_predictor, ArchiveState("x", reason, ""))


def test_every_reason_has_its_sentence(toy_predictor: Predictor) -> None:
    said = set()
    reasons = {*peers.REASONS, *web_archive.REASONS}
    for reason in reasons:
        shown = archive_page(toy_predictor, ArchiveState("x", reason, ""))
        said.add(re.search(r"<bdi>x</bdi> ([^<]{20,})</p>", shown).group(1))
    assert len(said) == len(reasons)


FILED = FiledStudy("1.2.3", Patient("4711", "Doe^Jane"), "20260101", "Hand", "DX")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("47", 'value="1.2.3"'),
        ("4711", "<bdi>Doe Jane</bdi> <bdi>4711</bdi>"),
        ("5", "The archive has no such study."),
        ("nobody there", "The archive does not answer."),
    ],
)
def test_search_shows_what_the_archive_has(toy_predictor: Predictor, words: str, sentence: str) -> None:
    client = create_app(Settings(), toy_predictor, arrivals=Drawn(library={"4711": FILED})).test_client()
    answer = client.post("/arrivals", data={"patient": words}, headers=LOCAL)
    assert answer.status_code == 200
    assert sentence in answer.text


def test_study_is_brought_in_and_the_page_comes_back(toy_predictor: Predictor) -> None:
    drawn = Drawn(library={"4711": FILED})
    client = create_app(Settings(), toy_predictor, arrivals=drawn).test_client()
    answer = client.post("/arrivals/bring-in?lang=sw", data={"study": "1.2.3"}, headers=LOCAL)
    assert (answer.status_code, answer.location) == (303, "/arrivals?lang=sw")
    assert drawn.brought_in == ["1.2.3"]


@needs_chromium
@pytest.mark.slow
def test_study_is_found_and_brought_in_from_the_browser(toy_predictor: Predictor) -> None:
    drawn = Drawn(study(ArrivedView("k", Answer(0.9, 0.4))), library={"4711": FILED})
    address = serve(toy_predictor, arrivals=drawn)
    with open_page(f"{address}/arrivals") as page, no_problems(page):
        page.fill("#patient", "47")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("button", name="Bring in").click()
        expect(page.locator("#library li")).to_have_count(0)  # the page has come back
        expect(page.locator("#arrivals tbody tr")).to_have_count(1)
        assert "4711" not in page.url
    assert drawn.brought_in == ["1.2.3"]
