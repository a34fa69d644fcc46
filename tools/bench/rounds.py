"""Interleaved rounds, so that whatever else the machine does falls on all contenders alike."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.bench.worker import Timed

# Long enough for threads that spin after their work to fall asleep.
PAUSE_S = 0.05


class Spread(NamedTuple):
    """A median with the 10th and the 90th percentile."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float] | NDArray[np.float64]) -> Spread:
    """Summarise measured values.

    Args:
        values: One or more numbers.

    Returns:
        Their median, 10th and 90th percentile.
    """
    low, median, high = np.percentile(values, [10, 50, 90])
    return Spread(float(median), float(low), float(high))


def interleave(contenders: Mapping[str, Timed], rounds: int) -> dict[str, NDArray[np.float64]]:
    """Ask every contender once a round, each round in another order.

    Args:
        contenders: By name.
        rounds: How many rounds.

    Returns:
        For each name the median time of its block in each round, in ms; float64 (rounds,).
    """
    generator = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name in generator.permutation(list(contenders)):
            times[name].append(float(np.median(contenders[name].block_ms())))
            time.sleep(PAUSE_S)
    return {name: np.array(values) for name, values in times.items()}
