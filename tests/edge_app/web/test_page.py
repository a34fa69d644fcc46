"""What is brought in, and what is answered."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from edge_app.imaging.images import encode_png
from edge_app.predictor import Predictor
from export.proof.drawn import draw_xray
from tests.edge_app.web.conftest import choose, grey_png, needs_chromium

pytestmark = [pytest.mark.slow, needs_chromium]

DROP = """(files) => {
    const transfer = new DataTransfer();
    for (const [name, bytes] of files) transfer.items.add(new File([new Uint8Array(bytes)], name));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
}"""


def test_chosen_file_is_answered(page: Page, white_png: bytes) -> None:
    choose(page, white_png, name="left hand.png")
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")
    # 40 x 60 white pixels fill 21 of the 32 rows: logit 6 * 21 / 32 - 2 = 1.94
    expect(page.locator("#sentence")).to_have_text(
        "Probability of a fracture: 87%, above the threshold of 50%."
    )
    expect(page.locator("#next")).to_contain_text("Have this X-ray read by a qualified person")
    expect(page.locator("#file-name")).to_have_text("left hand.png")
    expect(page.locator("#judged").get_by_text("Assistive tool, not a diagnosis")).to_be_in_viewport()
    expect(page.locator("#heat-caption")).to_contain_text("Where to look")
    expect(page.locator("#judged")).to_contain_text("Device: cpu")
    expect(page.locator("#aloud")).to_contain_text("left hand.png: Fracture Detected.")


def test_real_xray_is_answered_and_shown(page: Page, default_address: str, xray_dir: Path) -> None:
    xray = sorted((xray_dir / "images").rglob("*.jpg"))[0]
    page.goto(default_address)
    page.set_input_files("#file", xray)
    page.locator("#viewer").wait_for()
    expect(page.locator("#file-name")).to_have_text(xray.name)
    expect(page.locator("#sentence")).to_contain_text("Probability of a fracture:")
    spread = page.locator("#canvas").evaluate(
        "(c) => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size"
    )
    assert spread > 100  # grey levels and colours of a picture, not an empty stage


def test_confidence_in_a_fracture_that_is_improbable_is_not_told(
    page: Page, default_address: str, default_predictor: Predictor
) -> None:
    """At a low threshold a fracture is reported whose probability is low; that is no 'confidence'."""
    blurred = encode_png(cv2.GaussianBlur(draw_xray(2, fractured=True), (0, 0), 8))
    threshold = default_predictor.manifest.operating_point.threshold
    assert threshold < default_predictor.predict(blurred).probability < 0.5
    page.goto(default_address)
    choose(page, blurred)
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")
    expect(page.locator("#sentence")).to_contain_text(f"above the threshold of {threshold:.0%}")
    assert "onfidence" not in page.locator("body").inner_text()


def test_normal_answer_has_its_own_sign_and_advice(page: Page) -> None:
    choose(page, grey_png(0))
    expect(page.locator("#verdict")).to_have_text("Normal")
    expect(page.locator("#verdict-sign")).to_have_attribute("href", "#sign-normal")
    expect(page.locator("#next")).to_contain_text("Judge by the patient")
    expect(page.locator("#heat-caption")).to_have_text("No place in this picture spoke for a fracture.")
    expect(page.locator("#opacity")).to_be_disabled()


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (255, "far above"),  # logit 4
        (130, "above"),  # 1.06
        (95, "just above"),  # 0.24
        (75, "just below"),  # -0.24
        (50, "below"),  # -0.82
    ],
)
def test_distance_from_the_threshold_is_told_in_words(page: Page, level: int, words: str) -> None:
    choose(page, grey_png(level))
    expect(page.locator("#sentence")).to_contain_text(f"%, {words} the threshold of")


def test_probability_and_threshold_never_look_equal_when_they_differ(page: Page) -> None:
    image = np.full((64, 64), 84, np.uint8)
    image[32:] = 85  # logit 6 * 84.5 / 255 - 2 = -0.012, probability 0.497
    choose(page, encode_png(image))
    expect(page.locator("#sentence")).to_have_text(
        "Probability of a fracture: 49.7%, just below the threshold of 50.0%."
    )


def test_dropped_file_is_judged(page: Page, white_png: bytes) -> None:
    page.evaluate(DROP, [["x.png", list(white_png)]])
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")


def test_pasted_file_is_judged(page: Page, white_png: bytes) -> None:
    page.evaluate(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "x.png", { type: "image/png" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer }));
        }""",
        list(white_png),
    )
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")


def test_folder_gives_its_pictures_and_tells_what_was_left_out(
    page: Page, white_png: bytes, tmp_path: Path
) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "hand").write_bytes(white_png)
    (tmp_path / "viewer.exe").write_bytes(b"MZ")
    (tmp_path / "read me.txt").write_bytes(b"hello")
    page.set_input_files("#folder", tmp_path)
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")
    expect(page.locator("#file-name")).to_have_text("hand")


