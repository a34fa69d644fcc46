from __future__ import annotations

import logging
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_app.errors import WeightsError
from tests.backbones import built
from tests.conftest import ROOT
from training.networks.architectures import HEAD, build_model
from training.networks.weights import PACKAGES, RANDOM, lite_backbone, load_weights

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

LITE0 = PACKAGES["efficientnet_lite0"]
DATA = Path(os.environ.get("FRACTURE_DATA", ROOT.parent / "shared" / "data" / "fracatlas"))


# Each network's number of blocks, less one.
LITES = (("efficientnet_lite0", 15), ("efficientnet_lite1", 20), ("efficientnet_lite2", 20))


def reference(name: str) -> Path:
    """Return a backbone that was mapped to Keras elsewhere, or skip."""
    path = DATA.parent / "backbones" / f"{name}_imagenet_keras_notop.keras"
    if not path.is_file():
        pytest.skip(f"no reference model at {path}")
    return path


def features(model: keras.Model, layer: str, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    return keras.Model(model.input, model.get_layer(layer).output).predict_on_batch(pictures)


def noise(size_px: int, channels: int = 1) -> NDArray[np.float32]:
    grey = np.random.default_rng(0).uniform(0, 255, (1, size_px, size_px, 1)).astype(np.float32)
    return np.repeat(grey, channels, axis=-1)


@pytest.fixture(scope="module")
def vgg16() -> keras.Model:
    """Return the bare network with random weights, as if it were published."""
    return keras.applications.VGG16(include_top=False, weights=None)


@pytest.fixture(scope="module")
def vgg16_file(vgg16: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "vgg16.weights.h5"
    vgg16.save_weights(path)
    return path


@pytest.mark.parametrize(("architecture", "last_block"), LITES)
def test_package_gives_the_features_of_an_independent_mapping(architecture: str, last_block: int) -> None:
    path = reference(architecture)
    published = keras.saving.load_model(path)
    size_px = published.input_shape[1]
    model = build_model(architecture, 32 * (size_px // 32))
    assert load_weights(model, architecture, "auto") == PACKAGES[architecture].origin
    theirs, ours = f"_blocks_{last_block}__bn2", f"_blocks-{last_block}-_bn2"
    same_size = keras.layers.Input((*model.input_shape[1:3], 3))
    convolutions = keras.models.clone_model(published, input_tensors=same_size)
    convolutions.set_weights(published.get_weights())
    size_px = model.input_shape[1]
    expected = features(convolutions, theirs, (noise(size_px, 3) - 127) / 128)
    np.testing.assert_allclose(features(model, ours, noise(size_px)), expected, atol=1e-4)


def test_file_with_other_layer_names_gives_the_weights_of_the_package() -> None:
    path = reference("efficientnet_lite0")
    from_file, from_package = (build_model("efficientnet_lite0", 32) for _ in range(2))
    load_weights(from_file, "efficientnet_lite0", str(path))
    load_weights(from_package, "efficientnet_lite0", "imagenet")
    for layer in from_package.layers:
        if layer.weights and layer.name not in HEAD:
            for ours, theirs in zip(
                layer.get_weights(), from_file.get_layer(layer.name).get_weights(), strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)


def test_whole_backbone_file_gives_its_own_features() -> None:
    path = reference("mobilenetv2")
    model = build_model("mobilenetv2", 224)
    load_weights(model, "mobilenetv2", str(path))
    expected = keras.saving.load_model(path).predict_on_batch(noise(224, 3) / 127.5 - 1)
    np.testing.assert_allclose(features(model, "out_relu", noise(224)), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["vgg16.weights.h5", "vgg16.h5", "vgg16.keras"])
def test_each_kind_of_file_fills_the_whole_backbone(
    vgg16: keras.Model, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / name
    vgg16.save_weights(path) if name.endswith(".weights.h5") else vgg16.save(path)
    model = build_model("vgg16", 64)
    with caplog.at_level(logging.INFO, "training.networks.weights"):
        origin = load_weights(model, "vgg16", str(path))
    expected = vgg16.predict_on_batch(keras.applications.vgg16.preprocess_input(noise(64, 3)))
    np.testing.assert_allclose(features(model, "block5_pool", noise(64)), expected, rtol=1e-4, atol=1e-6)
    assert "13 layers filled" in caplog.text
    assert origin["source"].startswith(f"{name} (SHA-256 ")


def test_former_run_gives_its_head_too(tmp_path: Path) -> None:
    former, model = build_model("custom", 64), build_model("custom", 32)
    former.get_layer("logit").set_weights([np.full((1, 1), 2.0), np.full(1, -1.0)])
    former.save(tmp_path / "best_model.keras")
    load_weights(model, "custom", str(tmp_path / "best_model.keras"))
    for ours, theirs in zip(model.get_weights(), former.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_batch_normalisation_is_frozen_above_pretrained_weights(tmp_path: Path) -> None:
    model = build_model("custom", 32)
    model.save_weights(tmp_path / "custom.weights.h5")
    load_weights(model, "custom", "none")
    assert model.get_layer("block1_bn").trainable
    load_weights(model, "custom", str(tmp_path / "custom.weights.h5"))
    assert not model.get_layer("block1_bn").trainable


def test_weights_of_another_network_change_nothing(vgg16_file: Path) -> None:
    model = build_model("custom", 32)
    before = model.get_weights()
    with pytest.raises(WeightsError, match=r"does not fit custom .*Expected are Keras weights of it"):
        load_weights(model, "custom", str(vgg16_file))
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_file_that_lacks_a_layer_is_refused(vgg16_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "lacking.weights.h5"
    path.write_bytes(vgg16_file.read_bytes())
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d_7"]
    with pytest.raises(WeightsError, match="does not fit vgg16"):
        load_weights(built("vgg16", 32), "vgg16", str(path))


def test_cut_file_is_refused(vgg16_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.weights.h5"
    path.write_bytes(vgg16_file.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="truncated file"):
        load_weights(built("vgg16", 32), "vgg16", str(path))


@pytest.mark.parametrize("name", ["words.h5", "words.weights.h5", "words.keras", "words.txt"])
def test_file_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no weights")
    with pytest.raises(WeightsError, match="does not fit custom"):
        load_weights(built("custom", 32), "custom", str(tmp_path / name))


def test_description_in_a_model_file_is_not_read(vgg16: keras.Model, tmp_path: Path) -> None:
    vgg16.save(tmp_path / "whole.keras")
    with (
        zipfile.ZipFile(tmp_path / "whole.keras") as whole,
        zipfile.ZipFile(tmp_path / "other.keras", "w") as other,
    ):
        other.writestr("config.json", "no description that Keras could build a model from")
        other.writestr("model.weights.h5", whole.read("model.weights.h5"))
    model = build_model("vgg16", 32)
    load_weights(model, "vgg16", str(tmp_path / "other.keras"))
    expected = vgg16.get_layer("block5_conv3").get_weights()[0]
    np.testing.assert_array_equal(model.get_layer("block5_conv3").get_weights()[0], expected)


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"There is no weights file .*absent\.h5"):
        load_weights(built("custom", 32), "custom", str(tmp_path / "absent.h5"))


@pytest.mark.parametrize("architecture", ["custom", "densenet121"])
def test_start_without_installed_weights_is_random_and_says_so(
    architecture: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = built(architecture, 32)
    before = model.get_weights()
    with caplog.at_level(logging.INFO, "training.networks.weights"):
        assert load_weights(model, architecture, "auto", keras_home=tmp_path) == RANDOM
    assert f"{architecture} starts from random weights." in caplog.text
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_custom_network_has_no_published_weights() -> None:
    with pytest.raises(WeightsError, match="no ImageNet weights of custom"):
        load_weights(built("custom", 32), "custom", "imagenet")


def test_altered_package_is_refused() -> None:
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        lite_backbone("efficientnet_lite0", LITE0._replace(sha256="0" * 64))


def test_missing_package_says_what_to_install() -> None:
    with pytest.raises(WeightsError, match=r"requirements-train\.txt"):
        lite_backbone("efficientnet_lite0", LITE0._replace(name="no-such-package"))


WITHOUT_NETWORK = """
import sys
import keras
from edge_app.errors import WeightsError
from training.networks.architectures import build_model
from training.networks.weights import KERAS_HOME, load_weights

(KERAS_HOME / "models").mkdir()
cached = KERAS_HOME / "models" / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
published = keras.applications.MobileNetV2(include_top=False, weights=None)
published.save(cached)
model = build_model("mobilenetv2", 32)
print(load_weights(model, "mobilenetv2", "auto")["licence"])
ours, theirs = (each.get_layer("Conv_1").get_weights()[0] for each in (model, published))
print((ours == theirs).all())
try:
    load_weights(build_model("vgg16", 32), "vgg16", "imagenet")
except WeightsError as error:
    print(error)
"""


@pytest.mark.slow
def test_without_network_only_what_keras_has_downloaded_is_used(tmp_path: Path) -> None:
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", WITHOUT_NETWORK]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    licence, equal, *_, refused = done.stdout.splitlines()
    assert (licence, equal) == ("Apache-2.0", "True")
    assert refused.startswith("The ImageNet weights of vgg16 could not be downloaded. Copy vgg16_weights_")
