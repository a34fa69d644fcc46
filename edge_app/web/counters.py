"""Counters of the running app in Prometheus' text form; nothing in them is about a patient.

Source:
    Prometheus, Exposition formats, text format 0.0.4.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

_Sample = tuple[str, str, float]  # what follows the name, labels, value


class Counters:
    """Counts answers and their time; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started_s = time.monotonic()
        self._answers: Counter[tuple[str, int]] = Counter()
        self._slower_than: Counter[float] = Counter()
        self._seconds = 0.0

    def count(self, rule: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            rule: The pattern of its route, never its address.
            status: Its status code.
            seconds: How long it took; only that of successful predictions is told.
        """
        with self._lock:
            self._answers[rule, status] += 1
            if rule == "/predict" and status == 200:
                self._seconds += seconds
                self._slower_than.update(limit for limit in BUCKETS_S if seconds > limit)

    def text(self, gauges: Mapping[str, float]) -> str:
        """Tell all counters.

        Args:
            gauges: Further values of this moment by name.

        Returns:
            The page that Prometheus reads.
        """
        with self._lock:
            answers = [
                ("", f'{{route="{rule}",status="{status}"}}', count)
                for (rule, status), count in sorted(self._answers.items())
            ]
            histogram = self._histogram()
        lines = [*_lines("answers_total", "counter", "Answers by route and status.", answers)]
        lines += _lines("predict_seconds", "histogram", "Time of successful predictions.", histogram)
        uptime_s = time.monotonic() - self._started_s
        for name, value in {"uptime_seconds": uptime_s, **gauges}.items():
            lines += _lines(name, "gauge", name.replace("_", " ").capitalize() + ".", [("", "", value)])
        return "\n".join(lines) + "\n"

    def _histogram(self) -> list[_Sample]:
        count = self._answers["/predict", 200]
        within = [("_bucket", f'{{le="{each:g}"}}', count - self._slower_than[each]) for each in BUCKETS_S]
        return [
            *within,
            ("_bucket", '{le="+Inf"}', count),
            ("_sum", "", self._seconds),
            ("_count", "", count),
        ]


def _lines(name: str, kind: str, meaning: str, samples: Iterable[_Sample]) -> list[str]:
    full = f"fracture_edge_{name}"
    head = [f"# HELP {full} {meaning}", f"# TYPE {full} {kind}"]
    return head + [f"{full}{suffix}{labels} {value:g}" for suffix, labels, value in samples]
