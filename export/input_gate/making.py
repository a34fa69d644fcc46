"""The X-rays of a run to a fitted, judged input gate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_app.errors import DataError
from edge_app.imaging.preprocess import place, preprocess
from edge_app.model.quality import InputGate
from export.input_gate.alterations import acceptable
from export.input_gate.figures import KindFigures, Verdict, XrayFigures, kind_figures, verdict, xray_figures
from export.input_gate.fitting import Material, fit_gate
from export.input_gate.kinds import to_fit, to_test
from export.proof.drawn import draw_xray
from export.runs import XrayRecord
from export.xrays import evenly_spread, read_picture

Picture = NDArray[np.uint8]
_Thing = TypeVar("_Thing")
Averager = Callable[[NDArray[np.float32]], Sequence[NDArray[np.float32]]]
_DRAWN_FROM = 100  # a seed; the golden cases have others
_VARIED = " varied"
_FIT_SEED, _TEST_SEED = 0, 1
_TRAIN, _VALIDATION = "train", "validation"
_HELD_OUT_OF = 4

logger = logging.getLogger("export")


@dataclass(frozen=True)
class GateFigures:
    """How a gate was judged.

    `xrays` are held-out X-rays as they are, `varied` some of them in another tone, turn, size or blur, as
    they may come from elsewhere; `negatives` are pictures that should not be accepted, kind by kind.
    `held_out` says which X-rays were held out.
    """

    held_out: str
    xrays: XrayFigures
    varied: XrayFigures
    negatives: Sequence[KindFigures]

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return asdict(self)


class Amounts(NamedTuple):
    """How many X-rays to fit to, to alter, and to draw; how many pictures of each drawn kind."""

    fitted: int = 1200
    altered: int = 60
    drawn: int = 40
    each_to_fit: int = 60
    each_to_test: int = 30


ENOUGH = Amounts()


class _Seen(NamedTuple):
    """One picture's averages at each depth, and (h, w) what the model saw of it."""

    averages: Sequence[NDArray[np.float32]]
    part: Picture


def make_gate(
    averages_of: Averager,
    data_dir: Path,
    records: Sequence[XrayRecord],
    size_px: int,
    folder: Path | None = None,
    amounts: Amounts = ENOUGH,
) -> tuple[InputGate, GateFigures]:
    """Fit an input gate to a model's averages, and judge it.

    Args:
        averages_of: From a tensor, float32 (1, S, S, 1), to its averages at each depth, float32 (C,).
        data_dir: Where the X-rays lie.
        records: The run's X-rays with their sides.
        size_px: The side S of the model's square.
        folder: Further pictures that are no X-rays, to judge by; each sub-folder is a kind.
        amounts: How many pictures to take.

    Returns:
        The gate and its figures.

    Raises:
        DataError: there are too few X-rays, or one cannot be read.
    """
    fitted, held_out, description = _sides(records)

    def look(picture: Picture) -> _Seen:
        top, left, height, width = place(picture.shape[0], picture.shape[1], size_px)
        tensor = preprocess(picture, size_px)
        part = tensor[0, top : top + height, left : left + width, 0].astype(np.uint8)
        return _Seen(averages_of(tensor), part)

    gate, learnt = _fit(look, data_dir, evenly_spread(fitted, amounts.fitted), amounts)
    plain, varied, negatives = _judge(gate, look, data_dir, held_out, folder, amounts)
    figures = GateFigures(
        description, xray_figures(plain), xray_figures(varied), kind_figures(plain, negatives, learnt)
    )
    _log(figures)
    return gate, figures


def _sides(records: Sequence[XrayRecord]) -> tuple[list[XrayRecord], list[XrayRecord], str]:
    """Choose whom to fit and by whom to judge; no group is on both sides."""
    train = [record for record in records if record.side == _TRAIN]
    held_out = [record for record in records if record.side == _VALIDATION]
    description = "X-rays that neither the model nor the gate was fitted to"
    if not held_out:
        chosen = set(sorted({record.group for record in train})[::_HELD_OUT_OF])
        held_out = [record for record in train if record.group in chosen]
        train = [record for record in train if record.group not in chosen]
        description = "X-rays that the model was trained on, but the gate was not fitted to"
    if len({record.group for record in train}) < _HELD_OUT_OF or not held_out:
        raise DataError(
            f"An input gate needs X-rays of at least {_HELD_OUT_OF} groups to be fitted to, and others to "
            f"be judged by; the run lists {len(train)} and {len(held_out)}. Train with more X-rays."
        )
    return train, held_out, description


