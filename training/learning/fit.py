"""The training loop: epochs in stages, over one replica or many, each epoch kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from edge_app.errors import DataError
from training.data.batches import Sampling, sample_weights, training_batches
from training.data.prepare import TrainingData
from training.data.splits import TRAIN, VALIDATION
from training.evaluation import metrics
from training.evaluation.scorers import LogitModel
from training.learning.keeper import History, Keeper, chosen_epoch, values_of
from training.learning.learner import Learner, assign
from training.learning.stages import Stage, apply_stage, plan_stages, stage_rate
from training.learning.strategies import is_chief, share_of_batch
from training.networks.architectures import build_model
from training.runs import rundir
from training.runs.config import BEST, Config

DRAWS_PER_EPOCH = 1_000_000
_STEPS_BETWEEN_LOSSES = 10
# A member's order, augmentation and dropout come from the run's seed and so many more for each before it.
_SEEDS_BETWEEN_MEMBERS = 2**16

logger = logging.getLogger(__name__)


def fit(
    config: Config,
    data: TrainingData,
    model: keras.Model,
    pretrained: bool,
    run_dir: Path,
    strategy: tf.distribute.Strategy,
    member: int = 0,
) -> None:
    """Train a model from where its run stands, keeping its last and its best state on disk.

    Args:
        config: The run's configuration.
        data: What to train and validate on.
        model: With its start weights, made in the strategy's scope.
        pretrained: Whether these were learned before, so that training goes in stages.
        run_dir: The run directory, which receives `history.csv` and the checkpoints.
        strategy: Who trains.
        member: Which of the run's members, from 0.

    Raises:
        DataError: the training diverged.
        RunError: the last state cannot be read.
    """
    keeper = Keeper(rundir.member_dir(run_dir, member), is_chief(strategy))
    seed = (config.seed + member * _SEEDS_BETWEEN_MEMBERS) % 2**32
    if keeper.epochs_done:
        keeper.restore_weights(model.variables)
        logger.info("Going on after epoch %d of %d.", keeper.epochs_done, config.epochs)
    validate = _validator(config, model, data) if config.keep == BEST else lambda: None
    stages = plan_stages(model, config.epochs, pretrained, config.schedule, config.frozen_stride)
    for stage in stages:
        if keeper.epochs_done >= stage.end:
            continue
        apply_stage(model, stage)
        learner = _learner(config, data, model, stage, strategy)
        if keeper.epochs_done > stage.first_epoch:
            keeper.restore_learner(learner.variables)
        batches = _distributed(config, data, seed, keeper.epochs_done, strategy)
        for epoch in range(keeper.epochs_done, stage.end):
            if stage is stages[-1] and keeper.has_converged(stage, config.patience):
                logger.info("No better epoch for %d epochs; training ends here.", config.patience)
                return
            _seed_dropout(model, seed, epoch)
            begin = monotonic()
            loss = _run_epoch(
                learner, batches, _steps(config, data), f"epoch {epoch + 1} of {config.epochs}"
            )
            with learner.averaged():
                area, averaged = validate(), values_of(model.variables)
            keeper.keep(stage, loss, area, averaged, model.variables, learner.variables)
            _log_epoch(keeper.history, config.epochs, monotonic() - begin)


def _steps(config: Config, data: TrainingData) -> int:
    """The steps of an epoch."""
    return (config.epoch_size or len(data.chosen(TRAIN))) // config.batch_size


def _learner(
    config: Config,
    data: TrainingData,
    model: keras.Model,
    stage: Stage,
    strategy: tf.distribute.Strategy,
) -> Learner:
    """Make what learns in a stage, as the recipe says."""
    return Learner(
        model,
        stage_rate(stage, config.learning_rate, _steps(config, data), config.epochs),
        config.batch_size,
        config.localisation,
        config.smoothing,
        config.averaging,
        strategy,
    )


def _distributed(
    config: Config, data: TrainingData, seed: int, first_epoch: int, strategy: tf.distribute.Strategy
) -> Iterator[Any]:
    """Make the stream of batches for the replicas of this process."""
    chosen = data.chosen(TRAIN)
    weights = sample_weights(data.scan.samples, chosen, config.balance)
    sampling = Sampling(config.epoch_size, config.fractured_share, config.zoom, config.window)

    def batches(context: tf.distribute.InputContext) -> tf.data.Dataset:
        share = share_of_batch(context)
        return training_batches(
            data.scan, chosen, weights, config.batch_size, seed, first_epoch, share, sampling
        )

    return iter(strategy.distribute_datasets_from_function(batches))


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Make dropout depend on the seed and the epoch alone, so that a resumed training repeats it."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate:
            layer.seed_generator.state.assign([seed, epoch * DRAWS_PER_EPOCH])


def _run_epoch(learner: Learner, batches: Iterator[Any], steps: int, name: str) -> float:
    """Run the steps of an epoch and return the mean loss."""
    total = 0.0
    with tqdm(range(steps), name, unit="batch", disable=None, leave=False) as progress:
        for step in progress:
            total += learner.step(next(batches))
            if step % _STEPS_BETWEEN_LOSSES == 0:
                progress.set_postfix(loss=f"{float(total) / (step + 1):.4f}")
    mean = float(total) / steps
    if not np.isfinite(mean):
        raise DataError("The training diverged: the loss is no number. Lower --learning_rate.")
    return mean


def _validator(config: Config, model: keras.Model, data: TrainingData) -> Callable[[], float | None]:
    """Make a function that measures the AUROC on whole validation X-rays with the model as it is then."""
    chosen = data.chosen(VALIDATION)
    squares, labels = data.scan.only(chosen).squares, data.labels[chosen]
    whole = build_model(config.model, config.image_size) if config.window else model
    to_logits = LogitModel(whole)

    def validate() -> float | None:
        if whole is not model:
            assign(whole.variables, values_of(model.variables))
        return metrics.auroc(labels, to_logits(squares))

    return validate


def _log_epoch(history: History, epochs: int, seconds: float) -> None:
    last, chosen = history[-1], history[chosen_epoch(history) - 1]
    logger.info(
        "Epoch %d of %d (%s): loss %s%s; at most %s to go.",
        last["epoch"],
        epochs,
        last["stage"],
        last["loss"],
        f", validation AUROC {last['validation_auroc']}, best {chosen['validation_auroc']} in epoch "
        f"{chosen['epoch']}"
        if last["validation_auroc"]
        else "",
        timedelta(seconds=round(seconds * (epochs - len(history)))),
    )
