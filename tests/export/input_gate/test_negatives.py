from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge_app.model.quality import BLANK, TOO_BRIGHT, TOO_DARK, exposure
from export.input_gate import alterations, negatives
from export.input_gate.kinds import Negative, to_fit, to_test
from export.proof.drawn import draw_xray

XRAY = draw_xray(1)
DRAWN = [
    negatives.document,
    negatives.form,
    negatives.handwriting,
    negatives.screenshot,
    negatives.chart,
    negatives.barcode,
    negatives.noise,
    negatives.blank,
    negatives.scene,
    negatives.body_section,
    negatives.chest,
    negatives.abdomen,
]
ALTERED = [
    alterations.inverted,
    alterations.overexposed,
    alterations.underexposed,
    alterations.posterised,
    alterations.screen_photo,
    alterations.film_photo,
    alterations.in_viewer,
    alterations.in_report,
    alterations.collage,
    alterations.acceptable,
]


def drawn_twice(make: Callable[[np.random.Generator], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return make(np.random.default_rng(3)), make(np.random.default_rng(3))


@pytest.mark.parametrize("draw", DRAWN, ids=lambda draw: draw.__name__)
def test_a_drawn_picture_is_grey_and_the_same_for_the_same_seed(draw: Callable[..., np.ndarray]) -> None:
    first, second = drawn_twice(draw)
    assert (first.dtype, first.ndim) == (np.uint8, 2)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("alter", ALTERED, ids=lambda alter: alter.__name__)
def test_an_altered_xray_is_another_picture_and_the_given_one_stays(
    alter: Callable[..., np.ndarray],
) -> None:
    given = XRAY.copy()
    altered = alter(given, np.random.default_rng(3))
    np.testing.assert_array_equal(given, XRAY)
    assert altered.dtype == np.uint8
    assert altered.shape != XRAY.shape or not np.array_equal(altered, XRAY)


def test_faults_of_exposure_show_in_grey_levels() -> None:
    generator = np.random.default_rng(0)
    assert exposure(negatives.blank(generator))[1] == (BLANK,)
    assert TOO_BRIGHT in exposure(alterations.overexposed(XRAY, generator))[1]
    assert set(exposure(alterations.underexposed(XRAY, generator))[1]) & {BLANK, TOO_DARK}


def test_some_kinds_are_judged_that_were_not_learnt() -> None:
    def kinds(pictures: list[Negative]) -> set[str]:
        return {negative.kind for negative in pictures}

    generator = np.random.default_rng(0)
    learnt, judged = (
        kinds(list(to_fit([XRAY], 1, generator))),
        kinds(list(to_test([XRAY], 1, generator, None))),
    )
    assert {"document", "inverted", "screen_photo"} <= learnt & judged
    assert {"handwriting", "abdomen", "film_photo", "in_report", "collage"} <= judged - learnt
    assert all(negative.reason for negative in to_fit([XRAY], 1, generator))
