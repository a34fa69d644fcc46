from __future__ import annotations

import numpy as np

from export.proof.drawn import draw_xray


def test_drawn_pictures_are_the_same_for_the_same_seed() -> None:
    np.testing.assert_array_equal(draw_xray(3), draw_xray(3))
    assert (draw_xray(3) != draw_xray(4)).any()
    assert (draw_xray(3) != draw_xray(3, fractured=True)).any()
