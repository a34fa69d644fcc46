from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf

from edge_app.errors import ExportError
from export.graph.graphs import build_graphs
from export.graph.split import SplitModel, split_model
from export.proof.parity import TOLERANCES, compare
from tests.networks import HEADS, SIZE_PX, network

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def pair() -> SplitModel:
    return split_model(network(HEADS["relu"]()))


@pytest.fixture(scope="module")
def graphs(pair: SplitModel) -> dict[str, bytes]:
    return build_graphs(pair)


def squares(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, SIZE_PX, SIZE_PX), np.uint8)


@pytest.mark.parametrize(
    ("name", "classes", "end"),
    [("log-sum-exp", 1, "sigmoid"), ("ensemble", 1, "sigmoid"), ("top-k", 3, "softmax")],
)
def test_runtimes_agree_on_every_tensor(name: str, classes: int, end: str) -> None:
    pair = split_model(network(HEADS[name](), classes, end))
    found = compare(pair, build_graphs(pair), squares(2))
    assert {difference.tensor for difference in found} == set(TOLERANCES)
    assert all(0 <= difference.value <= difference.tolerance for difference in found)


def test_head_without_any_response_has_a_gradient_of_zero_in_both(pair: SplitModel) -> None:
    model = network(HEADS["relu"]())
    kernel, bias = model.get_layer("logit").get_weights()
    model.get_layer("logit").set_weights([0 * kernel, bias])
    dead = split_model(model)
    assert max(each.value for each in compare(dead, build_graphs(dead))) < 1e-6


@pytest.mark.parametrize("shift", [0.1, np.nan])
def test_other_weights_fail_by_name_place_and_amount(
    pair: SplitModel, graphs: dict[str, bytes], shift: float
) -> None:
    other = network(HEADS["relu"]())
    layer = other.get_layer("logit")
    layer.set_weights([weight + shift for weight in layer.get_weights()])
    place = (
        r"at \[0, 0\] \(drawn pictures, batch of 1\)"
        if np.isnan(shift)
        else r"at \[\d, 0\] \(.*, batch of \d\)"
    )
    expected = (
        rf"^ONNX Runtime disagrees with Keras: logit differs by \S+ {place}, allowed is 0.0001; .*gradient"
    )
    with pytest.raises(ExportError, match=expected):
        compare(split_model(other), graphs)


def test_x_rays_are_compared_as_well(pair: SplitModel, graphs: dict[str, bytes]) -> None:
    blind = dataclasses.replace(pair, model=_WrongForWhite(pair))
    compare(blind, graphs)
    white = np.full((3, SIZE_PX, SIZE_PX), 255, np.uint8)
    with pytest.raises(ExportError, match=re.escape("(X-rays, batch of 1)")):
        compare(blind, graphs, white)


def test_gradient_that_is_no_slope_is_found(pair: SplitModel, graphs: dict[str, bytes]) -> None:
    steeper = tuple(
        step._replace(forward=lambda given, step=step: 1.5 * step.forward(given)) if index == 0 else step
        for index, step in enumerate(pair.steps)
    )
    with pytest.raises(ExportError, match="gradient by finite differences differs by"):
        compare(dataclasses.replace(pair, steps=steeper), graphs)


class _WrongForWhite:
    """A model that is wrong for white pictures only."""

    def __init__(self, pair: SplitModel) -> None:
        self._model = pair.model

    def __call__(self, images: np.ndarray, training: bool) -> tf.Tensor:
        probability = self._model(images, training=training)
        white = tf.reduce_min(tf.constant(images), axis=(1, 2)) == 255.0
        return tf.where(white, probability + 0.1, probability)