def test_folder_without_pictures_is_told(page: Page, tmp_path: Path) -> None:
    (tmp_path / "read me.txt").write_bytes(b"hello")
    page.set_input_files("#folder", tmp_path)
    expect(page.locator("#status")).to_have_text(
        "No picture was found in this folder. Files that are no pictures were left out: 1."
    )


def test_disc_gives_its_dicom_files_only(page: Page, white_png: bytes, tmp_path: Path) -> None:
    """A disc's viewer brings pictures of its own, and DICOMDIR is a list of contents."""
    dicom = bytes(128) + b"DICM" + bytes(20)
    for name, data in {"DICOMDIR": dicom, "IM0001": dicom, "logo.png": white_png}.items():
        (tmp_path / name).write_bytes(data)
    page.set_input_files("#folder", tmp_path)
    expect(page.locator("#file-name")).to_have_text("IM0001")
    expect(page.locator("#problem")).to_be_visible()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello", "This is a text, not an X-ray"),
        (b"%PDF-1.7\n\x00", "This is a PDF document"),
        (b"PK\x03\x04\x00", "This is an archive or an office document"),
        (b"\x00\x01\x02\x03", "This file is not a picture that the tool can read"),
        (b"", "The file is empty"),
        (grey_png(200)[:70], "The picture is broken or incomplete"),
        (bytes(2_000_001), "The file is larger than"),
    ],
    ids=["text", "pdf", "archive", "unknown", "empty", "truncated", "too large"],
)
def test_bad_file_is_explained_and_the_next_one_judged(
    page: Page, white_png: bytes, data: bytes, message: str
) -> None:
    choose(page, data, name="bad")
    expect(page.locator("#problem")).to_contain_text(message)
    expect(page.locator("#judged")).to_be_hidden()
    expect(page.locator("#viewer")).to_be_hidden()
    choose(page, white_png)
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")
    expect(page.locator("#problem")).to_be_hidden()


def test_text_instead_of_a_file_is_explained_and_wipes_no_answer(page: Page, white_png: bytes) -> None:
    page.evaluate(DROP, [])
    expect(page.locator("#status")).to_contain_text("That was not a file")
    choose(page, white_png)
    page.locator("#viewer").wait_for()
    expect(page.locator("#status")).to_be_empty()
    page.evaluate(DROP, [])
    expect(page.locator("#judged")).to_be_visible()
    expect(page.get_by_text("That was not a file")).to_be_in_viewport()


