"""What training minimises: the picture's answer, and where the evidence for it lies."""

from __future__ import annotations

import keras

CELL_LOSS_WEIGHT = 3.0
# Cells on a fracture are rare even in fractured X-rays; each counts as so many others.
POSITIVE_CELL_WEIGHT = 20.0


@keras.saving.register_keras_serializable("training")
def cell_loss(cells: keras.KerasTensor, evidence: keras.KerasTensor) -> keras.KerasTensor:
    """Compute the weighted cross-entropy of the evidence map.

    Args:
        cells: (N, h, w, 1), 1 where a box lies, else 0.
        evidence: (N, h, w, 1), logits.

    Returns:
        (N,), the mean over the cells.
    """
    each = keras.ops.binary_crossentropy(cells, evidence, from_logits=True)
    return keras.ops.mean(each * (1 + (POSITIVE_CELL_WEIGHT - 1) * cells), axis=(1, 2, 3))


def trainable(
    model: keras.Model, learning_rate: float, weight_decay: float, steps: int, epochs: int
) -> keras.Model:
    """Give a classifier its second output, the evidence map, and compile both losses.

    Args:
        model: A model of `architectures.build_model`.
        learning_rate: The highest rate, reached after one epoch and lowered along a cosine.
        weight_decay: The optimizer's.
        steps: Batches in an epoch.
        epochs: Two or more.

    Returns:
        A compiled model with the outputs `probability` and `evidence`, sharing all weights.
    """
    outputs = {"probability": model.output, "evidence": model.get_layer("evidence").output}
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps * (epochs - 1), warmup_target=learning_rate, warmup_steps=steps
    )
    trainer = keras.Model(model.input, outputs)
    trainer.compile(
        keras.optimizers.AdamW(schedule, weight_decay=weight_decay, global_clipnorm=1.0),
        loss={"probability": "binary_crossentropy", "evidence": cell_loss},
        loss_weights={"probability": 1.0, "evidence": CELL_LOSS_WEIGHT},
    )
    return trainer


def classifier(trainer: keras.Model) -> keras.Model:
    """Return the classifier inside a model of `trainable`, sharing all weights."""
    return keras.Model(trainer.input, trainer.get_layer("probability").output)
