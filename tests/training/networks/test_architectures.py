from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from tests.backbones import built
from training.learning.losses import cell_loss
from training.networks.architectures import BACKBONES, HEAD, INITIAL_LOGIT, build_model, freeze_batch_norm

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

EACH = pytest.mark.parametrize("architecture", list(BACKBONES))


def noise(count: int, size_px: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).uniform(0, 255, (count, size_px, size_px, 1)).astype(np.float32)


def norms(model: keras.Model) -> list[layers.BatchNormalization]:
    return [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


@pytest.fixture
def bfloat16() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


@EACH
@pytest.mark.parametrize("size_px", [32, 96])  # an even and an odd number of the coarsest cells
def test_maps_have_a_cell_for_16_and_for_32_pixels(architecture: str, size_px: int) -> None:
    model = built(architecture, size_px)
    fine, coarse = size_px // 16, size_px // 32
    assert model.get_layer("evidence").output.shape == (None, fine, fine, 1)
    assert model.get_layer("features").output.shape == (None, fine, fine, 128)
    assert model.get_layer("context").output.shape == (None, coarse, coarse, 128)
    assert (model.input_shape, model.output_shape) == ((None, size_px, size_px, 1), (None, 1))


@pytest.mark.parametrize(
    ("architecture", "preprocess_input"),
    [
        ("vgg16", keras.applications.vgg16.preprocess_input),
        ("resnet50", keras.applications.resnet50.preprocess_input),
        ("densenet121", keras.applications.densenet.preprocess_input),
        ("mobilenetv2", keras.applications.mobilenet_v2.preprocess_input),
    ],
)
def test_grey_is_scaled_as_the_published_weights_expect(
    architecture: str, preprocess_input: Callable[[Any], Any]
) -> None:
    model = built(architecture, 32)
    scaled = keras.Model(model.input, model.get_layer("scaled").output)
    grey = noise(1, 32)
    expected = preprocess_input(np.repeat(grey, 3, axis=-1))
    np.testing.assert_allclose(scaled(grey), expected, rtol=1e-5, atol=1e-5)


def test_untrained_model_starts_near_the_share_of_fractures() -> None:
    model = build_model("efficientnet_lite0", 384)
    # every cell has the evidence -5, and so has the mean of the strongest: logit = -5 + 3.4 = -1.6
    assert model.predict_on_batch(noise(1, 384)).item() == pytest.approx(0.168, abs=0.001)


def test_logit_is_the_mean_of_the_eight_strongest_cells() -> None:
    model = build_model("custom", 64)
    model.get_layer("evidence").set_weights([np.full((1, 1, 128, 1), 0.1), np.zeros(1)])
    outputs = [model.get_layer(name).output for name in ("evidence", "logit")]
    evidence, logit = keras.Model(model.input, outputs).predict_on_batch(noise(2, 64))
    strongest = np.sort(evidence.reshape(2, 16))[:, -8:]
    np.testing.assert_allclose(logit[:, 0], strongest.mean(axis=1) + INITIAL_LOGIT, rtol=1e-5)


@EACH
def test_names_of_the_head_are_those_of_its_layers(architecture: str) -> None:
    model = built(architecture, 32)
    start = model.layers.index(model.get_layer("context"))
    assert {layer.name for layer in model.layers[start:] if layer.weights} == HEAD


def test_random_start_learns_its_statistics() -> None:
    model = build_model("custom", 32)
    pictures = noise(4, 32)
    seen = keras.Model(model.input, model.get_layer("block1_conv").output)(pictures).numpy()
    model(pictures, training=True)
    mean = model.get_layer("block1_bn").moving_mean.numpy()
    # nine tenths of the old mean, 0, and one tenth of the batch's
    np.testing.assert_allclose(mean, seen.mean(axis=(0, 1, 2)) / 10, rtol=1e-3, atol=1e-6)


def test_frozen_statistics_stay_in_training() -> None:
    model = build_model("custom", 32)
    freeze_batch_norm(model)
    model(noise(4, 32), training=True)
    for norm in norms(model):
        assert not norm.trainable_variables
        assert not norm.moving_mean.numpy().any()


def test_replicas_still_share_statistics_after_saving(tmp_path: Path) -> None:
    model = build_model("custom", 32)
    model.save(tmp_path / "model.keras")
    loaded = norms(keras.saving.load_model(tmp_path / "model.keras"))
    assert [norm.synchronized for norm in loaded] == [True] * 4


@EACH
@pytest.mark.usefixtures("bfloat16")
def test_input_and_evidence_stay_in_float32_under_a_mixed_policy(architecture: str) -> None:
    model = build_model(architecture, 32)
    names = ("scaled", "evidence", "logit", "probability")
    assert [model.get_layer(name).output.dtype for name in names] == ["float32"] * 4
    assert model.get_layer("logit").input.dtype == "float32"  # what was pooled
    assert model.get_layer("features").output.dtype == "bfloat16"


def test_weights_of_a_mixed_training_serve_in_float32(bfloat16: None) -> None:
    trained = build_model("custom", 32)
    evidence = trained.get_layer("evidence")
    evidence.set_weights([np.full((1, 1, 128, 1), 0.1), np.zeros(1)])
    keras.config.set_dtype_policy("float32")
    serving = build_model("custom", 32)
    serving.set_weights(trained.get_weights())
    pictures = noise(2, 32)
    mixed, exact = (
        keras.Model(model.input, model.get_layer("logit").output).predict_on_batch(pictures)
        for model in (trained, serving)
    )
    assert np.abs(exact - 3.4).min() > 0.01  # the features reach the logit
    np.testing.assert_allclose(mixed, exact, atol=0.05)


@pytest.mark.slow
def test_custom_network_learns_bright_squares_and_their_place() -> None:
    keras.utils.set_random_seed(0)
    pictures, labels, cells = bright_squares(32)
    model = build_model("custom", 64)
    trainer = keras.Model(model.input, [model.output, model.get_layer("evidence").output])
    trainer.compile(keras.optimizers.Adam(1e-3), loss=["binary_crossentropy", cell_loss])
    losses = trainer.fit(pictures, [labels, cells], batch_size=16, epochs=45, verbose=0).history["loss"]
    assert losses[-1] < 0.05 * losses[0]
    probabilities, evidence = trainer.predict_on_batch(pictures)
    assert probabilities[labels == 1].min() > probabilities[labels == 0].max()
    brightest = evidence[::2].reshape(16, 16).argmax(axis=1)
    np.testing.assert_array_equal(brightest, cells[::2].reshape(16, 16).argmax(axis=1))


def bright_squares(
    count: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return noisy pictures of 64 pixels, every other one with a bright cell, with labels and cells."""
    generator = np.random.default_rng(0)
    pictures = generator.uniform(60, 120, (count, 64, 64, 1)).astype(np.float32)
    cells = np.zeros((count, 4, 4, 1), np.float32)
    for index in range(0, count, 2):
        row, column = generator.integers(0, 4, 2)
        cells[index, row, column] = 1
        pictures[index, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16] += 100
    return pictures, cells.max(axis=(1, 2)), cells
