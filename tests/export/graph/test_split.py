from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from edge_app.errors import ExportError
from export.graph.split import split_model
from tests.networks import HEADS, evidence, images, network


@pytest.mark.parametrize("name", ["relu", "log-sum-exp", "top-k of evidence", "batch normalisation"])
def test_model_is_cut_at_its_last_feature_map(name: str) -> None:
    model = network(HEADS[name]())
    pair = split_model(model)
    expected = model.layers[5].name if name == "batch normalisation" else "last_map"
    assert pair.layer == expected
    assert pair.features.output is model.get_layer(expected).output
    assert pair.head.output_shape == (None, 1)


def test_map_with_a_channel_for_each_class_is_evidence_not_a_feature_map() -> None:
    pair = split_model(network(evidence(3), classes=3, end="softmax"))
    assert (pair.layer, pair.classes) == ("last_map", 3)


def test_cut_can_be_named() -> None:
    model = network(HEADS["1 x 1 convolution"]())
    assert split_model(model, "last_map").features.output_shape == (None, 8, 8, 12)
    assert split_model(model).features.output_shape == (None, 8, 8, 6)


def test_wrong_name_of_a_cut_lists_the_right_ones() -> None:
    head = [layers.Conv2D(6, 1, name="narrow"), layers.GlobalMaxPooling2D()]
    with pytest.raises(ExportError, match=r"'nothing'\. Choose one of .*last_map, narrow\.$"):
        split_model(network(head), "nothing")


def test_layer_from_which_the_head_cannot_be_exported_is_not_offered() -> None:
    head = [layers.LeakyReLU(name="leaky"), layers.Conv2D(6, 1, name="after"), layers.GlobalMaxPooling2D()]
    model = network(head)
    with pytest.raises(ExportError, match=r"Choose one of leaky, after\.$"):
        split_model(model, "nothing")
    with pytest.raises(ExportError, match="'leaky'"):
        split_model(model, "last_map")


def test_halves_together_are_the_model() -> None:
    model = network(HEADS["relu"]())
    pair = split_model(model)
    given = images()
    logit = pair.head(pair.features(given))
    np.testing.assert_allclose(keras.ops.sigmoid(logit), model(given), atol=1e-6)
    steps_logit, probability = pair.classify(pair.features(given))
    np.testing.assert_allclose(steps_logit, logit, atol=1e-5)
    np.testing.assert_allclose(probability, model(given), atol=1e-6)


@pytest.mark.parametrize(("units", "activation"), [(1, "sigmoid"), (3, "softmax")])
def test_end_within_the_last_layer_is_taken_apart(units: int, activation: str) -> None:
    image = layers.Input((32, 32, 1))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    model = keras.Model(image, layers.Dense(units, activation=activation)(pooled))
    pair = split_model(model)
    given = images(2, 32)
    probability = pair.squash(pair.head(pair.features(given)))
    np.testing.assert_allclose(probability, model(given), atol=1e-6)


def test_sequential_model_is_split() -> None:
    model = keras.Sequential(
        [
            layers.Input((32, 32, 1)),
            layers.Conv2D(4, 3, name="maps"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2),
            layers.Softmax(),
        ]
    )
    pair = split_model(model)
    assert (pair.layer, pair.classes) == ("maps", 2)


def test_network_within_the_model_is_cut_at_its_end() -> None:
    inner_image = layers.Input((32, 32, 1))
    inner = keras.Model(inner_image, layers.Conv2D(4, 3)(inner_image), name="inner")
    image = layers.Input((32, 32, 1))
    pooled = layers.GlobalAveragePooling2D()(inner(layers.Rescaling(1 / 255)(image)))
    model = keras.Model(image, layers.Dense(1, activation="sigmoid")(pooled))
    pair = split_model(model)
    assert (pair.layer, pair.features.output_shape) == ("inner", (None, 30, 30, 4))


def test_head_that_is_no_chain_is_cut_behind_its_branches() -> None:
    image = layers.Input((32, 32, 1))
    maps = layers.Conv2D(4, 3)(image)
    joined = layers.Add(name="joined")([maps, layers.Conv2D(4, 3, padding="same")(maps)])
    pooled = layers.GlobalAveragePooling2D()(joined)
    model = keras.Model(image, layers.Dense(1, activation="sigmoid")(pooled))
    assert split_model(model).layer == "joined"


def test_branches_behind_the_last_map_are_refused() -> None:
    image = layers.Input((32, 32, 1))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    doubled = layers.Add()([pooled, layers.Dense(4)(pooled)])
    model = keras.Model(image, layers.Dense(1, activation="sigmoid")(doubled))
    with pytest.raises(ExportError, match="feature map"):
        split_model(model)


def test_model_with_another_end_is_refused() -> None:
    image = layers.Input((32, 32, 1))
    maps = layers.Conv2D(4, 3)(image)
    pooled = layers.GlobalAveragePooling2D()(maps)
    with pytest.raises(ExportError, match="sigmoid or softmax at the end, found the layer 'end'"):
        split_model(keras.Model(image, layers.Dense(1, name="end")(pooled)))
    with pytest.raises(ExportError, match=r"1 outputs, the first of shape .None, 30"):
        split_model(keras.Model(image, layers.Activation("sigmoid")(maps)))
    with pytest.raises(ExportError, match="2 outputs"):
        split_model(keras.Model(image, [pooled, maps]))
