"""How well an input gate tells X-rays from other pictures, for each kind of these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.model.quality import InputGate, Quality, log_odds


class Verdict(NamedTuple):
    """What a gate said of one picture, and the log-odds of its head that it is an X-ray."""

    quality: Quality
    odds: float


@dataclass(frozen=True)
class XrayFigures:
    """How many X-rays were judged, and which shares of them, 0..1, were flagged and refused."""

    samples: int
    flagged: float
    refused: float


@dataclass(frozen=True)
class KindFigures:
    """How many pictures of a kind were judged, and which shares of them, 0..1, were caught and refused.

    `fpr_at_95_caught` is the share of X-rays that would be flagged if the head alone had to catch 95 % of
    this kind. `was_learnt` tells whether other pictures of the kind were fitted to.
    """

    kind: str
    was_learnt: bool
    samples: int
    caught: float
    refused: float
    fpr_at_95_caught: float


def verdict(gate: InputGate, averages: Sequence[NDArray[np.float32]], seen: NDArray[np.number]) -> Verdict:
    """Judge one picture; the arguments are those of `InputGate.judge`."""
    return Verdict(gate.judge(averages, seen), float(log_odds(gate.scores(averages))))


def xray_figures(verdicts: Sequence[Verdict]) -> XrayFigures:
    """Count what a gate said of X-rays."""
    return XrayFigures(len(verdicts), _flagged(verdicts), _refused(verdicts))


def kind_figures(
    xrays: Sequence[Verdict], negatives: Iterable[tuple[str, Verdict]], learnt: set[str]
) -> list[KindFigures]:
    """Count what a gate said of other pictures, kind by kind.

    Args:
        xrays: What it said of held-out X-rays.
        negatives: Kinds, with what it said.
        learnt: The kinds that were fitted to.

    Returns:
        The figures of each kind, in the order in which they come.
    """
    kinds: dict[str, list[Verdict]] = {}
    for kind, said in negatives:
        kinds.setdefault(kind, []).append(said)
    odds = np.array([each.odds for each in xrays])
    return [
        KindFigures(
            kind=kind,
            was_learnt=kind in learnt,
            samples=len(verdicts),
            caught=_flagged(verdicts),
            refused=_refused(verdicts),
            fpr_at_95_caught=float((odds <= np.quantile([each.odds for each in verdicts], 0.95)).mean()),
        )
        for kind, verdicts in kinds.items()
    ]


def _flagged(verdicts: Sequence[Verdict]) -> float:
    return float(np.mean([not each.quality.accepted for each in verdicts]))


def _refused(verdicts: Sequence[Verdict]) -> float:
    return float(np.mean([not each.quality.is_xray for each in verdicts]))
