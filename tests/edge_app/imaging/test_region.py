from __future__ import annotations

import numpy as np
import pytest

from edge_app.imaging.region import area_px, warm_outline


def test_cold_map_has_no_outline() -> None:
    assert warm_outline(np.zeros((4, 4), np.float32), (40, 40)) is None


def test_one_warm_cell_is_outlined_around_its_middle() -> None:
    heatmap = np.zeros((5, 5), np.float32)
    heatmap[1, 3] = 1.0
    outline = warm_outline(heatmap, (100, 100))
    assert outline.mean(axis=0) == pytest.approx((70, 30), abs=1.5)  # the cell spans 60..80 and 20..40
    assert 200 < area_px(outline) < 420  # between half-warm by linear interpolation and the whole cell


def test_place_with_the_peak_is_taken_and_another_warm_one_is_not() -> None:
    heatmap = np.zeros((8, 8), np.float32)
    heatmap[1, 1], heatmap[6, 6] = 0.9, 1.0
    outline = warm_outline(heatmap, (80, 80))
    assert outline.min() > 40


def test_outline_lies_in_pixels_of_a_picture_of_any_shape() -> None:
    heatmap = np.ones((2, 2), np.float32)
    outline = warm_outline(heatmap, (1000, 3000))
    assert outline.min(axis=0) == pytest.approx((0, 0), abs=6)
    assert outline.max(axis=0) == pytest.approx((3000, 1000), abs=6)
    assert area_px(outline) == pytest.approx(3_000_000, rel=0.02)
