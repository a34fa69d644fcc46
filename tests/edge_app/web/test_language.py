from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.language import ENGLISH, LANGUAGES, direction_of, language_of_request
from tests.conftest import ROOT
from tests.edge_app.web.conftest import needs_chromium
from tests.edge_app.web.states import STATES, State, show_fracture
from tools.catalogues import collect, mo_bytes, path_of, read_catalogue

TRANSLATED = [language for language in LANGUAGES if language != ENGLISH]
TEMPLATES = sorted((ROOT / "edge_app" / "web" / "templates").glob("*.html"))
SCRIPTS = sorted((ROOT / "edge_app" / "web" / "static" / "js").glob("*.js"))
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}")
# Names, units and keys that are the same in every language.
SAME_EVERYWHERE = re.compile(
    r"Fracture Edge|Apache License|SIL Open Font License|Noto Sans|JavaScript|DICOM|PDF|CSV|GIF|JSON"
    r"|toy|cpu|float32|ms\b|x\.png|\b[A-Z]\b"
)


@pytest.mark.parametrize(
    ("address", "liked", "language"),
    [
        ("/", "fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        ("/", "de, hi;q=0.5", "hi"),
        ("/", "de", "en"),
        ("/?lang=sw", "fr", "sw"),
        ("/?lang=tlh", "pt-BR", "pt"),
    ],
)
def test_address_goes_before_the_browser_and_english_is_last(
    address: str, liked: str, language: str
) -> None:
    with Flask(__name__).test_request_context(address, headers={"Accept-Language": liked}):
        assert language_of_request() == language


def test_arabic_runs_from_right_to_left() -> None:
    assert (direction_of("ar"), direction_of("hi")) == ("rtl", "ltr")


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalogue_has_every_sentence_and_no_other(language: str) -> None:
    sentences = {message.id for message in collect() if message.id}
    translated = {message.id for message in read_catalogue(language) if message.id and message.string}
    assert translated == sentences, "run: python -m tools.catalogues, then translate what is new"


@pytest.mark.parametrize("language", TRANSLATED)
def test_translation_fills_in_what_the_english_sentence_does(language: str) -> None:
    for message in read_catalogue(language):
        if message.id:
            expected = sorted(PLACEHOLDER.findall(message.id))
            assert sorted(PLACEHOLDER.findall(message.string)) == expected, message.id


@pytest.mark.parametrize("language", TRANSLATED)
def test_compiled_catalogue_is_that_of_the_text(language: str) -> None:
    assert path_of(language).with_suffix(".mo").read_bytes() == mo_bytes(read_catalogue(language))


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalogue_says_that_a_machine_made_it(language: str, toy_predictor: Predictor) -> None:
    assert "Made by a machine; no native reader" in path_of(language).read_text(encoding="utf-8")
    about = create_app(Settings(), toy_predictor).test_client().get(f"/about?lang={language}").text
    assert read_catalogue(language)["This translation"].string in about


class Words(HTMLParser):
    """Collects what a person reads or hears of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        spoken = ("aria-label", "title", "alt", "placeholder", "value")
        self.found += [text for name, text in attrs if name in spoken and text and tag != "option"]

    def handle_data(self, data: str) -> None:
        self.found.append(data)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_visible_text_of_a_template_escapes_the_catalogues(path: Path) -> None:
    without_jinja = re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "", path.read_text("utf-8"), flags=re.DOTALL)
    words = Words()
    words.feed(without_jinja)
    left = SAME_EVERYWHERE.sub("", " ".join(words.found))
    allowed = {"en", "make"}  # a comparison within a block, and a button's value that is not shown
    assert set(re.findall(r"[^\W\d_]{2,}", left)) <= allowed


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_holds_a_sentence(path: Path) -> None:
    code = re.sub(r"//[^\n]*", "", path.read_text("utf-8"))
    texts = re.findall(r'"([^"\n]*)"', code)
    assert [text for text in texts if re.search(r"^[A-Za-z]{2,}[^.#\[,]* [A-Za-z]{2,}", text)] == []


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("show", STATES)
def test_no_latin_word_is_seen_in_arabic(page: Page, address: str, show: State) -> None:
    page.goto(f"{address}/?lang=ar")
    show(page)
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    # The model card is in English, languages have their own names, and so have packages and licences.
    page.locator("[lang=en]:not(option), select#language, dl[dir=ltr]").evaluate_all(
        "(all) => all.map((e) => e.remove())"
    )
    spoken = "[...document.querySelectorAll('[aria-label]')].map((e) => e.ariaLabel).join(' ')"
    seen = page.locator("body").inner_text() + page.evaluate(spoken)
    assert re.findall(r"[A-Za-z]{2,}", SAME_EVERYWHERE.sub("", seen)) == []


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [1024, 390])
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_language_makes_the_page_scroll_sideways(
    page: Page, address: str, language: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 600})
    page.goto(f"{address}/?lang={language}")
    show_fracture(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
@needs_chromium
def test_language_is_changed_on_the_page_and_the_answer_stays(page: Page) -> None:
    show_fracture(page)
    page.locator("#language").select_option("ar")
    expect(page.locator("#verdict")).to_have_text("اكتُشف كسر")
    expect(page.locator("#viewer")).to_be_visible()
    expect(page.locator("#entries li")).to_have_count(1)
    assert page.url.endswith("?lang=ar")
    page.keyboard.press("h")
    page.locator("#language").select_option("sw")
    expect(page.locator("#verdict")).to_have_text("Mvunjiko umeonekana")


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize(
    ("language", "family"),
    [("hi", "Noto Sans Devanagari"), ("bn", "Noto Sans Bengali"), ("ar", "Noto Sans Arabic")],
)
def test_script_is_drawn_with_the_font_that_ships(
    page: Page, address: str, language: str, family: str
) -> None:
    page.goto(f"{address}/?lang={language}")
    page.evaluate("document.fonts.ready")
    loaded = page.evaluate(
        "[...document.fonts].filter((f) => f.status === 'loaded').map((f) => f.family.replaceAll('\"', ''))"
    )
    assert family in loaded
