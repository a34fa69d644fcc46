from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.imaging.preprocess import Placement, place, preprocess, to_picture, to_square


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (200, 100, Placement(0, 25, 100, 50)),
        (100, 200, Placement(25, 0, 50, 100)),
        (50, 50, Placement(0, 0, 100, 100)),
        (1000, 1, Placement(0, 49, 100, 1)),
    ],
)
def test_picture_is_centred_with_its_ratio_kept(height: int, width: int, expected: Placement) -> None:
    assert place(height, width, 100) == expected


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(32, 640))
def test_placement_fits_the_square_for_any_picture(height: int, width: int, size_px: int) -> None:
    top, left, inner_height, inner_width = place(height, width, size_px)
    assert max(inner_height, inner_width) == size_px
    assert top >= 0
    assert left >= 0
    assert top + inner_height <= size_px
    assert left + inner_width <= size_px


def test_shrinking_averages_over_areas() -> None:
    image = np.tile(np.array([[0, 200]], np.uint8), (64, 32))
    assert np.unique(to_square(image, 32)).tolist() == [100]


def test_padding_is_black() -> None:
    square = to_square(np.full((64, 32), 255, np.uint8), 64)
    assert square[:, 16:48].min() == 255
    assert square[:, :16].max() == square[:, 48:].max() == 0


def test_tensor_is_one_grey_float_picture_in_0_to_255() -> None:
    tensor = preprocess(np.full((50, 50), 255, np.uint8), 32)
    assert tensor.shape == (1, 32, 32, 1)
    assert tensor.dtype == np.float32
    assert (tensor.min(), tensor.max()) == (255, 255)


def test_map_over_the_square_is_cut_to_the_picture() -> None:
    square_map = np.zeros((4, 4), np.float32)
    square_map[:, 1:3] = 1.0  # the part that a picture of half the width covers
    picture_map = to_picture(square_map, height=200, width=100, size_px=64)
    assert picture_map.shape == (64, 32)
    assert picture_map[:, 8:24].min() >= 1.0
    assert picture_map.min() >= 0.0


def test_peak_between_two_cells_is_found_there() -> None:
    square_map = np.zeros((4, 4), np.float32)
    square_map[1, 1:3] = 1.0
    _, column = np.unravel_index(to_picture(square_map, 64, 64, 64).argmax(), (64, 64))
    assert column in (31, 32)


def test_a_mark_comes_back_to_where_it_was() -> None:
    image = np.zeros((300, 200), np.uint8)
    image[230:250, 40:60] = 255
    square = to_square(image, 96).astype(np.float32)
    row, column = np.unravel_index(to_picture(square, 300, 200, 96).argmax(), (96, 64))
    assert (row * 300 / 96, column * 200 / 64) == pytest.approx((240, 50), abs=12)
