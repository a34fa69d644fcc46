"""The page in a real browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import ConsoleMessage, Page, Request, expect

from edge_app.imaging.images import encode_png
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.server import make_server
from tests.conftest import require
from tests.edge_app.web.test_server import free_port
from tools.browser import open_page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(toy_predictor: Predictor) -> str:
    settings = Settings(port=free_port(), max_upload_bytes=2_000_000)
    server = make_server(create_app(settings, toy_predictor), settings)
    threading.Thread(target=server.run, daemon=True).start()
    return f"http://localhost:{settings.port}"


@pytest.fixture(scope="module")
def browser_page(address: str) -> Iterator[Page]:
    require("chromium")
    with open_page(address, width=1024, height=600) as page:
        yield page


@pytest.fixture
def page(browser_page: Page, address: str) -> Iterator[Page]:
    """Reload the page, and fail the test on a script error or a request to elsewhere."""
    problems: list[str] = []

    def note_request(request: Request) -> None:
        if not request.url.startswith((address, "blob:", "data:")):
            problems.append(request.url)

    def note_console(message: ConsoleMessage) -> None:
        # A refused upload is part of some tests.
        if message.type == "error" and not message.location["url"].endswith("/predict"):
            problems.append(message.text)

    listeners = {
        "console": note_console,
        "pageerror": lambda error: problems.append(str(error)),
        "request": note_request,
    }
    for event, listener in listeners.items():
        browser_page.on(event, listener)
    browser_page.goto(address)
    yield browser_page
    for event, listener in listeners.items():
        browser_page.remove_listener(event, listener)
    assert problems == []


def choose(page: Page, data: bytes, name: str = "x.png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": data})


def half_bright() -> bytes:
    image = np.zeros((64, 64), np.uint8)
    image[:40] = 255
    return encode_png(image)


def test_chosen_file_is_answered_with_both_pictures(page: Page, white_png: bytes) -> None:
    choose(page, white_png)
    expect(page.locator("#answer")).to_have_text("Fracture Detected")
    # 40 x 60 white pixels fill 21 of the 32 rows: logit 6 * 21 / 32 - 2 = 1.94
    expect(page.locator("#probability")).to_have_text("87%")
    expect(page.locator("#threshold")).to_have_text("50%")
    expect(page.get_by_text("Where to look")).to_be_visible()
    # the page scrolls to the answer, and what it is not must stand there too
    expect(page.locator("#verdict").get_by_text("Assistive tool, not a diagnosis")).to_be_in_viewport()
    for name in ("picture", "heatmap"):
        expect(page.locator(f"#{name}")).to_be_visible()
        assert (
            page.locator(f"#{name}").evaluate("async (i) => { await i.decode(); return i.naturalWidth; }")
            == 60
        )


def test_normal_answer_has_its_own_sign_and_advice(page: Page) -> None:
    choose(page, encode_png(np.zeros((64, 64), np.uint8)))
    expect(page.locator("#answer")).to_have_text("Normal")
    expect(page.get_by_text("Next: judge by the patient")).to_be_visible()
    expect(page.get_by_text("Next: have this X-ray read")).to_be_hidden()
    expect(page.get_by_text("No place in this picture spoke for a fracture")).to_be_visible()
    expect(page.locator("#heatmap")).to_be_hidden()


def test_dropped_file_is_judged(page: Page) -> None:
    bytes_in_page = list(half_bright())
    page.evaluate(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "x.png", { type: "image/png" }));
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
        }""",
        bytes_in_page,
    )
    expect(page.locator("#answer")).to_have_text("Fracture Detected")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello", "Expected a JPEG or PNG picture, received something else"),
        (b"", "The file is empty"),
        (half_bright()[:70], "The picture is broken or incomplete"),
        (bytes(2_000_001), "The file is larger than"),
    ],
    ids=["text", "empty", "truncated", "too large"],
)
def test_bad_file_is_explained_and_the_next_one_judged(
    page: Page, white_png: bytes, data: bytes, message: str
) -> None:
    choose(page, data)
    expect(page.locator("#problem")).to_contain_text(message)
    expect(page.locator("#result")).to_be_hidden()
    choose(page, white_png)
    expect(page.locator("#answer")).to_have_text("Fracture Detected")
    expect(page.locator("#problem")).to_be_hidden()


def test_two_files_at_once_are_explained(page: Page, white_png: bytes) -> None:
    page.evaluate(
        """() => {
            const transfer = new DataTransfer();
            for (const name of ["a", "b"]) transfer.items.add(new File(["x"], name));
            document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
        }"""
    )
    expect(page.locator("#problem")).to_contain_text("one X-ray at a time")


def test_text_instead_of_a_file_is_explained(page: Page) -> None:
    page.evaluate("document.dispatchEvent(new DragEvent('drop', { dataTransfer: new DataTransfer() }))")
    expect(page.locator("#problem")).to_contain_text("That was not a file")


def test_refused_file_ends_the_wait_for_an_earlier_one(page: Page, white_png: bytes) -> None:
    page.route("**/predict", lambda route: (time.sleep(0.5), route.continue_()))
    choose(page, white_png)
    choose(page, bytes(2_000_001))
    expect(page.locator("#problem")).to_contain_text("The file is larger than")
    page.wait_for_timeout(1500)
    expect(page.locator("#problem")).to_be_visible()
    expect(page.locator("#result")).to_be_hidden()
    page.unroute("**/predict")


def test_result_leaves_the_page_when_its_time_is_over(page: Page, white_png: bytes) -> None:
    page.evaluate("document.getElementById('upload').dataset.minutes = 0.01")
    choose(page, white_png)
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#result")).to_be_hidden()
    expect(page.locator("#progress")).to_contain_text("taken off this page")
    assert page.locator("#picture").get_attribute("src") is None


def test_probability_and_threshold_never_look_equal_when_they_differ(page: Page) -> None:
    image = np.full((64, 64), 84, np.uint8)
    image[32:] = 85  # logit 6 * 84.5 / 255 - 2 = -0.012, probability 0.497
    choose(page, encode_png(image))
    expect(page.locator("#answer")).to_have_text("Normal")
    expect(page.locator("#probability")).to_have_text("49.7%")
    expect(page.locator("#threshold")).to_have_text("50.0%")


def test_answer_names_its_file_and_outlives_a_slip_of_the_mouse(page: Page, white_png: bytes) -> None:
    choose(page, white_png, name="left hand.png")
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#file-name")).to_have_text("left hand.png")
    page.evaluate("document.dispatchEvent(new DragEvent('drop', { dataTransfer: new DataTransfer() }))")
    expect(page.locator("#answer")).to_have_text("Fracture Detected")
    expect(page.locator("#result")).to_be_visible()


def test_stopped_tool_is_told(page: Page, white_png: bytes) -> None:
    page.route("**/predict", lambda route: route.abort())
    choose(page, white_png)
    expect(page.locator("#problem")).to_contain_text("The tool does not answer")
    page.unroute("**/predict")


def test_keyboard_alone_reaches_the_file_chooser(page: Page) -> None:
    # Chromium swallows keys until it has painted the page.
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.keyboard.press("Tab")
    expect(page.locator("#file")).to_be_focused()
    with page.expect_file_chooser():
        page.keyboard.press("Space")


@pytest.mark.parametrize("width", [1024, 390])
def test_page_never_scrolls_sideways(page: Page, white_png: bytes, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 600})
    choose(page, white_png)
    expect(page.locator("#answer")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
