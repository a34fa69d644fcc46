"""The viewer: an X-ray and its heat map on one canvas."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.edge_app.web.conftest import choose, corner_png, grey_png, needs_chromium

pytestmark = [pytest.mark.slow, needs_chromium]

# The brightest channel at four points around the canvas' middle: upper left, upper right, lower left, lower
# right.
CORNERS = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
    const { width, height } = document.getElementById("canvas");
    const context = document.getElementById("canvas").getContext("2d");
    const at = (x, y) => Math.max(...context.getImageData(x * width, y * height, 1, 1).data.slice(0, 3));
    done([at(0.4, 0.3), at(0.6, 0.3), at(0.4, 0.7), at(0.6, 0.7)]);
})))"""


@pytest.fixture
def viewer(page: Page) -> Page:
    """Show a bright picture whose upper left corner is black, without heat map."""
    choose(page, corner_png())
    page.locator("#viewer").wait_for()
    page.keyboard.press("m")
    return page


def dark_corner(page: Page) -> str:
    """Return where the black corner is seen."""
    corners = page.evaluate(CORNERS)
    names = ["upper left", "upper right", "lower left", "lower right"]
    dark = [name for name, level in zip(names, corners, strict=True) if level < 30]
    assert sorted(corners)[1:] == [200, 200, 200], corners
    (name,) = dark
    return name


def test_picture_is_shown_as_it_came(viewer: Page) -> None:
    assert dark_corner(viewer) == "upper left"


@pytest.mark.parametrize(
    ("keys", "corner"),
    [
        ("r", "upper right"),
        ("rr", "lower right"),
        ("l", "lower left"),
        ("h", "upper right"),
        ("v", "lower left"),
        ("rh", "upper left"),  # what is seen is flipped, not the picture before its turn
        ("hr", "lower right"),
        ("rhv ", "upper left"),
    ],
)
def test_keys_turn_and_flip_what_is_seen(viewer: Page, keys: str, corner: str) -> None:
    for key in keys:
        viewer.keyboard.press("Space" if key == " " else key)
    assert dark_corner(viewer) == corner


def test_i_inverts_and_space_resets(viewer: Page) -> None:
    viewer.keyboard.press("i")
    assert viewer.evaluate(CORNERS) == [255, 55, 55, 55]
    expect(viewer.get_by_label("Invert")).to_have_attribute("aria-pressed", "true")
    viewer.keyboard.press("Space")
    assert dark_corner(viewer) == "upper left"


def test_plus_minus_and_equals_zoom_and_fit(viewer: Page) -> None:
    for key, zoom in [("+", "125%"), ("+", "156%"), ("-", "125%"), ("=", "100%")]:
        viewer.keyboard.press(key)
        expect(viewer.locator("#view-state")).to_contain_text(f"Zoom {zoom}")


def test_wheel_zooms_and_the_place_under_the_mouse_stays(viewer: Page) -> None:
    box = viewer.locator("#canvas").bounding_box()
    assert box is not None
    viewer.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    viewer.mouse.wheel(0, -2000)
    assert viewer.evaluate(CORNERS) == [0, 0, 0, 0]  # the black corner fills the canvas
    expect(viewer.locator("#view-state")).to_contain_text("Zoom 1,600%")


def test_drag_moves_the_picture(viewer: Page) -> None:
    drag(viewer, 0.3, 0.3, 0.75, 0.8)
    corners = viewer.evaluate(CORNERS)
    assert corners[3] == 0  # the black corner followed the mouse
    assert corners[0] == 0  # and nothing was left behind


def test_drag_changes_brightness_and_contrast(viewer: Page) -> None:
    viewer.keyboard.press("w")
    drag(viewer, 0.5, 0.5, 0.5, 0.8)  # down: darker
    assert viewer.evaluate(CORNERS)[3] < 190
    expect(viewer.locator("#preset")).to_have_value("own")
    assert "Contrast 100" in viewer.locator("#view-state").inner_text()


def test_right_button_changes_brightness_with_any_tool(viewer: Page) -> None:
    drag(viewer, 0.5, 0.5, 0.5, 0.2, button="right")  # up: brighter
    assert viewer.evaluate(CORNERS)[3] > 210


