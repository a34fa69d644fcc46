from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.model.operating_point import choose_threshold

LABELS = np.array([0, 0, 1, 0, 1, 1], np.float32)
SCORES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


@pytest.mark.parametrize(("target", "expected"), [(1.0, 0.25), (0.6, 0.45), (0.3, 0.55)])
def test_threshold_lies_below_the_last_fracture_that_must_be_found(target: float, expected: float) -> None:
    assert choose_threshold(LABELS, SCORES, target) == pytest.approx(expected)


def test_rounding_asks_for_no_fracture_more() -> None:
    # in floating point, 0.55 * 100 is above 55
    scores = np.arange(101) / 100
    labels = np.append(0, np.ones(100)).astype(np.float32)
    found = scores[labels == 1] >= choose_threshold(labels, scores, 0.55)
    assert found.sum() == 55


@given(st.lists(st.floats(0, 1), min_size=10, max_size=60), st.floats(0.1, 1.0))
def test_threshold_reaches_its_target_for_any_scores(scores: list[float], target: float) -> None:
    labels = np.resize([0, 1, 1], len(scores)).astype(np.float32)
    array = np.array(scores)
    found = array[labels == 1] >= choose_threshold(labels, array, target)
    assert found.mean() >= target - 1e-9
