"""What training minimises: the picture's answer, and where the evidence for it lies."""

from __future__ import annotations

from collections.abc import Mapping

import keras

# Cells on a fracture are rare even in fractured X-rays; each counts as so many others.
POSITIVE_CELL_WEIGHT = 20.0


def sample_losses(
    targets: Mapping[str, keras.KerasTensor], outputs: Mapping[str, keras.KerasTensor], localisation: float
) -> keras.KerasTensor:
    """Compute each sample's loss: that of the answer, and where wanted that of the place.

    Where a fracture has no box nobody knows its place, and only the answer counts.

    Args:
        targets: `logit`, the labels (N, 1), and `evidence`, the cells on a fracture (N, h, w, 1), 0 or 1.
        outputs: The model's values of the same names and shapes.
        localisation: How much the place counts beside the answer; 0 leaves it out.

    Returns:
        (N,).
    """
    answer = keras.ops.binary_crossentropy(targets["logit"], outputs["logit"], from_logits=True)[:, 0]
    if not localisation:
        return answer
    cells = targets["evidence"]
    known = keras.ops.maximum(1 - targets["logit"][:, 0], keras.ops.max(cells, axis=(1, 2, 3)))
    return answer + localisation * known * cell_loss(cells, outputs["evidence"])


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
