from __future__ import annotations

import keras
import numpy as np
import pytest

from edge_app.errors import WeightsError
from tests.conftest import ROOT
from training import weights
from training.architectures import build_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
REFERENCE = ROOT.parent / "shared" / "data" / "backbones" / "efficientnet_lite0_imagenet_keras_notop.keras"


def test_mapped_weights_give_the_features_of_an_independent_mapping() -> None:
    if not REFERENCE.is_file():
        pytest.skip(f"no reference model at {REFERENCE}")
    reference = keras.saving.load_model(REFERENCE)
    model = build_model("efficientnet_lite0", 224)
    weights.load_imagenet_weights(model)
    features = keras.Model(model.input, model.get_layer("_blocks-15-_bn2").output)
    reference = keras.Model(reference.input, reference.get_layer("_blocks_15__bn2").output)
    grey = np.random.default_rng(0).uniform(0, 255, (2, 224, 224, 1)).astype(np.float32)
    expected = reference.predict_on_batch((np.repeat(grey, 3, axis=-1) - 127) / 128)
    np.testing.assert_allclose(features.predict_on_batch(grey), expected, atol=1e-4)


def test_altered_weights_file_is_refused() -> None:
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        weights.load_imagenet_weights(build_model("efficientnet_lite0", 32), sha256="0" * 64)


def test_missing_package_says_what_to_install() -> None:
    with pytest.raises(WeightsError, match=r"requirements-train\.txt"):
        weights.load_imagenet_weights(build_model("efficientnet_lite0", 32), package="no-such-package")
