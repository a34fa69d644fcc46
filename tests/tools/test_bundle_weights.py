from __future__ import annotations

import keras
import numpy as np
import pytest

from edge_app.errors import ExportError
from edge_app.model.bundle import load_bundle
from edge_app.model.inference import open_session
from tests.conftest import DEFAULT_BUNDLE
from tools.bundle_weights import read_bundle

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_weights_of_the_default_bundle_give_its_features() -> None:
    model = read_bundle(DEFAULT_BUNDLE, "efficientnet_lite2")
    size_px = model.input_shape[1]
    image = np.random.default_rng(0).uniform(0, 255, (1, size_px, size_px, 1)).astype(np.float32)
    ours = keras.Model(model.input, model.get_layer("features").output).predict_on_batch(image)
    (theirs,) = open_session(load_bundle(DEFAULT_BUNDLE).graphs.features).run(
        ["features"], {"image": image}
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def test_bundle_of_another_network_is_refused() -> None:
    with pytest.raises(ExportError, match="does not hold efficientnet_lite0"):
        read_bundle(DEFAULT_BUNDLE, "efficientnet_lite0")
