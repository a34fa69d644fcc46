"""Who trains, who validates, who tests: no patient and no picture on two sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from edge_app.errors import DataError
from training.data.layouts.tables import read_rows, text
from training.data.samples import Sample

TRAIN, VALIDATION, TEST, LEFT_OUT = "train", "validation", "test", "left out"
_SIDES = (TRAIN, VALIDATION, TEST, LEFT_OUT)
_SIDE = "<U10"
BLOCK_SIZE = 50
NEIGHBOUR_GAP = 2
FOLDS = 5
DUPLICATE_CORRELATION = 0.99
_ROWS_AT_ONCE = 2048

Sides = NDArray[np.str_]


@dataclass(frozen=True)
class Leak:
    """Two samples on different sides that are too much alike, by index, and why."""

    sample: int
    held_out: int
    reason: str


def duplicate_pairs(thumbnails: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Find pictures that are the same or nearly the same.

    Two pictures are duplicates when their thumbnails correlate by `DUPLICATE_CORRELATION` or more, which
    no change of brightness or contrast hides. On the FracAtlas pictures this finds every pixel-identical
    pair, and hardly depends on the limit: 110 pairs at 0.995, 111 at 0.99, 123 at 0.98.

    Args:
        thumbnails: uint8 (N, T, T).

    Returns:
        int64 (pairs, 2), indices with first < second.
    """
    vectors = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    found = []
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        alike = vectors[start : start + _ROWS_AT_ONCE] @ vectors.T >= DUPLICATE_CORRELATION
        found.append(np.argwhere(np.triu(alike, k=start + 1)) + np.array([start, 0]))
    return np.concatenate(found)


