from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from training.learning.folding import fold_norms
from training.networks.architectures import build_model, freeze_batch_norm

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
PICTURES = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 1)).astype(np.float32)


def with_statistics(architecture: str) -> keras.Model:
    """Build a model up to its features whose normalisations do something, all of them frozen."""
    keras.utils.set_random_seed(0)
    model = build_model(architecture, 64)
    generator = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([generator.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    freeze_batch_norm(model)
    return keras.Model(model.input, model.get_layer("features").output)


@pytest.mark.parametrize("architecture", ["custom", "efficientnet_lite0", "mobilenetv2", "resnet50"])
def test_folded_model_gives_the_same_features(architecture: str) -> None:
    model = with_statistics(architecture)
    expected = model(PICTURES, training=True).numpy()
    folded = fold_norms(model)(PICTURES, training=True).numpy()
    np.testing.assert_allclose(folded, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert expected.std() > 0


def test_gradient_reaches_the_own_kernels() -> None:
    model = with_statistics("custom")
    kernels = [model.get_layer(f"block{block}_conv").kernel for block in (1, 4)]

    def gradients(network: keras.Model) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(network(PICTURES, training=True) ** 2)
        return tape.gradient(loss, [kernel.value for kernel in kernels])

    for ours, theirs in zip(gradients(fold_norms(model)), gradients(model), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max())


def test_no_normalisation_is_left_behind_a_convolution() -> None:
    folded = fold_norms(with_statistics("efficientnet_lite0"))
    assert not [layer for layer in folded.layers if isinstance(layer, layers.BatchNormalization)]


def test_statistics_that_learn_stay() -> None:
    model = build_model("custom", 64)
    names = {layer.name for layer in fold_norms(model).layers}
    assert {f"block{block}_bn" for block in (1, 2, 3, 4)} <= names


def test_convolution_that_is_read_twice_stays() -> None:
    image = keras.Input((8, 8, 1))
    maps = layers.Conv2D(2, 3, use_bias=False)(image)
    norm = layers.BatchNormalization()
    norm.trainable = False
    model = keras.Model(image, layers.Add()([maps, norm(maps)]))
    names = [type(layer).__name__ for layer in fold_norms(model).layers]
    assert "BatchNormalization" in names
