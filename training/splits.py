"""Grouped splits, so that no patient and no picture stands on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from edge_app.errors import DataError
from training.datasets import Sample

BLOCK_SIZE = 50
NEIGHBOUR_GAP = 2
FOLDS = 5
DUPLICATE_CORRELATION = 0.99
_THUMBNAIL_PX = 32


def duplicate_pairs(squares: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Find pictures that are the same or nearly the same.

    Two pictures are duplicates when their 32-pixel thumbnails correlate by `DUPLICATE_CORRELATION` or
    more. On the FracAtlas pictures this finds every pixel-identical pair, and hardly depends on the
    limit: 110 pairs at 0.995, 111 at 0.99, 123 at 0.98.

    Args:
        squares: uint8 (N, S, S).

    Returns:
        int64 (pairs, 2), indices with first < second.
    """
    thumbnails = np.stack(
        [cv2.resize(s, (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA) for s in squares]
    )
    vectors = thumbnails.reshape(len(squares), -1).astype(np.float32)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return np.argwhere(np.triu(vectors @ vectors.T, k=1) >= DUPLICATE_CORRELATION)


def block_groups(samples: Sequence[Sample]) -> NDArray[np.int64]:
    """Number the blocks of consecutive samples: neighbours are often the same patient.

    Args:
        samples: N samples.

    Returns:
        int64 (N,), the block of each sample.
    """
    return np.array([sample.number // BLOCK_SIZE for sample in samples], np.int64)


def split_validation(
    labels: NDArray[np.float32], groups: NDArray[np.int64], seed: int
) -> NDArray[np.bool_]:
    """Choose whole groups for validation: about a fifth of the samples and of the fractures.

    Args:
        labels: float32 (N,), 0 or 1.
        groups: int64 (N,).
        seed: Any whole number; the same seed gives the same split.

    Returns:
        bool (N,), true for validation.

    Raises:
        DataError: the groups cannot be split so that both sides hold both classes.
    """
    if len(np.unique(groups)) < FOLDS:
        raise DataError(
            f"Only {len(np.unique(groups))} independent groups of X-rays were found; a split into "
            f"training and validation needs {FOLDS} or more. Add X-rays of more patients."
        )
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    _, validation = next(folds.split(labels, labels, groups))
    chosen = np.zeros(len(labels), bool)
    chosen[validation] = True
    for side in (chosen, ~chosen):
        if len(np.unique(labels[side])) < 2:
            raise DataError(
                "One side of the split holds a single class, so nothing can be measured on it. Add "
                "fractured and normal X-rays of more patients, or try another --seed."
            )
    return chosen


def leaking(
    samples: Sequence[Sample], validation: NDArray[np.bool_], pairs: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Find the samples that training must not see, since validation holds nearly the same.

    They are the duplicates of a validation sample, and those whose number stands within
    `NEIGHBOUR_GAP` of one, where a patient may reach across the edge of a block. Joining whole blocks
    through their duplicates instead would tie nearly all blocks into one group.

    Args:
        samples: N samples.
        validation: bool (N,).
        pairs: int64 (pairs, 2), indices of duplicates.

    Returns:
        bool (N,), true for what is left out of training.
    """
    numbers = np.array([sample.number for sample in samples])
    gaps = np.abs(numbers[:, np.newaxis] - numbers[validation]).min(axis=1)
    duplicates = np.zeros(len(samples), bool)
    for first, second in pairs:
        duplicates[first] |= validation[second]
        duplicates[second] |= validation[first]
    return ~validation & (duplicates | (gaps <= NEIGHBOUR_GAP))
