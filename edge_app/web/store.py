"""Results kept in memory only, with a size and a time limit."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from edge_app import heap
from edge_app.alarm import Alarm
from edge_app.clock import seconds
from edge_app.errors import ResultExpired
from edge_app.predictor import Prediction


class _Entry(NamedTuple):
    prediction: Prediction
    expires_s: float
    size_bytes: int


class ResultStore:
    """Holds predictions for a while and forgets the oldest first; safe to share between threads.

    Forgetting does not wait for the next call: one alarm is set for the oldest that is held.

    Args:
        max_bytes: The most that all held pictures and heat maps may take.
        max_age_s: How long a result is held, in seconds.
        clock: Seconds from any start, never running back.
    """

    def __init__(self, max_bytes: int, max_age_s: float, clock: Callable[[], float] = seconds) -> None:
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._held_bytes = 0
        self._lock = threading.Lock()
        self._alarm = Alarm(self._expire, clock)

    def put(self, prediction: Prediction) -> str:
        """Hold a prediction.

        Args:
            prediction: What to hold.

        Returns:
            Its id, which cannot be guessed.
        """
        key = secrets.token_urlsafe(16)
        with self._lock:
            entry = _Entry(prediction, self._clock() + self._max_age_s, prediction.held_bytes)
            self._entries[key] = entry
            self._held_bytes += entry.size_bytes
            self._forget()
        return key

    def get(self, key: str) -> Prediction:
        """Return a held prediction.

        Args:
            key: The id that `put` returned.

        Returns:
            The prediction.

        Raises:
            ResultExpired: it is not held, or no longer.
        """
        with self._lock:
            self._forget()
            entry = self._entries.get(key)
        if entry is None:
            raise ResultExpired("This result is no longer held in memory. Send the X-ray again.")
        return entry.prediction

    def forget(self, key: str) -> None:
        """Drop a held prediction before its time; one that is not held is no error.

        Args:
            key: The id that `put` returned.
        """
        with self._lock:
            if key in self._entries:
                self._held_bytes -= self._entries.pop(key).size_bytes
            self._forget()

    @property
    def held_bytes(self) -> int:
        """What all held pictures and heat maps take."""
        with self._lock:
            return self._held_bytes

    def _forget(self) -> None:
        """Drop what is too old or too much, and set the alarm for what is left."""
        now = self._clock()
        while self._entries:
            oldest = next(iter(self._entries.values()))
            if oldest.expires_s > now and self._held_bytes <= self._max_bytes:
                break
            self._entries.popitem(last=False)
            self._held_bytes -= oldest.size_bytes
        self._alarm.set(next(iter(self._entries.values())).expires_s if self._entries else None)

    def _expire(self) -> None:
        with self._lock:
            self._forget()
        heap.give_back()  # the system clears the memory before anyone else gets it
