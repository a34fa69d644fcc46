"""Which X-rays a model is judged on, and how far that lets its figures be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_app.errors import DataError
from training.data.layouts.tables import Row, read_rows, text
from training.data.prepare import UNREADABLE
from training.data.samples import Dataset, Sample
from training.data.splits import TEST, TRAIN, VALIDATION

AUTO, ALL = "auto", "all"
CHOICES = (AUTO, VALIDATION, TEST, TRAIN, ALL)

_CHOSEN_HERE = (
    "The epoch, the calibration and the threshold were chosen on these X-rays, so all figures are somewhat "
    "too good. A test side or other data would tell more."
)
_TRAINED_HERE = (
    "The model was trained on X-rays among these: the figures say what it remembers, not what it can do."
)
_TRAINED_SOMEWHERE = (
    "The model was trained on this very data set, and nothing tells which of its X-rays were held out: it "
    "knows most of these, and the figures are too good to be believed."
)
_MAYBE_TRAINED_HERE = (
    "The model was trained on another data set, or another state of this one, and nothing tells whether "
    "some of these X-rays were in it."
)
_UNKNOWN = "What the model was trained on is not known: it may have seen these X-rays before."


@dataclass(frozen=True)
class Selection:
    """The X-rays to judge a model on.

    `groups` holds the split's group of each by image id; empty where groups must be found from the
    pictures. `unreadable` are files that training found broken, and why; `unreadable_side` is the side
    they stand on, "all" where the data set does not tell. `own_validation` are the X-rays of the
    validation side, where these are not among those to judge. `holds_validation` tells whether those to
    judge include what the model's calibration and threshold were chosen on.
    """

    side: str
    samples: Sequence[Sample]
    groups: Mapping[str, int]
    unreadable: Sequence[tuple[Sample, str]]
    unreadable_side: str
    own_validation: Sequence[Sample]
    holds_validation: bool
    warnings: Sequence[str]


def select(dataset: Dataset, side: str, trained_on: str, split: Path | None) -> Selection:
    """Choose the X-rays of a side.

    The split that a training wrote down tells the sides; without one, the data set's own sides count.
    "auto" takes the test side, or the validation side where there is no test. It takes all X-rays where
    there are no sides, and, without a split, of a data set that the model is known not to come from.

    Args:
        dataset: What is there.
        side: One of `CHOICES`.
        trained_on: The SHA-256 of the data set that the model was trained on; empty when unknown.
        split: The `split.csv` of the run that the model comes from. It tells the sides of the data set
            that the model was trained on; of another one, it tells which names were in both.

    Returns:
        The selection.

    Raises:
        DataError: no X-ray stands on that side, or the split is of other data.
    """
    same = trained_on == dataset.sha256
    if split is not None and same:
        return _by_split(dataset, side, split)
    side_of = {sample.image_id: sample.side for sample in dataset.samples}
    chosen = ALL if side == AUTO and trained_on and not same else _resolve(side, side_of)
    samples = _of_side(dataset, chosen, side_of)
    return Selection(
        side=chosen,
        samples=samples,
        groups={},
        unreadable=[],
        unreadable_side=chosen,
        own_validation=_own_validation(dataset, chosen, side_of),
        holds_validation=same and chosen in (VALIDATION, ALL),
        warnings=_warnings(chosen, _TRAINED_SOMEWHERE) if same else [_stranger(samples, trained_on, split)],
    )


def _by_split(dataset: Dataset, side: str, split: Path) -> Selection:
    rows = {text(row, "image_id", split): row for row in read_rows(split)}
    missing = [sample.image_id for sample in dataset.samples if sample.image_id not in rows]
    if missing:
        raise DataError(
            f"{split} does not list {len(missing)} X-rays of {dataset.name}, the first is {missing[0]}: it "
            "is of other data."
        )
    side_of = {image_id: text(row, "side", split) for image_id, row in rows.items()}
    chosen = _resolve(side, side_of)
    told = chosen if any(sample.side == chosen for sample in dataset.samples) else ALL
    return Selection(
        side=chosen,
        samples=_of_side(dataset, chosen, side_of),
        groups={
            image_id: _group(row, split)
            for image_id, row in rows.items()
            if side_of[image_id] != UNREADABLE
        },
        unreadable=[
            (sample, text(rows[sample.image_id], "reason", split))
            for sample in dataset.samples
            if side_of[sample.image_id] == UNREADABLE and told in (ALL, sample.side)
        ],
        unreadable_side=told,
        own_validation=_own_validation(dataset, chosen, side_of),
        holds_validation=chosen in (VALIDATION, ALL),
        warnings=_warnings(chosen, _TRAINED_HERE),
    )


def _group(row: Row, split: Path) -> int:
    group = text(row, "group", split)
    if not group.isdecimal():
        raise DataError(f"{split} holds group {group!r}; expected a whole number.")
    return int(group)


def _stranger(samples: Sequence[Sample], trained_on: str, split: Path | None) -> str:
    """Tell how far the model may know X-rays that are not of the data set it was trained on."""
    if split is not None:
        rows = read_rows(split)
        known = {text(row, "image_id", split) for row in rows if row.get("side") in (TRAIN, VALIDATION)}
        count = sum(sample.image_id in known for sample in samples)
        if count:
            return (
                f"The data set is not as it was in the training, but {count} of these {len(samples)} "
                "X-rays have names that the model was trained or validated on. If they are the same "
                "pictures, the figures are too good to be believed."
            )
    return _MAYBE_TRAINED_HERE if trained_on else _UNKNOWN


def _own_validation(dataset: Dataset, side: str, side_of: Mapping[str, str]) -> list[Sample]:
    if side not in (TEST, TRAIN):
        return []
    return [sample for sample in dataset.samples if side_of[sample.image_id] == VALIDATION]


def _resolve(side: str, side_of: Mapping[str, str]) -> str:
    if side != AUTO:
        return side
    return next((known for known in (TEST, VALIDATION) if known in side_of.values()), ALL)


def _of_side(dataset: Dataset, side: str, side_of: Mapping[str, str]) -> list[Sample]:
    if side == ALL:
        return [sample for sample in dataset.samples if side_of[sample.image_id] != UNREADABLE]
    samples = [sample for sample in dataset.samples if side_of[sample.image_id] == side]
    if not samples:
        known = sorted(set(side_of.values()) & set(CHOICES))
        raise DataError(
            f"No X-ray of {dataset.name} is on the side {side!r}. Choose one of "
            f"{', '.join([*known, ALL])} with --side."
        )
    return samples


def _warnings(side: str, of_all: str) -> list[str]:
    told = {VALIDATION: _CHOSEN_HERE, TRAIN: _TRAINED_HERE, ALL: of_all}
    return [told[side]] if side in told else []
