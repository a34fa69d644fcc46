"""One thread that calls a function at a time which may be moved."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_LINGER_S = 5.0


class Alarm:
    """Calls a function once a moment has come; the moment may be moved or taken back at any time.

    Its thread starts when a moment is first set, serves every later one, and ends some seconds after none
    is left.

    Args:
        ring: What to call. It may set the next moment.
        clock: Seconds from any start, never running back.
        longest_wait_s: How long the thread sleeps at most before it asks the clock again, since a clock
            that runs while the PC sleeps moves on without it.
    """

    def __init__(
        self,
        ring: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        longest_wait_s: float = 30.0,
    ) -> None:
        self._ring = ring
        self._clock = clock
        self._longest_wait_s = longest_wait_s
        self._moved = threading.Condition()
        self._moment_s: float | None = None
        self._is_running = False

    def set(self, moment_s: float | None) -> None:
        """Move the moment.

        Args:
            moment_s: When to call, by the clock; None not to call at all.
        """
        with self._moved:
            self._moment_s = moment_s
            self._moved.notify()
            if moment_s is not None and not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="alarm", daemon=True).start()

    def _run(self) -> None:
        while self._wait():
            self._ring()

    def _wait(self) -> bool:
        """Sleep until the moment has come; False when there was none for a while."""
        with self._moved:
            while (wait_s := self._left_s()) is None or wait_s > 0:
                is_moved = self._moved.wait(_LINGER_S if wait_s is None else wait_s)
                if not is_moved and self._moment_s is None:
                    self._is_running = False
                    return False
            self._moment_s = None
            return True

    def _left_s(self) -> float | None:
        if self._moment_s is None:
            return None
        return min(self._moment_s - self._clock(), self._longest_wait_s)
