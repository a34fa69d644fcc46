"""Take the pictures of the documents: `python -m tools.screenshot docs` shows drawn X-rays on the page."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from playwright.sync_api import Page
from pydicom.uid import ExplicitVRLittleEndian

from edge_app.imaging.images import encode_png
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.server import make_server
from export.proof.drawn import draw_xray
from tools.browser import find_chromium, open_page
from tools.drawn_dicom import drawn_dicom

PORT = 5079
SMALL_MONITOR = (1024, 600)
PHONE = (390, 844)


def drawn(*numbers: int) -> list[dict[str, object]]:
    """Draw X-rays, as files that a browser is given; every other one is fractured."""
    return [
        {
            "name": f"drawn-{number}.png",
            "mimeType": "image/png",
            "buffer": encode_png(draw_xray(number, fractured=number % 2 == 0)),
        }
        for number in numbers
    ]


BROKEN = {
    "name": "broken.png",
    "mimeType": "image/png",
    "buffer": encode_png(draw_xray(1, fractured=False))[:999],
}


def show_one(page: Page, number: int) -> None:
    """Bring in one X-ray and wait until it is seen."""
    page.set_input_files("#file", drawn(number))
    page.wait_for_selector("#viewer:not([hidden])")


def show_beside(page: Page) -> None:
    """Show an X-ray beside its heat map."""
    show_one(page, 2)
    page.keyboard.press("s")


def show_broken(page: Page) -> None:
    """Bring in a broken file."""
    page.set_input_files("#file", [BROKEN])
    page.wait_for_selector("#problem:not([hidden])")


def show_table(page: Page) -> None:
    """Bring in many X-rays, one of them broken."""
    page.set_input_files("#file", [*drawn(*range(1, 12)), BROKEN])
    page.locator("#many-patients").click()
    page.locator("#table").wait_for()
    page.locator("#stop").wait_for(state="hidden")


def show_study(page: Page) -> None:
    """Bring in three views of one patient."""
    page.set_input_files("#file", drawn(2, 3, 4))
    page.locator("#one-patient").click()
    page.wait_for_selector("#viewer:not([hidden])")


def show_dicom(page: Page) -> None:
    """Bring in a DICOM file, measure in it, and say whose report it will be."""
    image = draw_xray(2, fractured=True)
    spacing = {"PixelSpacing": [0.4, 0.4], "ImagerPixelSpacing": [0.42, 0.42]}
    facts = {"BodyPartExamined": "HAND", "ViewPosition": "PA", "ImageLaterality": "L"}
    data = drawn_dicom(ExplicitVRLittleEndian, image.tobytes(), image.shape, **spacing, **facts)
    page.set_input_files("#file", [{"name": "IM0001", "mimeType": "", "buffer": data}])
    page.wait_for_selector("#viewer:not([hidden])")
    page.keyboard.press("t")
    page.locator("#canvas").hover()  # its middle
    page.mouse.down()
    page.locator("#canvas").hover(position={"x": 300, "y": 160})
    page.mouse.up()
    page.locator(".patient summary").click()


def show_keys(page: Page) -> None:
    """Open the help sheet."""
    show_one(page, 2)
    page.keyboard.press("?")


def show_nothing(page: Page) -> None:
    """Leave the page as it opens."""
    page.wait_for_selector("#intake")


SHOTS: dict[str, tuple[str, tuple[int, int], Callable[[Page], None]]] = {
    "page": ("/", (1280, 800), partial(show_one, number=2)),
    "page-empty": ("/", SMALL_MONITOR, show_nothing),
    "page-normal": ("/", SMALL_MONITOR, partial(show_one, number=1)),
    "page-beside": ("/", SMALL_MONITOR, show_beside),
    "page-broken": ("/", SMALL_MONITOR, show_broken),
    "page-table": ("/", SMALL_MONITOR, show_table),
    "page-study": ("/", SMALL_MONITOR, show_study),
    "page-dicom": ("/", (1280, 800), show_dicom),
    "page-keys": ("/", SMALL_MONITOR, show_keys),
    "page-phone": ("/", PHONE, partial(show_one, number=2)),
    "page-arabic": ("/?lang=ar", SMALL_MONITOR, partial(show_one, number=2)),
    "page-hindi": ("/?lang=hi", SMALL_MONITOR, partial(show_one, number=2)),
    "page-sheet": ("/sheet", (1024, 900), lambda page: page.wait_for_selector("ol")),
    "page-about": ("/about", SMALL_MONITOR, lambda page: page.wait_for_selector("h1")),
}


def main() -> int:
    """Serve the default model, bring the page into each state, and save what it shows."""
    if find_chromium() is None:
        sys.stderr.write("Chromium was not found. On Debian or Ubuntu: apt install chromium\n")
        return 1
    folder, *names = sys.argv[1:]
    settings = Settings(port=PORT)
    app = create_app(settings, Predictor(settings.bundle_dir, device="cpu"))
    server = make_server(app, settings)
    threading.Thread(target=server.run, daemon=True).start()
    for name in names or SHOTS:
        address, (width, height), act = SHOTS[name]
        with open_page(f"http://localhost:{PORT}{address}", width, height) as page:
            act(page)
            page.wait_for_timeout(400)  # the canvas is painted in the next frame
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=name == "page-phone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
