from __future__ import annotations

import numpy as np
import pytest

from training.learning.losses import POSITIVE_CELL_WEIGHT, cell_loss, sample_losses

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_cell_loss_is_the_weighted_mean_over_the_cells() -> None:
    cells = np.array([[[[1.0], [0.0]], [[0.0], [0.0]]]], np.float32)
    evidence = np.zeros((1, 2, 2, 1), np.float32)  # probability 0.5 everywhere: ln 2 a cell
    assert cell_loss(cells, evidence).numpy() == pytest.approx([np.log(2)])
    evidence[0, 0, 0] = -10.0  # the fractured cell is missed, which costs 10 in one of all the weights
    expected = (10 * POSITIVE_CELL_WEIGHT + 3 * np.log(2)) / (POSITIVE_CELL_WEIGHT + 3)
    assert cell_loss(cells, evidence).numpy() == pytest.approx([expected], rel=1e-4)


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


def test_smoothed_label_is_met_short_of_certainty() -> None:
    targets = {"logit": np.ones((1, 1), np.float32)}
    smooth = 0.2  # the label becomes 0.9, whose logit is ln 9
    losses = [
        sample_losses(targets, {"logit": np.full((1, 1), logit, np.float32)}, 0.0, smooth).numpy().item()
        for logit in (np.log(9) - 1, np.log(9), np.log(9) + 1)
    ]
    assert losses[1] == min(losses)


def test_sure_and_right_costs_less_than_sure_and_wrong() -> None:
    outputs = {"logit": np.full((1, 1), 4.0, np.float32)}
    right, wrong = (
        sample_losses({"logit": np.full((1, 1), label, np.float32)}, outputs, 0.0).numpy().item()
        for label in (1.0, 0.0)
    )
    assert right == pytest.approx(np.log1p(np.exp(-4)), rel=1e-5)
    assert wrong == pytest.approx(4 + right, rel=1e-5)
