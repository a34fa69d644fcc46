from __future__ import annotations

import numpy as np
import pytest

from training.architectures import build_model
from training.losses import POSITIVE_CELL_WEIGHT, cell_loss, classifier, trainable

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_cell_on_a_fracture_counts_more() -> None:
    cells = np.zeros((1, 2, 2, 1), np.float32)
    cells[0, 0, 0, 0] = 1
    # every cell is at one half: ln 2 each, the fractured one weighted
    expected = np.log(2) * (POSITIVE_CELL_WEIGHT + 3) / 4
    assert cell_loss(cells, np.zeros_like(cells)).numpy() == pytest.approx([expected])


def test_classifier_shares_its_weights_with_the_trainer() -> None:
    trainer = trainable(build_model("efficientnet_lite0", 64), 0.01, 0.0, steps=1, epochs=2)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 1)).astype(np.float32)
    targets = {"probability": np.ones((2, 1)), "evidence": np.ones((2, 4, 4, 1))}
    inner = classifier(trainer)
    before = inner.predict_on_batch(images)
    for _ in range(3):
        trainer.train_on_batch(images, targets)
    assert (inner.predict_on_batch(images) > before).all()


def test_untrained_model_starts_near_the_share_of_fractures() -> None:
    model = build_model("efficientnet_lite0", 384)
    assert model.get_layer("evidence").output.shape == (None, 24, 24, 1)
    black = np.zeros((1, 384, 384, 1), np.float32)
    # every cell has the evidence -5: logit = -5 + ln(24 * 24) - 3 = -1.64
    assert model.predict_on_batch(black).item() == pytest.approx(0.162, abs=0.001)
