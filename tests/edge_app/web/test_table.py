"""Many X-rays at once: the table."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.edge_app.web.conftest import choose, choose_table, grey_png, needs_chromium

pytestmark = [pytest.mark.slow, needs_chromium]


def test_twenty_files_are_sorted_worst_first_and_a_broken_one_stops_nobody(page: Page) -> None:
    levels = [(37 * at) % 240 for at in range(19)]
    choose(page, *[grey_png(level) for level in levels], b"hello")
    expect(page.locator("#table-count")).to_have_text("20 of 20 X-rays done")
    names = [name.inner_text() for name in page.locator("#rows th").all()]
    expected = [f"{at}-x.png" for at in sorted(range(19), key=lambda at: -levels[at])]
    assert names == [*expected, "19-x.png"]
    expect(page.locator("#rows tr").last).to_contain_text("Not judged: This is a text, not an X-ray")
    expect(page.locator("#rows tr").first).to_contain_text("Fracture Detected")
    expect(page.locator("#stop")).to_be_hidden()


def test_row_opens_its_picture_and_leads_back(page: Page) -> None:
    choose_table(page, grey_png(0), grey_png(255))
    page.get_by_role("button", name="0-x.png").click()
    expect(page.locator("#verdict")).to_have_text("Normal")
    expect(page.locator("#viewer")).to_be_visible()
    page.get_by_role("button", name="Back to the table").click()
    expect(page.locator("#rows tr")).to_have_count(2)


def test_results_stream_as_they_come_and_the_rest_can_be_stopped(page: Page) -> None:
    page.route("**/predict", lambda route: (time.sleep(0.2), route.continue_()))
    choose(page, *[grey_png(level) for level in range(100, 120)])
    page.locator("#rows tr.is-fractured").first.wait_for()
    expect(page.locator("#table-progress")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#stop")).to_be_hidden()
    assert page.locator("#rows tr", has_text="Stopped").count() >= 10
    page.unroute("**/predict")


def test_single_picture_goes_before_a_table(page: Page) -> None:
    page.route("**/predict", lambda route: (time.sleep(0.1), route.continue_()))
    choose(page, *[grey_png(level) for level in range(100, 130)])
    choose(page, grey_png(255), name="urgent.png")
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")
    assert page.locator("#entries li").count() == 2
    page.locator("#entries button", has_text="Table of 30").click()
    expect(page.locator("#stop")).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    page.unroute("**/predict")


def test_table_is_saved_for_a_spreadsheet(page: Page, tmp_path: Path) -> None:
    page.set_input_files(
        "#file",
        [
            {"name": name, "mimeType": "image/png", "buffer": data}
            for name, data in {'=a,"b".png': grey_png(255), "c.png": b""}.items()
        ],
    )
    page.locator("#many-patients").click()
    expect(page.locator("#table-count")).to_have_text("2 of 2 X-rays done")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as table (CSV)").click()
    saved.value.save_as(tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["File", "Answer", "Probability of a fracture", "Threshold", "Note"],
        ['\'=a,"b".png', "Fracture Detected", "0.9820", "0.5000", "Assistive tool, not a diagnosis."],
        [
            "c.png",
            "Not judged",
            "",
            "",
            "The file is empty. Save or export the X-ray again and send that file.",
        ],
    ]


def test_table_is_cleared_with_everything(page: Page) -> None:
    choose_table(page, grey_png(0), grey_png(255))
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#table")).to_be_hidden()
    expect(page.locator("#status")).to_have_text("Everything was cleared.")
    expect(page.locator("#entries li")).to_have_count(0)
