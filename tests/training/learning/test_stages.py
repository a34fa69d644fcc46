from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.backbones import built
from training.learning.stages import Stage, StageCosine, apply_stage, plan_stages, stage_rate
from training.networks.architectures import HEAD, build_model, freeze_batch_norm

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return build_model("custom", 32)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (1, [("all", 0, 1)]),
        (2, [("all", 0, 2)]),
        (3, [("head", 0, 1), ("all", 1, 2)]),
        (5, [("head", 0, 1), ("top", 1, 1), ("all", 2, 3)]),
        (50, [("head", 0, 5), ("top", 5, 10), ("all", 15, 35)]),
    ],
)
def test_pretrained_backbone_is_freed_in_stages(
    model: keras.Model, epochs: int, expected: list[tuple[str, int, int]]
) -> None:
    stages = plan_stages(model, epochs, pretrained=True)
    assert [(stage.name, stage.first_epoch, stage.epochs) for stage in stages] == expected
    assert stages[-1].end == epochs


def test_each_stage_adds_deeper_layers_but_no_batch_normalisation(model: keras.Model) -> None:
    head, top, everything = (stage.layers for stage in plan_stages(model, 50, pretrained=True))
    assert head == HEAD
    assert top == HEAD | {"block4_conv"}  # the deepest one of four, rounded down from a third
    assert everything == HEAD | {f"block{block}_conv" for block in (1, 2, 3, 4)}


def test_deepest_third_of_vgg16_is_four_of_thirteen_convolutions() -> None:
    _, top, _ = plan_stages(built("vgg16", 32), 50, pretrained=True)
    assert top.layers - HEAD == {"block4_conv3", "block5_conv1", "block5_conv2", "block5_conv3"}


def test_random_weights_learn_all_at_once(model: keras.Model) -> None:
    (stage,) = plan_stages(model, 50, pretrained=False)
    assert (stage.name, stage.first_epoch, stage.end) == ("all", 0, 50)
    assert stage.layers == {layer.name for layer in model.layers if layer.weights}
    assert "block1_bn" in stage.layers


def test_only_the_layers_of_the_stage_learn() -> None:
    model = build_model("custom", 32)
    freeze_batch_norm(model)
    apply_stage(model, Stage("head", 0, 1, HEAD))
    before = {variable.path: variable.numpy() for variable in model.weights}
    model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.1), "binary_crossentropy")
    model.train_on_batch(np.full((2, 32, 32, 1), 200, np.float32), np.ones((2, 1), np.float32))
    changed = {w.path.split("/")[0] for w in model.weights if (w.numpy() != before[w.path]).any()}
    assert changed == HEAD


def test_rate_rises_in_a_line_and_falls_along_a_cosine() -> None:
    rate = StageCosine(peak=2.0, first_step=2, total_steps=8, warmup_steps=2)
    # the stage's batches 0, 2 and 6 are the training's 2, 4 and 8: cosines of a quarter, half and all of pi
    assert float(rate(0)) == pytest.approx(2 * 0.5 * (1 + np.sqrt(0.5)) / 2)
    assert float(rate(2)) == pytest.approx(1.0)
    assert float(rate(6)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("epochs", "warmup_steps"), [(1, 50), (2, 100), (5, 100)])
def test_rise_takes_an_epoch_or_half_of_the_only_one(epochs: int, warmup_steps: int) -> None:
    rate = stage_rate(Stage("top", 3, epochs, HEAD), peak=0.001, steps=100, epochs=20)
    assert (rate.peak, rate.first_step, rate.total_steps) == (0.001, 300, 2000)
    assert rate.warmup_steps == warmup_steps
