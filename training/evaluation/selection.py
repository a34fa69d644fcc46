"""Which X-rays a model is judged on, and how far that lets its figures be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_app.errors import DataError
from training.layouts.tables import read_rows, text
from training.prepare import UNREADABLE
from training.samples import Dataset, Sample
from training.splits import TEST, TRAIN, VALIDATION

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
_UNKNOWN = "What the model was trained on is not known: it may have seen these X-rays before."


@dataclass(frozen=True)
class Selection:
    """The X-rays to judge a model on.

    `groups` holds the split's group of each by image id; empty where groups must be found from the
    pictures. `unreadable` are files that training found broken, and why. `own_validation` are the
    X-rays of the validation side, where these are not among those to judge. `holds_validation` tells
    whether those to judge include what the model's calibration and threshold were chosen on.
    """

    side: str
    samples: Sequence[Sample]
    groups: Mapping[str, int]
    unreadable: Sequence[tuple[Sample, str]]
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
        split: The `split.csv` of a run on this data set.

    Returns:
        The selection.

    Raises:
        DataError: no X-ray stands on that side, or the split is of other data.
    """
    if split is not None:
        return _by_split(dataset, side, split)
    same = trained_on == dataset.sha256
    side_of = {sample.image_id: sample.side for sample in dataset.samples}
    chosen = ALL if side == AUTO and trained_on and not same else _resolve(side, side_of)
    return Selection(
        side=chosen,
        samples=_of_side(dataset, chosen, side_of),
        groups={},
        unreadable=[],
        own_validation=_own_validation(dataset, chosen, side_of),
        holds_validation=same and chosen in (VALIDATION, ALL),
        warnings=_warnings(chosen, _TRAINED_SOMEWHERE) if same else [_UNKNOWN] * (not trained_on),
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
    return Selection(
        side=chosen,
        samples=_of_side(dataset, chosen, side_of),
        groups={
            image_id: int(text(row, "group", split))
            for image_id, row in rows.items()
            if side_of[image_id] != UNREADABLE
        },
        unreadable=[
            (sample, text(rows[sample.image_id], "reason", split))
            for sample in dataset.samples
            if side_of[sample.image_id] == UNREADABLE
        ],
        own_validation=_own_validation(dataset, chosen, side_of),
        holds_validation=chosen in (VALIDATION, ALL),
        warnings=_warnings(chosen, _TRAINED_HERE),
    )


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
