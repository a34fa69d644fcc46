from __future__ import annotations

import numpy as np
import pytest

from edge_app.model.pointing import Box
from training.data.targets import draw_boxes, to_cells


def test_box_is_drawn_where_the_picture_lies_in_the_square() -> None:
    # a picture of 200 x 100 fills columns 80 to 240 of a 320-pixel square, at 1.6 times its size
    mask = draw_boxes([Box(0.5, 0.25, 0.5, 0.25)], 200, 100, 320)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (80, 160, 160, 240)


def test_boxes_are_numbered_from_1() -> None:
    mask = draw_boxes([Box(0.1, 0.1, 0.2, 0.2), Box(0.6, 0.6, 0.3, 0.3)], 100, 100, 100)
    assert (mask[20, 20], mask[75, 75], mask[50, 50]) == (1, 2, 0)


def test_no_box_gives_an_empty_mask() -> None:
    assert not draw_boxes([], 100, 100, 64).any()


@pytest.mark.parametrize("corner", np.linspace(0.1, 0.8, 25))
def test_smallest_box_marks_a_cell_wherever_it_lies(corner: float) -> None:
    mask = draw_boxes([Box(corner, corner / 2, 0.001, 0.001)], 400, 400, 384)
    assert 1 <= to_cells(mask).sum() <= 4


def test_cells_count_when_a_quarter_is_covered() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:16, :16] = 255
    mask[16:32, 16:20] = 255  # a quarter
    mask[32:48, 32:35] = 255  # less
    assert np.argwhere(to_cells(mask)[..., 0]).tolist() == [[0, 0], [1, 1]]
