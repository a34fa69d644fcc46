"""Views of one patient, and answers with a quality warning or without certainty, as the API tells them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from tests.dicom_files import xray_file
from tests.edge_app.web.conftest import choose, grey_png, needs_chromium
from tests.edge_app.web.test_access import violations

pytestmark = [pytest.mark.slow, needs_chromium]


def predict_with(page: Page, **changes: Any) -> None:
    """Let the app answer as it does, but for some fields."""

    def answer(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=json.dumps({**response.json(), **changes}))

    page.route("**/predict", answer)


def test_uncertain_answer_has_its_own_sign_words_and_advice(page: Page) -> None:
    predict_with(page, uncertain=True)
    choose(page, grey_png(70))
    expect(page.locator("#verdict")).to_have_text("Uncertain")
    expect(page.locator("#verdict-sign")).to_have_attribute("href", "#sign-uncertain")
    expect(page.locator("#next")).to_contain_text("The tool cannot tell.")
    assert violations(page) == []
    page.unroute("**/predict")


def test_quality_warning_is_told_where_the_gate_speaks(page: Page) -> None:
    predict_with(page, quality={"accepted": False, "reasons": ["inverted", "too_dark"]})
    choose(page, grey_png(70))
    expect(page.locator("#quality")).to_contain_text("Black and white seem to be exchanged")
    expect(page.locator("#quality")).to_contain_text("This X-ray is very dark.")
    assert violations(page) == []
    page.unroute("**/predict")


@pytest.mark.parametrize("quality", [None, {"accepted": True, "reasons": []}])
def test_nothing_is_said_of_quality_where_there_is_no_doubt(page: Page, quality: object) -> None:
    predict_with(page, quality=quality)
    choose(page, grey_png(70))
    page.locator("#judged").wait_for()
    expect(page.locator("#quality")).to_be_hidden()
    page.unroute("**/predict")


def test_refusal_names_the_tag(page: Page) -> None:
    refusal = {"error": "missing_tag", "message": "", "tag": "(0028,0010) Rows"}
    page.route("**/predict", lambda route: route.fulfill(status=422, body=json.dumps(refusal)))
    choose(page, grey_png(70))
    expect(page.locator("#problem")).to_contain_text("lacks something that is needed: (0028,0010) Rows.")
    page.unroute("**/predict")


@pytest.fixture
def study_page(page: Page) -> Page:
    """Choose three views: 0.119, 0.982 and 0.558, whose mean is 0.553."""
    choose(page, *[grey_png(level) for level in (0, 255, 95)])
    return page


def test_views_of_one_patient_are_judged_together(study_page: Page) -> None:
    expect(study_page.locator("#question-title")).to_have_text("Do these 3 X-rays show one patient?")
    assert violations(study_page) == []
    study_page.get_by_role("button", name="Yes, one patient").click()
    expect(study_page.locator("#verdict")).to_have_text("Fracture Detected")
    expect(study_page.locator("#sentence")).to_contain_text("Probability of a fracture: 55%")
    expect(study_page.locator("#together")).to_be_visible()
    expect(study_page.locator("#viewer")).to_be_visible()
    assert violations(study_page) == []
    study_page.locator("#views button", has_text="0-x.png").click()
    expect(study_page.locator("#verdict")).to_have_text("Normal")
    expect(study_page.locator("#together")).to_be_hidden()
    study_page.locator("#views button", has_text="All together").click()
    expect(study_page.locator("#verdict")).to_have_text("Fracture Detected")
    expect(study_page.locator("#entries li")).to_have_count(1)


def test_different_patients_come_into_a_table(study_page: Page) -> None:
    study_page.get_by_role("button", name="No, different patients").click()
    expect(study_page.locator("#table-count")).to_have_text("3 of 3 X-rays done")


def test_question_can_be_cancelled(study_page: Page) -> None:
    study_page.get_by_role("button", name="Cancel").click()
    expect(study_page.locator("#question")).to_be_hidden()
    expect(study_page.locator("#entries li")).to_have_count(0)


def test_dicom_is_judged_and_its_side_told(page: Page) -> None:
    choose(page, dicom(1, ImageLaterality="L", BodyPartExamined="HAND", ViewPosition="AP"), name="IM0001")
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")
    expect(page.locator("#facts")).to_have_text("Left side · Part of the body: HAND · View: AP")
    expect(page.locator("#viewer")).to_be_visible()


def test_views_of_two_patients_are_not_judged_together(page: Page) -> None:
    choose(page, dicom(1), dicom(2))
    page.get_by_role("button", name="Yes, one patient").click()
    expect(page.locator("#problem")).to_contain_text("These X-rays do not belong to one patient")
    page.locator("#views button", has_text="1-x.png").click()
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")


def dicom(patient: int, **attributes: str) -> bytes:
    """Return a DICOM file of a bright picture of one patient."""
    pixels = np.full((64, 64), 255, np.uint8)
    pixels[0] = np.linspace(0, 255, 64)
    identity = {"PatientID": str(patient), "StudyInstanceUID": f"1.2.3.{patient}"}
    return xray_file(pixels, **identity, **attributes)
