from __future__ import annotations

import numpy as np

from edge_app.imaging.overlay import MAX_OPACITY, overlay


def test_cold_places_show_the_picture_unchanged() -> None:
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16)
    coloured = overlay(picture, np.zeros((4, 4), np.float32))
    np.testing.assert_array_equal(coloured, np.stack([picture] * 3, axis=-1))


def test_hottest_place_is_yellow_at_the_greatest_opacity() -> None:
    coloured = overlay(np.zeros((8, 8), np.uint8), np.ones((2, 2), np.float32))
    red, green, blue = coloured[4, 4] / MAX_OPACITY
    assert red > 245
    assert green > 245
    assert blue < 180


def test_warmth_grows_in_brightness() -> None:
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (4, 1))
    brightness = overlay(np.zeros((4, 64), np.uint8), ramp)[0].astype(int).sum(axis=1)
    assert (np.diff(brightness) >= 0).all()


def test_overlay_has_the_pictures_size() -> None:
    assert overlay(np.zeros((30, 50), np.uint8), np.ones((3, 5), np.float32)).shape == (30, 50, 3)
