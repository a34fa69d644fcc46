from __future__ import annotations

import numpy as np

from edge_app.model.pointing import Box, covered, points_inside

HIT = Box(0.5, 0.25, 0.25, 0.25)  # the cell in row 1, column 2 of 4 x 4
MISS = Box(0, 0, 0.25, 0.25)


def test_cells_are_covered_where_their_centre_lies_in_a_box() -> None:
    inside = covered([HIT, MISS], 4, 4)
    assert np.argwhere(inside).tolist() == [[0, 0], [1, 2]]
    assert not covered([Box(0, 0, 0.12, 1)], 4, 4).any()  # the first centre is at 0.125


def test_peak_counts_only_inside() -> None:
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[1, 2] = 1
    assert points_inside(heatmap, covered([MISS, HIT], 4, 4))
    assert not points_inside(heatmap, covered([MISS], 4, 4))
    assert not points_inside(np.zeros((4, 4), np.float32), np.full((4, 4), True))