def test_same_file_twice_is_judged_once(page: Page, white_png: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(white_png)
    for _ in range(2):
        page.set_input_files("#file", tmp_path / "x.png")
        page.locator("#judged").wait_for()
    expect(page.locator("#entries li")).to_have_count(1)


def test_later_file_does_not_wait_to_be_shown(page: Page, white_png: bytes) -> None:
    page.route("**/predict", lambda route: (time.sleep(0.5), route.continue_()))
    choose(page, white_png, name="first.png")
    choose(page, bytes(2_000_001), name="second.png")
    expect(page.locator("#problem")).to_contain_text("The file is larger than")
    expect(page.locator("#entries li").last).to_contain_text("Fracture Detected")
    expect(page.locator("#file-name")).to_have_text("second.png")
    page.unroute("**/predict")


def test_stopped_app_is_told_and_recovered_from(page: Page, white_png: bytes) -> None:
    for call in ("predict", "health"):
        page.route(f"**/{call}", lambda route: route.abort())
    choose(page, white_png)
    expect(page.locator("#connection")).to_contain_text("goes on by itself as soon as it answers")
    for call in ("predict", "health"):
        page.unroute(f"**/{call}")
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")
    expect(page.locator("#connection")).to_be_hidden()


def test_app_that_never_answers_is_not_asked_for_ever(page: Page, white_png: bytes) -> None:
    page.route("**/predict", lambda route: route.abort())
    choose(page, white_png)
    expect(page.locator("#problem")).to_contain_text("The tool does not answer")
    page.unroute("**/predict")


def test_busy_app_is_asked_again(page: Page, white_png: bytes) -> None:
    refusals = iter([{"status": 503, "headers": {"Retry-After": "1"}, "body": "{}"}])

    def answer(route: object) -> None:
        refusal = next(refusals, None)
        route.continue_() if refusal is None else route.fulfill(**refusal)  # type: ignore[attr-defined]

    page.route("**/predict", answer)
    choose(page, white_png)
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")
    page.unroute("**/predict")


def test_everything_is_cleared_when_nobody_uses_the_page(page: Page, white_png: bytes) -> None:
    choose(page, white_png)
    page.locator("#viewer").wait_for()
    page.evaluate("document.getElementById('main').dataset.minutes = 0.01")
    expect(page.locator("#status")).to_contain_text("Everything was cleared, because nobody used this page")
    expect(page.locator("#work")).to_be_hidden()
    expect(page.locator("#sitting")).to_be_hidden()
    expect(page.locator("#intake .call")).to_be_visible()


def test_cleared_picture_is_forgotten_by_the_app_too(page: Page, address: str, white_png: bytes) -> None:
    with page.expect_response("**/picture.png") as fetched:
        choose(page, white_png)
    page.locator("#viewer").wait_for()
    with page.expect_response(lambda response: response.request.method == "DELETE") as forgotten:
        page.get_by_role("button", name="Clear x.png").click()
    assert forgotten.value.status == 204
    assert page.request.get(fetched.value.url).status == 404
    expect(page.locator("#entries li")).to_have_count(0)


def test_file_that_went_away_meanwhile_is_told(page: Page, white_png: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(white_png)
    with page.expect_response("**/predict") as answered:
        page.set_input_files("#file", tmp_path / "x.png")
    page.locator("#viewer").wait_for()
    choose(page, grey_png(0), name="second.png")
    expect(page.locator("#verdict")).to_have_text("Normal")
    page.request.delete(f"{page.url}results/{answered.value.json()['id']}")
    (tmp_path / "x.png").unlink()  # as when the stick that it lies on is pulled out
    page.locator("#entries button", has_text="x.png").first.click()
    expect(page.locator("#problem")).to_contain_text("The file cannot be read any more")


def test_report_of_an_answer_that_the_app_forgot_is_refused_where_it_is_seen(
    page: Page, white_png: bytes
) -> None:
    with page.expect_response("**/predict") as answered:
        choose(page, white_png)
    page.locator("#viewer").wait_for()
    page.request.delete(f"{page.url}results/{answered.value.json()['id']}")
    page.get_by_role("button", name="Report (PDF)").click()
    expect(page.get_by_text("The report could not be made.")).to_be_in_viewport()


def test_answer_that_the_app_forgot_is_asked_for_again(page: Page, white_png: bytes) -> None:
    with page.expect_response("**/predict") as answered:
        choose(page, white_png, name="first.png")
    page.locator("#viewer").wait_for()
    choose(page, grey_png(0), name="second.png")
    expect(page.locator("#verdict")).to_have_text("Normal")
    page.request.delete(f"{page.url}results/{answered.value.json()['id']}")
    with page.expect_response("**/predict"):
        page.locator("#entries button", has_text="first.png").click()
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")
    expect(page.locator("#viewer")).to_be_visible()


def test_keyboard_alone_reaches_the_file_chooser(page: Page) -> None:
    opened: list[object] = []
    page.on(
        "filechooser", lambda chooser: opened.append(chooser)
    )  # before the key: Chromium needs a moment to hand choosers over
    page.screenshot()  # Chromium swallows keys until it has painted the page
    page.locator("#language").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#file")).to_be_focused()
    page.keyboard.press("Space")
    for _ in range(50):
        page.wait_for_timeout(100 if not opened else 0)
    assert len(opened) == 1


def test_answer_prints_with_both_pictures(page: Page, white_png: bytes) -> None:
    choose(page, white_png)
    page.locator("#viewer").wait_for()
    page.emulate_media(media="print")
    expect(page.locator("#print-xray")).to_be_visible()
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page.locator("#verdict")).to_be_visible()
    paper = page.pdf(format="A4")
    assert paper.startswith(b"%PDF")
    page.emulate_media(media="screen")
    for name in ("print-xray", "print-heat"):
        levels = page.locator(f"#{name}").evaluate(
            "(c) => [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data]"
        )
        assert (levels == [255, 255, 255, 255]) is (name == "print-xray")


def test_page_about_the_tool_names_model_licences_and_what_is_kept(page: Page) -> None:
    page.get_by_role("link", name="About", exact=True).click()
    text = page.locator("main").inner_text()
    for words in ("toy 1", "Nothing is stored on this computer", "Apache License 2.0", "waitress 3", "ZPL"):
        assert words in text


def test_place_in_the_queue_is_shown_while_a_picture_waits(page: Page, white_png: bytes) -> None:
    line = {"waiting": 5, "expected_wait_s": 3.2, "position": 4}
    asked: list[str] = []
    held: list[Route] = []
    page.route("**/queue?*", lambda route: (asked.append(route.request.url), route.fulfill(json=line)))
    page.route("**/predict", lambda route: held.append(route))
    choose(page, white_png)
    expect(page.locator("#waiting")).to_have_text("Waiting for its turn: 4 before it, about 4 seconds.")
    (upload,) = held
    assert asked[0].endswith(f"/queue?ticket={upload.request.headers['x-ticket']}")
    upload.continue_()
    expect(page.locator("#verdict")).to_have_text("Fracture Detected")
    page.unroute("**/queue?*")
    page.unroute("**/predict")
