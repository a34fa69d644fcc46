"""The page in a real browser, and what is brought into it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from playwright.sync_api import ConsoleMessage, Page, Request, expect

from edge_app.arrivals import Arrivals
from edge_app.imaging.images import encode_png
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.server import make_server
from tests.edge_app.web.test_server import free_port
from tools.browser import PATIENCE_MS, find_chromium, open_page

expect.set_options(timeout=PATIENCE_MS)
needs_chromium = pytest.mark.skipif(
    find_chromium() is None, reason="Chromium is not installed: apt install chromium"
)


def serve(predictor: Predictor, arrivals: Arrivals | None = None) -> str:
    """Serve the app from a thread of its own; returns its address."""
    settings = Settings(port=free_port(), max_upload_bytes=2_000_000)
    server = make_server(create_app(settings, predictor, arrivals=arrivals), settings)
    threading.Thread(target=server.run, daemon=True).start()
    return f"http://localhost:{settings.port}"


@pytest.fixture(scope="session")
def address(toy_predictor: Predictor) -> str:
    return serve(toy_predictor)


@pytest.fixture(scope="module")
def browser_page(address: str) -> Iterator[Page]:
    with open_page(address, width=1024, height=600) as page:
        yield page


@pytest.fixture
def page(browser_page: Page, address: str) -> Iterator[Page]:
    """Load the page anew, and fail the test on a script error or a request to elsewhere."""
    with no_problems(browser_page):
        browser_page.set_viewport_size({"width": 1024, "height": 600})
        browser_page.goto(address)
        yield browser_page
        browser_page.goto("about:blank")


@contextmanager
def no_problems(page: Page) -> Iterator[None]:
    """Fail on a script error, one in the console, or a request to anywhere but the app."""
    problems: list[str] = []

    def note_request(request: Request) -> None:
        if not request.url.startswith(("http://localhost:", "blob:", "about:")):
            problems.append(request.url)

    def note_console(message: ConsoleMessage) -> None:
        # A refused upload, and an app that was stopped, are part of some tests.
        address = message.location["url"].partition("?")[0]
        expected = address.endswith(("/predict", "/studies", "/health", "/queue", ".png", ".pdf"))
        if message.type == "error" and not expected:
            problems.append(message.text)

    listeners = {
        "console": note_console,
        "pageerror": lambda error: problems.append(str(error)),
        "request": note_request,
    }
    for event, listener in listeners.items():
        page.on(event, listener)
    yield
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    assert problems == []


def choose(page: Page, *contents: bytes, name: str = "x.png") -> None:
    """Choose files, as with the page's first button; several are numbered."""
    names = [name] if len(contents) == 1 else [f"{at}-{name}" for at in range(len(contents))]
    page.set_input_files(
        "#file",
        [
            {"name": name, "mimeType": "image/png", "buffer": data}
            for name, data in zip(names, contents, strict=True)
        ],
    )


def choose_table(page: Page, *contents: bytes) -> None:
    """Choose files of different patients."""
    choose(page, *contents)
    page.locator("#many-patients").click()


def grey_png(level: int, shape: tuple[int, int] = (64, 64)) -> bytes:
    """Return a picture of one grey: in the toy bundle its logit is 6 * level / 255 - 2."""
    return encode_png(np.full(shape, level, np.uint8))


def corner_png() -> bytes:
    """Return a bright picture, 40 x 80, whose upper left corner alone is black."""
    image = np.full((40, 80), 200, np.uint8)
    image[:20, :40] = 0
    return encode_png(image)


@pytest.fixture(scope="session")
def default_address(default_predictor: Predictor) -> str:
    return serve(default_predictor)