def _fit(
    look: Callable[[Picture], _Seen], data_dir: Path, records: Sequence[XrayRecord], amounts: Amounts
) -> tuple[InputGate, set[str]]:
    """Fit a gate to X-rays, to half of them varied as well, and to drawn ones; return what kinds it learnt.

    Drawn X-rays count as X-rays, so that a clinic can try the whole way without a patient's picture.
    """
    generator = np.random.default_rng(_FIT_SEED)
    xrays: list[_Seen] = []
    groups: list[str] = []
    for index, record in enumerate(_bar(records, "gate: X-rays")):
        picture = read_picture(data_dir, record)
        xrays.append(look(picture))
        groups.append(record.group)
        if index % 2 == 0:
            xrays.append(look(acceptable(picture, generator)))
            groups.append(record.group + _VARIED)
    seeds = range(_DRAWN_FROM, _DRAWN_FROM + amounts.drawn)
    drawn = [draw_xray(seed, fractured=seed % 2 == 0) for seed in seeds]
    xrays += [look(picture) for picture in drawn]
    groups += [_VARIED] * len(drawn)
    altered = [read_picture(data_dir, record) for record in evenly_spread(records, amounts.altered)]
    negatives = list(_bar(to_fit(altered, amounts.each_to_fit, generator), "gate: other pictures"))
    material = Material(
        xrays=_stacked(xrays),
        groups=np.unique([group.removesuffix(_VARIED) for group in groups], return_inverse=True)[1],
        are_plain=np.array([not group.endswith(_VARIED) for group in groups]),
        negatives=_stacked([look(negative.picture) for negative in negatives]),
        reasons=[str(negative.reason) for negative in negatives],
    )
    return fit_gate(material), {negative.kind for negative in negatives}


def _judge(
    gate: InputGate,
    look: Callable[[Picture], _Seen],
    data_dir: Path,
    records: Sequence[XrayRecord],
    folder: Path | None,
    amounts: Amounts,
) -> tuple[list[Verdict], list[Verdict], list[tuple[str, Verdict]]]:
    """Judge held-out X-rays, a third of them varied as well, and other pictures by their kinds."""
    generator = np.random.default_rng(_TEST_SEED)

    def judged(picture: Picture) -> Verdict:
        seen = look(picture)
        return verdict(gate, seen.averages, seen.part)

    plain, varied = [], []
    for index, record in enumerate(_bar(records, "gate: held-out X-rays")):
        picture = read_picture(data_dir, record)
        plain.append(judged(picture))
        if index % 3 == 0:
            varied.append(judged(acceptable(picture, generator)))
    altered = [read_picture(data_dir, record) for record in evenly_spread(records, amounts.altered)]
    pictures = _bar(
        to_test(altered, amounts.each_to_test, generator, folder), "gate: held-out other pictures"
    )
    return plain, varied, [(negative.kind, judged(negative.picture)) for negative in pictures]


def _log(figures: GateFigures) -> None:
    logger.info(
        "The input gate flags %.1f %% of %d held-out X-rays and refuses %.1f %%.",
        100 * figures.xrays.flagged,
        figures.xrays.samples,
        100 * figures.xrays.refused,
    )
    for kind in figures.negatives:
        logger.info(
            "%-28s %-7s %4d pictures: %5.1f %% caught, %5.1f %% refused",
            kind.kind,
            "learnt" if kind.was_learnt else "unseen",
            kind.samples,
            100 * kind.caught,
            100 * kind.refused,
        )


def _stacked(seen: Sequence[_Seen]) -> list[NDArray[np.float32]]:
    return [np.stack(depth) for depth in zip(*(each.averages for each in seen), strict=True)]


def _bar(things: Iterable[_Thing], purpose: str) -> Iterator[_Thing]:
    yield from tqdm(things, purpose, unit="image", leave=False, disable=None)
