from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.learning.learner import Learner
from training.learning.stages import StageCosine
from training.networks.architectures import build_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def learner_and_model(averaging: float) -> tuple[Learner, keras.Model]:
    keras.utils.set_random_seed(0)
    model = build_model("custom", 32)
    rate = StageCosine(0.01, 0, 100, 1)
    return Learner(model, rate, 4, 3.0, 0.0, averaging, tf.distribute.get_strategy()), model


def batch() -> tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor]:
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 1)).astype(np.float32)
    cells = np.zeros((4, 2, 2, 1), np.float32)
    cells[:2, 1, 0] = 1
    labels = tf.constant([[1.0], [1.0], [0.0], [0.0]])
    return tf.constant(images), {"logit": labels, "evidence": tf.constant(cells)}, tf.ones(4)


@pytest.mark.parametrize("averaging", [0.0, 0.3, 0.995])
def test_averages_follow_the_weights_and_forget_the_start(averaging: float) -> None:
    learner, model = learner_and_model(averaging)
    kernel = model.get_layer("features").kernel
    expected = kernel.numpy()
    for step in range(1, 6):
        learner.step(batch())
        kept = min(averaging, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * kernel.numpy()
    raw = kernel.numpy()
    with learner.averaged():
        np.testing.assert_allclose(kernel.numpy(), expected, atol=1e-6)
    np.testing.assert_array_equal(kernel.numpy(), raw)
    assert np.abs(raw - expected).max() > 1e-3 or not averaging


def test_loss_falls() -> None:
    learner, _ = learner_and_model(0.9)
    losses = [float(learner.step(batch())) for _ in range(30)]
    assert losses[-1] < losses[0] / 3


def test_weights_come_back_even_after_an_error() -> None:
    learner, model = learner_and_model(0.9)
    learner.step(batch())
    raw = model.get_layer("features").kernel.numpy()
    with pytest.raises(KeyError), learner.averaged():
        raise KeyError
    np.testing.assert_array_equal(model.get_layer("features").kernel.numpy(), raw)