def group_samples(samples: Sequence[Sample], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the groups of samples that are not independent of each other.

    They are the patients where these are known; else the blocks of consecutive export numbers, since
    neighbours are often the same patient; else the sets of duplicates.

    Args:
        samples: N samples.
        pairs: int64 (pairs, 2), indices of duplicates.

    Returns:
        int64 (N,), the group of each sample.
    """
    if all(sample.patient for sample in samples):
        return np.unique([sample.patient for sample in samples], return_inverse=True)[1]
    if all(sample.number is not None for sample in samples):
        return np.array([(sample.number or 0) // BLOCK_SIZE for sample in samples], np.int64)
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (len(samples), len(samples)))
    return connected_components(links, directed=False)[1].astype(np.int64)


def given_sides(samples: Sequence[Sample]) -> Sides:
    """Return the sides that the data set has, (N,); "train" where it has none."""
    return np.array([sample.side or TRAIN for sample in samples], _SIDE)


def earlier_sides(samples: Sequence[Sample], split: Path) -> Sides:
    """Return the sides that an earlier training wrote down.

    Args:
        samples: N samples.
        split: Its `split.csv`.

    Returns:
        (N,) sides.

    Raises:
        DataError: the file is no such table, or does not tell of every sample.
    """
    if not split.is_file():
        raise DataError(f"There is no split {split}. Name the split.csv of an earlier run.")
    told = {text(row, "image_id", split): text(row, "side", split) for row in read_rows(split)}
    strangers = [sample.image_id for sample in samples if told.get(sample.image_id) not in _SIDES]
    if strangers:
        raise DataError(
            f"{split} does not tell the side of {len(strangers)} X-rays, the first is {strangers[0]}. It "
            "belongs to other data, or to the same in another state."
        )
    return np.array([told[sample.image_id] for sample in samples], _SIDE)


def hold_out(
    side: str, sides: Sides, labels: NDArray[np.float32], groups: NDArray[np.int64], seed: int
) -> Sides:
    """Move whole groups to another side: about a fifth of what trains, and of its fractures.

    Args:
        side: "validation" or "test".
        sides: (N,), which do not hold it yet.
        labels: float32 (N,), 0 or 1.
        groups: int64 (N,).
        seed: Any whole number; the same seed gives the same sides.

    Returns:
        (N,) sides.

    Raises:
        DataError: too few groups or X-rays of one class.
    """
    train = np.flatnonzero(sides == TRAIN)
    count, fractured = len(np.unique(groups[train])), int(labels[train].sum())
    if min(count, fractured, len(train) - fractured) < FOLDS:
        raise DataError(
            f"{fractured} fractured and {len(train) - fractured} normal X-rays in {count} independent "
            f"groups are too few to hold some out for {side}; {FOLDS} of each are needed. Add "
            "X-rays of more patients."
        )
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    _, held_out = next(folds.split(train, labels[train], groups[train]))
    chosen = sides.copy()
    chosen[train[held_out]] = side
    return chosen


def fold_sides(
    labels: NDArray[np.float32], groups: NDArray[np.int64], folds: int, seed: int
) -> list[Sides]:
    """Deal whole groups into folds that hold about equally many X-rays and fractures.

    Args:
        labels: float32 (N,), 0 or 1.
        groups: int64 (N,).
        folds: How many, K, two or more.
        seed: Any whole number; the same seed gives the same folds.

    Returns:
        K arrays (N,) of sides: each fold is "validation" once, when the others train.

    Raises:
        DataError: too few groups or X-rays of one class for so many folds.
    """
    count, fractured = len(np.unique(groups)), int(labels.sum())
    if min(count, fractured, len(labels) - fractured) < folds:
        raise DataError(
            f"{fractured} fractured and {len(labels) - fractured} normal X-rays in {count} independent "
            f"groups are too few for {folds} folds. Lower --folds, or add X-rays of more patients."
        )
    dealt = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(labels, labels, groups)
    sides = []
    for number, (_, held_out) in enumerate(dealt, start=1):
        fold = np.full(len(labels), TRAIN, _SIDE)
        fold[held_out] = VALIDATION
        if len(np.unique(labels[held_out])) < 2:
            raise DataError(
                f"Fold {number} of {folds} would hold {int(labels[held_out].sum())} fractured among "
                f"{len(held_out)} X-rays, so nothing could be measured on it. Lower --folds, or try "
                "another --seed."
            )
        sides.append(fold)
    return sides


def check_classes(side: str, labels: NDArray[np.float32]) -> None:
    """Refuse a side of one class, on which nothing can be learned or measured.

    Args:
        side: Its name, for the message.
        labels: float32 (n,), 0 or 1.

    Raises:
        DataError: the side holds one class only, or nothing.
    """
    if len(np.unique(labels)) < 2:
        raise DataError(
            f"The side {side!r} of the split holds {int(labels.sum())} fractured among {len(labels)} "
            "X-rays, so nothing can be learned or measured on it. Add fractured and normal X-rays of more "
            "patients; where the split was chosen here, another --seed may do."
        )


def find_leaks(samples: Sequence[Sample], sides: Sides, pairs: NDArray[np.int64]) -> list[Leak]:
    """Find the samples that a later side holds again: train in validation and test, validation in test.

    They are of the same patient, duplicates, or stand within `NEIGHBOUR_GAP` of each other in the order
    of export, where a patient may reach across the edge of a block. Joining whole blocks through their
    duplicates instead would tie nearly all of FracAtlas into one group.

    Args:
        samples: N samples.
        sides: (N,); those left out are passed over.
        pairs: int64 (pairs, 2), indices of duplicates.

    Returns:
        One leak for each sample that leaks, the first one found, ordered by sample.
    """
    rank = np.array([_SIDES.index(side) for side in sides])
    leaks: dict[int, Leak] = {}
    for first, second, reason in _alike(samples, pairs):
        early, late = sorted((first, second), key=lambda index: rank[index])
        if rank[early] < rank[late] and sides[late] != LEFT_OUT:
            leaks.setdefault(early, Leak(early, late, reason))
    return [leaks[index] for index in sorted(leaks)]


def label_conflicts(samples: Sequence[Sample], pairs: NDArray[np.int64]) -> list[tuple[Sample, Sample]]:
    """Return the pairs of duplicates that are labelled differently."""
    alike = ((samples[first], samples[second]) for first, second in pairs)
    return [(first, second) for first, second in alike if first.fractured != second.fractured]


def _alike(samples: Sequence[Sample], pairs: NDArray[np.int64]) -> Iterator[tuple[int, int, str]]:
    """Yield the pairs of samples that must not stand on different sides."""
    for first, second in pairs:
        yield int(first), int(second), "nearly the same picture"
    yield from _same_patient(samples)
    numbered = [(sample.number, index) for index, sample in enumerate(samples) if sample.number is not None]
    numbered.sort()
    for place, (number, index) in enumerate(numbered):
        for other_number, other in numbered[place + 1 : place + 1 + NEIGHBOUR_GAP]:
            if other_number - number <= NEIGHBOUR_GAP:
                yield index, other, "neighbouring export number"


def _same_patient(samples: Sequence[Sample]) -> Iterator[tuple[int, int, str]]:
    members: dict[str, list[int]] = {}
    for index, sample in enumerate(samples):
        if sample.patient:
            members.setdefault(sample.patient, []).append(index)
    for indices in members.values():
        for place, index in enumerate(indices):
            for other in indices[place + 1 :]:
                yield index, other, "same patient"
