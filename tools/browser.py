"""A headless Chromium with the page opened in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

PATIENCE_MS = 120_000  # a machine that does other work as well is slow

# No sandbox: as root Chromium refuses to start with one. The rest keeps it from calling home.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """Return the path of the system's Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def open_page(url: str, width: int = 1024, height: int = 768) -> Iterator[Page]:
    """Open a page in a fresh, empty browser.

    Args:
        url: The page.
        width: The window's width in CSS pixels.
        height: Its height in CSS pixels.

    Yields:
        The loaded page.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(_ARGUMENTS))
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(PATIENCE_MS)
            page.goto(url)
            yield page
        finally:
            browser.close()
