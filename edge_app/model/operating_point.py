"""Where to put the threshold, so that the finding is reported in the stated share of those who have it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def choose_threshold(
    labels: NDArray[np.float32] | NDArray[np.bool_], scores: NDArray[np.float64], target_sensitivity: float
) -> float:
    """Choose the highest threshold that flags the wanted share of the fractured.

    It lies halfway to the next lower score, so that rounding in another runtime flips no answer.

    Args:
        labels: (N,), 0 or 1, both present.
        scores: float64 (N,), flagged when at or above the threshold.
        target_sensitivity: 0..1.

    Returns:
        The threshold.
    """
    fractured = np.sort(scores[labels == 1])[::-1]
    needed = int(np.ceil(target_sensitivity * len(fractured) - 1e-9))  # 0.55 * 100 is above 55
    last_flagged = fractured[needed - 1]
    below = scores[scores < last_flagged]
    return float((last_flagged + below.max()) / 2) if below.size else float(last_flagged)
