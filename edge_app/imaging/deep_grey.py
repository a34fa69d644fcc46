"""Deep grey to 8 bits where nothing says which levels matter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Dead detector cells lie within the outer share; bone does not end at the inner one.
_OUTER, _INNER, _STEPS = 0.0001, 0.001, 256


def robust_range(levels: NDArray[np.number[Any]], counts: NDArray[np.integer[Any]]) -> tuple[float, float]:
    """Tell which grey levels to spread from black to white, so that no single pixel decides.

    Each end is the mean of many quantiles between the outermost 0.01 % and 0.1 % of the pixels.

    Args:
        levels: (N,) grey levels, rising.
        counts: (N,) how many pixels have each of them; at least one has any.

    Returns:
        The levels of black and of white; the same where the picture has one level only.
    """
    ranks = np.linspace(_OUTER, _INNER, _STEPS)
    reached = np.cumsum(counts) / np.sum(counts)
    low = levels[np.searchsorted(reached, ranks)].mean()
    high = levels[np.searchsorted(reached, 1 - ranks)].mean()
    return float(low), float(high)


def spread(values: NDArray[np.number[Any]], low: float, high: float) -> NDArray[np.uint8]:
    """Spread grey levels from black to white.

    Args:
        values: Levels, any shape.
        low: What becomes 0; with everything below.
        high: What becomes 255; with everything above.

    Returns:
        uint8, shaped like `values`.
    """
    scaled = (np.asarray(values, np.float64) - low) * (255 / max(high - low, 1e-9))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def reduce_depth(deep: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Reduce 16-bit grey to 8 bits: detectors store 10, 12 or 14 bits in 16, and the file does not say.

    Args:
        deep: uint16 (H, W).

    Returns:
        uint8 (H, W).
    """
    levels = np.arange(2**16)
    low, high = robust_range(levels, np.bincount(deep.ravel(), minlength=2**16))
    return spread(levels, low, high)[deep]