def test_preset_spreads_the_greys_that_are_there(page: Page) -> None:
    choose(page, grey_png(120))
    page.locator("#viewer").wait_for()
    page.keyboard.press("m")
    page.keyboard.press("2")  # full contrast of one single grey: black up to it, white from it
    expect(page.locator("#preset")).to_have_value("full")
    assert page.evaluate(CORNERS)[0] in (127, 128)
    page.keyboard.press("1")
    assert page.evaluate(CORNERS)[0] == 120


def test_heat_map_lies_over_the_picture_until_it_is_switched_off(page: Page) -> None:
    choose(page, grey_png(200))
    page.locator("#viewer").wait_for()
    # the toy's map is 1 everywhere: inferno's last colour fc ff a4 at 65 %
    assert page.evaluate(CORNERS)[0] == pytest.approx(0.65 * 255 + 0.35 * 200, abs=2)
    page.keyboard.press("m")
    assert page.evaluate(CORNERS)[0] == 200
    expect(page.get_by_label("Heat map on or off")).to_have_attribute("aria-pressed", "false")


def test_slider_sets_how_much_the_heat_map_covers(page: Page) -> None:
    choose(page, grey_png(200))
    page.locator("#viewer").wait_for()
    page.locator("#opacity").fill("0")
    assert page.evaluate(CORNERS)[0] == 200
    page.locator("#opacity").fill("100")
    assert page.evaluate(CORNERS)[0] == 255


def test_holding_p_peeks_below_the_heat_map(page: Page) -> None:
    choose(page, grey_png(200))
    page.locator("#viewer").wait_for()
    page.keyboard.down("p")
    assert page.evaluate(CORNERS)[0] == 200
    page.keyboard.up("p")
    assert page.evaluate(CORNERS)[0] > 230


def test_side_by_side_shows_the_picture_beside_its_heat_map(page: Page) -> None:
    choose(page, grey_png(200))
    page.locator("#viewer").wait_for()
    page.keyboard.press("s")
    left, right, *_ = page.evaluate(CORNERS)
    assert (left, right > 230) == (200, True)


def test_colour_map_is_chosen_and_its_legend_follows(page: Page) -> None:
    choose(page, grey_png(200))
    page.locator("#viewer").wait_for()
    ends = "(c) => [...c.getContext('2d').getImageData(255, 0, 1, 1).data.slice(0, 3)]"
    for name, end in {"inferno": [252, 255, 164], "cividis": [254, 232, 56], "jet": [127, 0, 0]}.items():
        page.locator("#colours").select_option(name)
        page.evaluate(CORNERS)
        assert page.locator("#heat-bar").evaluate(ends) == end


def test_keys_rest_when_they_are_switched_off(viewer: Page) -> None:
    viewer.keyboard.press("?")
    viewer.get_by_label("Keys are on").uncheck()
    viewer.get_by_role("button", name="Close").click()
    viewer.keyboard.press("h")
    assert dark_corner(viewer) == "upper left"


def test_full_screen_is_entered_and_left(viewer: Page) -> None:
    for is_full in (True, False):
        viewer.keyboard.press("f")
        viewer.wait_for_timeout(300)
        assert viewer.evaluate("document.fullscreenElement !== null") is is_full


def test_every_tool_has_a_name_and_tells_its_key(viewer: Page) -> None:
    for tool in viewer.locator(".tool").all():
        name, title = tool.get_attribute("aria-label"), tool.get_attribute("title")
        assert name
        assert title is not None
        assert title.startswith(f"{name} (")


def drag(page: Page, x0: float, y0: float, x1: float, y1: float, button: str = "left") -> None:
    """Drag over the canvas between two places, as shares of its size."""
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + x0 * box["width"], box["y"] + y0 * box["height"])
    page.mouse.down(button=button)  # type: ignore[arg-type]
    page.mouse.move(box["x"] + x1 * box["width"], box["y"] + y1 * box["height"], steps=4)
    page.mouse.up(button=button)  # type: ignore[arg-type]
