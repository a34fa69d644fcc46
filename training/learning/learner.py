"""One training step, over one replica or many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from training.learning.folding import fold_norms
from training.learning.losses import sample_losses

MAX_GRADIENT_NORM = 1.0
WEIGHT_DECAY = 1e-4


class Learner:
    """A model, its optimizer, and one training step over every replica.

    Keras' own `fit` does not run on several workers (keras#20585), and clips the gradient of each replica
    instead of their sum, so that two replicas learn otherwise than one.

    Args:
        model: A model of `architectures.build_model`, made in the strategy's scope.
        learning_rate: A schedule over the steps.
        batch_size: Samples in a batch over all replicas.
        localisation: The weight of the loss on fracture boxes.
        smoothing: How far labels are moved towards one half.
        averaging: How much of the averaged weights a step keeps at most, 0..1. The first steps keep less,
            so that the average does not remember the start.
        strategy: Who trains.
    """

    def __init__(
        self,
        model: keras.Model,
        learning_rate: keras.optimizers.schedules.LearningRateSchedule,
        batch_size: int,
        localisation: float,
        smoothing: float,
        averaging: float,
        strategy: tf.distribute.Strategy,
    ) -> None:
        self._strategy = strategy
        self._batch_size = batch_size
        self._localisation = localisation
        self._smoothing = smoothing
        self._averaging = averaging
        self._variables = [variable.value for variable in model.trainable_variables]
        self._model = model
        with strategy.scope():
            outputs = {name: model.get_layer(name).output for name in ("logit", "evidence")}
            self._network = fold_norms(keras.Model(model.input, outputs))
            self._averages = [tf.Variable(variable) for variable in self._variables]
            self.optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=WEIGHT_DECAY)
            self.optimizer.build(model.trainable_variables)
        # no tensor decides which way Python goes, and reading the code for that is a fifth of the tracing
        self.step = tf.function(self._step, autograph=False)

    @property
    def variables(self) -> list[Any]:
        """What a training that goes on must find again, beside the model's weights."""
        return [*self.optimizer.variables, *self._averages]

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the model have the moving average of its weights for a while.

        Source:
            Polyak & Juditsky, Acceleration of stochastic approximation by averaging, SIAM J. Control
            Optim. 30 (1992); the warm-up is that of tf.train.ExponentialMovingAverage.
        """
        raw = [variable.numpy() for variable in self._variables]
        assign(self._variables, self._averages)
        try:
            yield
        finally:
            assign(self._variables, raw)

    def _step(self, batch: Any) -> tf.Tensor:
        """Learn from one batch; return the mean of its samples' losses over all replicas."""
        shares = self._strategy.run(self._replica_step, args=batch)
        steps = tf.cast(self.optimizer.iterations, tf.float32)
        kept = tf.minimum(self._averaging, (1 + steps) / (10 + steps))
        for average, variable in zip(self._averages, self._variables, strict=True):
            average.assign_add((1 - kept) * (variable - average))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)

    def _replica_step(
        self, images: tf.Tensor, targets: dict[str, tf.Tensor], weights: tf.Tensor
    ) -> tf.Tensor:
        replicas = tf.distribute.get_replica_context()
        count = replicas.num_replicas_in_sync
        with tf.GradientTape() as tape:
            outputs = self._network(images, training=True)
            losses = sample_losses(targets, outputs, self._localisation, self._smoothing)
            share = tf.reduce_sum(weights * losses) / self._batch_size
        gradients = tape.gradient(share, self._variables)
        whole = replicas.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        clipped, _ = tf.clip_by_global_norm(whole, MAX_GRADIENT_NORM)
        # the optimizer sums over the replicas once more
        self.optimizer.apply([each / count for each in clipped], self._model.trainable_variables)
        return share


def assign(variables: Sequence[Any], values: Sequence[Any]) -> None:
    """Give variables the values of others, in their order."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
