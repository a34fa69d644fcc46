from __future__ import annotations

import numpy as np
import pytest

from edge_app.errors import ModelError
from export.proof.judge import Judge
from tests.toy import GRID, SIZE_PX, classifier_graph, features_graph


def square(grey: int) -> np.ndarray:
    return np.full((SIZE_PX, SIZE_PX), grey, np.uint8)


def test_one_class_is_judged_and_explained() -> None:
    answer = Judge(features_graph(), classifier_graph(), 0, "grad-cam")(square(255))
    assert answer.probability == pytest.approx(1 / (1 + np.exp(-4)))
    np.testing.assert_array_equal(answer.heatmap, np.ones((GRID, GRID)))


def test_asked_class_of_several_is_judged_and_explained() -> None:
    # Logits of a white picture: 1 for the first class, -3 for the second.
    classifier = classifier_graph(np.array([[1, -3], [0, 0]], np.float32))
    first, second = (
        Judge(features_graph(), classifier, index, "grad-cam")(square(255)) for index in (0, 1)
    )
    assert first.probability == pytest.approx(1 / (1 + np.exp(-4)))
    assert second.probability == pytest.approx(1 / (1 + np.exp(4)), abs=1e-6)
    np.testing.assert_array_equal(first.heatmap, np.ones((GRID, GRID)))
    np.testing.assert_array_equal(second.heatmap, np.zeros((GRID, GRID)))


def test_answer_that_is_no_number_is_refused() -> None:
    weights = np.array([[np.nan], [0]], np.float32)
    with pytest.raises(ModelError, match="infinite or none"):
        Judge(features_graph(), classifier_graph(weights), 0, "grad-cam")(square(255))
