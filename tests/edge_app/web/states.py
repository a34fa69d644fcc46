"""The states of the page that a person can see, and how each is reached."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from tests.edge_app.web.conftest import choose, choose_table, grey_png

State = Callable[[Page], None]


def show_nothing(page: Page) -> None:
    page.locator("#intake").wait_for()


def show_fracture(page: Page) -> None:
    choose(page, grey_png(255))
    page.locator("#viewer").wait_for()


def show_normal(page: Page) -> None:
    choose(page, grey_png(0))
    page.locator("#viewer").wait_for()
    page.locator("summary").first.click()


def show_broken(page: Page) -> None:
    choose(page, b"hello")
    page.locator("#problem").wait_for()


def show_table(page: Page) -> None:
    choose_table(page, grey_png(0), grey_png(255), b"hello")
    page.locator("#table").wait_for()
    page.locator("#stop").wait_for(state="hidden")


def show_question(page: Page) -> None:
    choose(page, grey_png(0), grey_png(255))
    page.locator("#question").wait_for()


def show_study(page: Page) -> None:
    show_question(page)
    page.locator("#one-patient").click()
    page.locator("#viewer").wait_for()


def show_keys(page: Page) -> None:
    show_fracture(page)
    page.keyboard.press("?")
    page.locator("#help").wait_for()


def show_about(page: Page) -> None:
    page.locator("nav a[href*=about]").click()
    page.locator("h1").wait_for()


def show_sheet(page: Page) -> None:
    page.locator("nav a[href*=sheet]").click()
    page.locator("ol").wait_for()


STATES: list[State] = [
    show_nothing,
    show_fracture,
    show_normal,
    show_broken,
    show_table,
    show_question,
    show_study,
    show_keys,
    show_about,
    show_sheet,
]
