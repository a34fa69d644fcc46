"""What training minimises: the picture's answer, and where the evidence for it lies."""

from __future__ import annotations

from collections.abc import Mapping

import keras

# Cells on a fracture are rare even in fractured X-rays; each counts as so many others.
POSITIVE_CELL_WEIGHT = 8.0


def sample_losses(
    targets: Mapping[str, keras.KerasTensor],
    outputs: Mapping[str, keras.KerasTensor],
    localisation: float,
    smoothing: float = 0.0,
) -> keras.KerasTensor:
    """Compute each sample's loss: that of the answer, and where wanted that of the place.

    Where a fracture has no box nobody knows its place, and only the answer counts.

    Args:
        targets: `logit`, the labels (N, 1), and `evidence`, the cells on a fracture (N, h, w, 1), 0 or 1.
        outputs: The model's values of the same names and shapes.
        localisation: How much the place counts beside the answer; 0 leaves it out.
        smoothing: How far the answer's labels are moved towards one half, 0..1.

    Returns:
        (N,).

    Source:
        Szegedy et al., Rethinking the Inception architecture, CVPR 2016, section 7: label smoothing.
    """
    labels = targets["logit"] * (1 - smoothing) + smoothing / 2
    answer = keras.ops.binary_crossentropy(labels, outputs["logit"], from_logits=True)[:, 0]
    if not localisation:
        return answer
    cells = targets["evidence"]
    known = keras.ops.maximum(1 - targets["logit"][:, 0], keras.ops.max(cells, axis=(1, 2, 3)))
    return answer + localisation * known * cell_loss(cells, outputs["evidence"])


def cell_loss(cells: keras.KerasTensor, evidence: keras.KerasTensor) -> keras.KerasTensor:
    """Compute the weighted mean of the evidence map's cross-entropies.

    Args:
        cells: (N, h, w, 1), 1 where a box lies, else 0.
        evidence: (N, h, w, 1), logits.

    Returns:
        (N,), the mean over the cells; one on a fracture counts `POSITIVE_CELL_WEIGHT` times.
    """
    each = keras.ops.binary_crossentropy(cells, evidence, from_logits=True)
    weights = 1 + (POSITIVE_CELL_WEIGHT - 1) * cells
    return keras.ops.sum(each * weights, axis=(1, 2, 3)) / keras.ops.sum(weights, axis=(1, 2, 3))
