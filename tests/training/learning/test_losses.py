from __future__ import annotations

import numpy as np
import pytest

from training.learning.losses import POSITIVE_CELL_WEIGHT, cell_loss, sample_losses

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_cell_loss_is_the_weighted_mean_over_the_cells() -> None:
    cells = np.array([[[[1.0], [0.0]], [[0.0], [0.0]]]], np.float32)
    evidence = np.zeros((1, 2, 2, 1), np.float32)  # probability 0.5 everywhere: ln 2 a cell
    expected = np.log(2) * (POSITIVE_CELL_WEIGHT + 3) / 4
    assert cell_loss(cells, evidence).numpy() == pytest.approx([expected])


def test_samples_loss_is_that_of_answer_and_place() -> None:
    targets = {
        "logit": np.zeros((2, 1), np.float32),
        "evidence": np.zeros((2, 1, 1, 1), np.float32),
    }
    outputs = {"logit": np.zeros((2, 1), np.float32), "evidence": np.zeros((2, 1, 1, 1), np.float32)}
    assert sample_losses(targets, outputs, 0.0).numpy() == pytest.approx([np.log(2)] * 2)
    assert sample_losses(targets, outputs, 3.0).numpy() == pytest.approx([4 * np.log(2)] * 2)


def test_fracture_without_a_box_says_nothing_about_the_place() -> None:
    targets = {"logit": np.ones((1, 1), np.float32), "evidence": np.zeros((1, 1, 1, 1), np.float32)}
    outputs = {"logit": np.zeros((1, 1), np.float32), "evidence": np.zeros((1, 1, 1, 1), np.float32)}
    assert sample_losses(targets, outputs, 3.0).numpy() == pytest.approx([np.log(2)])


def test_sure_and_right_costs_less_than_sure_and_wrong() -> None:
    outputs = {"logit": np.full((1, 1), 4.0, np.float32)}
    right, wrong = (
        sample_losses({"logit": np.full((1, 1), label, np.float32)}, outputs, 0.0).numpy().item()
        for label in (1.0, 0.0)
    )
    assert right == pytest.approx(np.log1p(np.exp(-4)), rel=1e-5)
    assert wrong == pytest.approx(4 + right, rel=1e-5)
