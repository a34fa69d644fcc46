"""The clock by which what is held is forgotten."""

from __future__ import annotations

import time


def seconds() -> float:
    """Return seconds from any start that run on while the PC sleeps, where the system can tell."""
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_clock is None else time.clock_gettime(boot_clock)
