"""One thread that calls a function at a time which may be moved."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_LINGER_S = 5.0


class Alarm:
    """Calls a function once a moment has come; the moment may be moved or taken back at any time.

    Its thread starts when a moment is first set, serves every later one, and ends some time after none is
    left. A moment that is put off or taken back does not wake it: it finds out when it looks next.

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
        self._looks_s = 0.0  # when the thread looks at the clock next

    def set(self, moment_s: float | None) -> None:
        """Move the moment.

        Args:
            moment_s: When to call, by the clock; None not to call at all.
        """
        with self._moved:
            self._moment_s = moment_s
            if moment_s is None:
                return
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="alarm", daemon=True).start()
            elif moment_s < self._looks_s:
                self._moved.notify()

    def _run(self) -> None:
        while self._wait():
            self._ring()

    def _wait(self) -> bool:
        """Sleep until the moment has come; False when there was none for a while."""
        with self._moved:
            while (wait_s := self._left_s()) is None or wait_s > 0:
                pause_s = _LINGER_S if wait_s is None else wait_s
                self._looks_s = self._clock() + pause_s
                is_moved = self._moved.wait(pause_s)
                if wait_s is None and not is_moved and self._moment_s is None:
                    self._is_running = False
                    return False
            self._moment_s = None
            return True

    def _left_s(self) -> float | None:
        if self._moment_s is None:
            return None
        return min(self._moment_s - self._clock(), self._longest_wait_s)
