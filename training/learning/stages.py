"""The plan of a training: which layers learn when, and how fast."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import keras
from keras import layers

from training.networks.architectures import HEAD

_HEAD_SHARE = 10
_TOP_SHARE = 5
_TOP_LAYERS = 3


@dataclass(frozen=True)
class Stage:
    """Consecutive epochs in which the same layers learn.

    Epochs count from 0; the stage ends before the epoch `end`. `layers` holds names.
    """

    name: str
    first_epoch: int
    epochs: int
    layers: frozenset[str]

    @property
    def end(self) -> int:
        """The first epoch after the stage."""
        return self.first_epoch + self.epochs


def plan_stages(
    model: keras.Model, epochs: int, pretrained: bool, schedule: str = "stages", frozen_stride: int = 0
) -> tuple[Stage, ...]:
    """Decide which layers learn in which epochs.

    Random weights learn all at once. Above a pretrained backbone the random head learns first, for a
    tenth of the epochs, then the backbone's deepest third of layers with it, for a fifth, then all.
    Batch normalisation keeps its pretrained statistics and parameters in every stage, and so do the
    layers before the grid gets coarser than `frozen_stride` pixels a cell. Trainings too short for a
    stage leave it out.

    Args:
        model: A model of `architectures.build_model`.
        epochs: One or more.
        pretrained: Whether the backbone starts from pretrained weights.
        schedule: One of `config.SCHEDULES`; with "at_once" pretrained weights learn all at once, too.
        frozen_stride: 0 where every layer learns.

    Returns:
        The stages, one after the other, of one epoch or more each.
    """
    learners = [
        layer.name
        for layer in model.layers
        if layer.weights and not (pretrained and _keeps_pretrained(layer, model, frozen_stride))
    ]
    everything = frozenset(learners)
    if not pretrained or schedule == "at_once":
        return (Stage("all", 0, epochs, everything),)
    backbone = [name for name in learners if name not in HEAD]
    top = HEAD | frozenset(backbone[-(len(backbone) // _TOP_LAYERS) :])
    head_epochs = max(epochs // _HEAD_SHARE, 1) if epochs >= 3 else 0
    top_epochs = epochs // _TOP_SHARE
    stages = (
        Stage("head", 0, head_epochs, HEAD),
        Stage("top", head_epochs, top_epochs, top),
        Stage("all", head_epochs + top_epochs, epochs - head_epochs - top_epochs, everything),
    )
    return tuple(stage for stage in stages if stage.epochs)


def _keeps_pretrained(layer: layers.Layer, model: keras.Model, frozen_stride: int) -> bool:
    """Tell whether a layer of a pretrained backbone is never trained."""
    if isinstance(layer, layers.BatchNormalization):
        return True
    return len(layer.output.shape) == 4 and model.input_shape[1] // layer.output.shape[1] <= frozen_stride


def apply_stage(model: keras.Model, stage: Stage) -> None:
    """Let a stage's layers learn, and no others."""
    for layer in model.layers:
        if layer.weights:
            layer.trainable = layer.name in stage.layers


class StageCosine(keras.optimizers.schedules.LearningRateSchedule):
    """One stage's part of a learning rate that falls along a cosine over the whole training.

    Each stage rises to the cosine in a straight line: its newly freed weights have no step sizes yet.

    Args:
        peak: The rate at the very beginning, were there no rise.
        first_step: Batches of the training before this stage.
        total_steps: Batches of the whole training.
        warmup_steps: Batches of the rise.

    Source:
        Loshchilov & Hutter, SGDR, ICLR 2017, equation 5, without restarts.
    """

    def __init__(self, peak: float, first_step: int, total_steps: int, warmup_steps: int) -> None:
        self.peak = peak
        self.first_step = first_step
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step: keras.KerasTensor) -> keras.KerasTensor:
        """Compute the rate of the stage's batch number `step`, counted from 0."""
        step = keras.ops.cast(step, "float32")
        done = (self.first_step + step) / self.total_steps
        rise = keras.ops.minimum((step + 1) / self.warmup_steps, 1.0)
        return self.peak * rise * (1 + keras.ops.cos(pi * done)) / 2


def stage_rate(stage: Stage, peak: float, steps: int, epochs: int) -> StageCosine:
    """Make a stage's learning rate; it rises over an epoch, or half of a stage that has only one.

    Args:
        stage: A stage of the plan.
        peak: The highest rate.
        steps: Batches in an epoch.
        epochs: Of the whole training.

    Returns:
        A schedule over the stage's own batches.
    """
    warmup_steps = max(min(steps, stage.epochs * steps // 2), 1)
    return StageCosine(peak, stage.first_epoch * steps, epochs * steps, warmup_steps)
