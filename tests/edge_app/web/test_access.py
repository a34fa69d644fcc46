"""For everybody: axe-core on every state, small windows, enlarged text."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.edge_app.web.conftest import needs_chromium
from tests.edge_app.web.states import STATES, State, show_fracture

pytestmark = [pytest.mark.slow, needs_chromium]

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.mark.parametrize("show", STATES)
@pytest.mark.parametrize("width", [1024, 390])
def test_axe_finds_nothing(page: Page, show: State, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 600})
    show(page)
    assert violations(page) == []


@pytest.mark.parametrize("show", STATES)
@pytest.mark.parametrize("width", [1024, 390, 320])
def test_page_never_scrolls_sideways(page: Page, show: State, width: int) -> None:
    """320 px is also a window of 1280 px enlarged four times (WCAG 1.4.10)."""
    page.set_viewport_size({"width": width, "height": 600})
    show(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_answer_and_viewer_stand_in_a_small_monitor_without_scrolling(page: Page) -> None:
    show_fracture(page)
    for name in ("#verdict", "#sentence", "#next", "#canvas", "#heat-scale"):
        expect(page.locator(name)).to_be_in_viewport(ratio=1)


def test_every_target_is_large_enough(page: Page) -> None:
    """24 px at least (WCAG 2.5.8)."""
    show_fracture(page)
    for target in page.locator("button:visible, select:visible, summary:visible").all():
        box = target.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24, target


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong, with its places."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in found]
