"""What the page makes of a DICOM file's header: windows, millimetres, the patient's name; and of a disc."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.conftest import require
from tests.dicom_files import xray_file
from tests.edge_app.web.conftest import choose, grey_png, needs_chromium
from tests.edge_app.web.test_access import violations
from tests.edge_app.web.test_report import text_of
from tests.edge_app.web.test_viewer import CORNERS, drag

pytestmark = [pytest.mark.slow, needs_chromium]

CALIBRATED = {"PixelSpacing": [0.25, 0.25], "ImagerPixelSpacing": [0.3, 0.3]}
UNCALIBRATED = {"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.2]}
WINDOWS = {
    "WindowCenter": [128, 100, 90],
    "WindowWidth": [256, 50, 20],
    "WindowCenterWidthExplanation": ["NORMAL", "BONE", ""],
}


def grey_dicom(level: int = 110, **attributes: Any) -> bytes:
    """Return a square picture of one grey, with a black edge."""
    pixels = np.full((64, 64), level, np.uint8)
    pixels[0] = 0
    return xray_file(pixels, **attributes)


def show(page: Page, data: bytes) -> None:
    choose(page, data, name="IM0001")
    page.locator("#viewer").wait_for()
    page.keyboard.press("m")


def test_windows_of_the_header_are_offered_beside_the_page_s_own(page: Page) -> None:
    show(page, grey_dicom(**WINDOWS))
    assert page.evaluate(CORNERS)[0] == 110
    names = page.locator("#preset option:not([hidden])").all_inner_texts()
    assert names == ["As received", "BONE", "Window 3 of the file", "Full contrast", "Bone", "Soft tissue"]
    page.locator("#preset").select_option("BONE")
    assert page.evaluate(CORNERS)[0] == pytest.approx(255 * 0.7, abs=4)  # (110 - 100) / 50 above the middle
    expect(page.locator("#preset")).to_have_value("window-1")
    page.keyboard.press("Space")
    assert page.evaluate(CORNERS)[0] == 110


def test_next_picture_offers_no_windows_of_the_last_one(page: Page) -> None:
    show(page, grey_dicom(**WINDOWS))
    choose(page, grey_png(110))
    expect(page.locator("#preset option:not([hidden])")).to_have_count(4)


@pytest.mark.parametrize("keys", ["t", "rt", "rst", "htl"])
def test_distance_is_measured_in_calibrated_millimetres(page: Page, keys: str) -> None:
    """Pixels lie 0.25 mm apart; a quarter of the picture is 16 pixels."""
    show(page, grey_dicom(**CALIBRATED))
    for key in keys:
        page.keyboard.press(key)
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    pane = box["width"] / (2 if "s" in keys else 1)
    quarter = 0.25 * min(pane, box["height"]) / box["width"]
    drag(page, 0.1, 0.5, 0.1 + quarter, 0.5)
    expect(page.locator("#view-state")).to_contain_text("· 4 mm")
    page.keyboard.press("Space")
    expect(page.locator("#view-state")).not_to_contain_text("mm")
    assert violations(page) == []


@pytest.mark.parametrize("spacing", [{}, {"ImagerPixelSpacing": [0.2, 0.2]}, UNCALIBRATED])
def test_no_millimetres_where_the_header_has_no_calibrated_spacing(
    page: Page, spacing: dict[str, Any]
) -> None:
    show(page, grey_dicom(**spacing))
    expect(page.get_by_label("Drag measures a distance")).to_be_hidden()
    page.keyboard.press("t")
    drag(page, 0.3, 0.5, 0.6, 0.5)
    expect(page.locator("#view-state")).not_to_contain_text("mm")


def saved_report(page: Page, tmp_path: Path) -> str:
    with page.expect_download() as saved:
        page.get_by_role("button", name="Report (PDF)").click()
    saved.value.save_as(tmp_path / "saved.pdf")
    return text_of((tmp_path / "saved.pdf").read_bytes(), tmp_path)


def test_report_names_the_patient_only_when_the_person_says_so(page: Page, tmp_path: Path) -> None:
    show(page, grey_dicom(PatientName="Doe^Jane", PatientID="4711"))
    text = saved_report(page, tmp_path)
    assert "Assistive tool, not a diagnosis." in text
    assert "Patient" not in text
    page.get_by_text("Patient on the report").click()
    page.get_by_label("Take it from the DICOM file").check()
    assert violations(page) == []
    assert "Patient: Doe Jane, 4711" in saved_report(page, tmp_path)
    page.get_by_label("Name or number").fill("Bed 7")
    assert "Patient: Bed 7" in saved_report(page, tmp_path)


def test_next_picture_is_asked_for_its_own_patient(page: Page) -> None:
    show(page, grey_dicom(PatientName="Doe^Jane"))
    page.get_by_text("Patient on the report").click()
    page.get_by_label("Name or number").fill("Jane Doe")
    page.get_by_label("Take it from the DICOM file").check()
    choose(page, grey_png(200))
    expect(page.locator("#file-name")).to_have_text("x.png")
    expect(page.locator("#viewer")).to_be_visible()
    expect(page.get_by_label("Name or number")).to_have_value("")
    expect(page.locator("#from-header")).not_to_be_checked()
    expect(page.get_by_label("Take it from the DICOM file")).to_be_hidden()  # there is none


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """Write a disc of two X-rays with its list of contents, as dcmtk does."""
    files = [tmp_path / "disc" / "HAND" / f"IM{number}" for number in (1, 2)]
    files[0].parent.mkdir(parents=True)
    for number, path in enumerate(files):
        study = {"PatientName": "Drawn", "StudyDate": "20260101", "StudyTime": "1200", "StudyID": "1"}
        numbers = {"SOPInstanceUID": f"1.2.3.{number}", "SeriesNumber": 1, "InstanceNumber": number}
        path.write_bytes(grey_dicom(**study, **numbers))
    names = [str(path.relative_to(tmp_path / "disc")) for path in files]
    command = [require("dcmmkdir", "dcmtk"), "+I", *names]
    subprocess.run(command, cwd=tmp_path / "disc", check=True, capture_output=True)
    return tmp_path / "disc"


def test_files_that_a_disc_lists_and_lacks_are_told(page: Page, disc: Path) -> None:
    (disc / "HAND" / "IM1").unlink()
    page.set_input_files("#folder", disc)
    expect(page.locator("#viewer")).to_be_visible()  # the other one is judged
    told = "The disc lists files that are not there: 1 (HAND/IM1)."
    expect(page.get_by_text(told)).to_be_in_viewport()


def test_whole_disc_is_taken_without_a_word(page: Page, disc: Path) -> None:
    page.set_input_files("#folder", disc)
    expect(page.locator("#question-title")).to_have_text("Do these 2 X-rays show one patient?")
    expect(page.locator("#status")).not_to_contain_text("The disc lists")
