"""One training step, over one replica or many."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

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
        strategy: Who trains.
    """

    def __init__(
        self,
        model: keras.Model,
        learning_rate: keras.optimizers.schedules.LearningRateSchedule,
        batch_size: int,
        localisation: float,
        strategy: tf.distribute.Strategy,
    ) -> None:
        self._strategy = strategy
        self._batch_size = batch_size
        self._localisation = localisation
        self._variables = [variable.value for variable in model.trainable_variables]
        self._model = model
        with strategy.scope():
            outputs = {name: model.get_layer(name).output for name in ("logit", "evidence")}
            self._network = keras.Model(model.input, outputs)
            self.optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=WEIGHT_DECAY)
            self.optimizer.build(model.trainable_variables)
        self.step = tf.function(self._step)

    def _step(self, batch: Any) -> tf.Tensor:
        """Learn from one batch; return the mean of its samples' losses over all replicas."""
        shares = self._strategy.run(self._replica_step, args=batch)
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)

    def _replica_step(
        self, images: tf.Tensor, targets: dict[str, tf.Tensor], weights: tf.Tensor
    ) -> tf.Tensor:
        replicas = tf.distribute.get_replica_context()
        count = replicas.num_replicas_in_sync
        with tf.GradientTape() as tape:
            outputs = self._network(images, training=True)
            losses = sample_losses(targets, outputs, self._localisation)
            share = tf.reduce_sum(weights * losses) / self._batch_size
        gradients = tape.gradient(share, self._variables)
        whole = replicas.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        clipped, _ = tf.clip_by_global_norm(whole, MAX_GRADIENT_NORM)
        # the optimizer sums over the replicas once more
        self.optimizer.apply([each / count for each in clipped], self._model.trainable_variables)
        return share
