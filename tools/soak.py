"""Let several clients call the running app with all kinds of requests: `python -m tools.soak`.

Tells whether every answer was the one that is meant, whether identical files got identical answers, how
memory went, and how long answers took.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from edge_app.settings import DEFAULT_BUNDLE_DIR
from tools.bench.service import App, drawn_jpeg, multipart

CLIENTS = 8
_MIB = 1024 * 1024
_WARM_SHARE = 0.2  # of the requests, after which memory should stay as it is
_TAKEN_BACK = 503  # meant, when the queue is full


@dataclass(frozen=True)
class Call:
    """A request and the status that is meant."""

    method: str
    path: str
    status: int
    file: bytes | None = None


@dataclass
class Record:
    """What a soak saw; times in seconds, memory of the app and its decoder in MiB."""

    statuses: Counter[str] = field(default_factory=Counter)
    predict_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    answers: dict[bytes, float] = field(default_factory=dict)
    resident_mib: list[float] = field(default_factory=list)

    def growth(self) -> float:
        """Return the share by which memory grew from the end of the warm-up to the end."""
        warm = self.resident_mib[int(len(self.resident_mib) * _WARM_SHARE) :]
        tenth = max(1, len(warm) // 10)
        return statistics.median(warm[-tenth:]) / statistics.median(warm[:tenth]) - 1


def calls() -> list[Call]:
    """Return one round of mixed requests."""
    small, large = drawn_jpeg(400, 480), drawn_jpeg(1600, 2000)
    return [
        Call("POST", "/predict", 200, small),
        Call("POST", "/predict", 200, large),
        Call("GET", "/health", 200),
        Call("POST", "/predict", 422, large[: len(large) // 2]),
        Call("POST", "/predict", 200, small),
        Call("POST", "/predict", 415, b"hello"),
        Call("GET", "/results/unknown/picture.png", 404),
        Call("GET", "/", 200),
        Call("GET", "/metrics", 200),
        Call("POST", "/predict", 400, b""),
    ]


def soak(app: App, requests: int, clients: int = CLIENTS) -> Record:
    """Call the app from several clients at once.

    Args:
        app: The running app.
        requests: How many in all.
        clients: How many clients share them.

    Returns:
        What was seen.
    """
    record, lock, rounds = Record(), threading.Lock(), calls()
    family = [app.process, *app.process.children()]

    def one_client(client: int) -> None:
        connection = app.connect()
        for index in range(requests // clients):
            seconds, status, body = _answer(connection, call := rounds[(client + index) % len(rounds)])
            with lock:
                _note(record, call, seconds, status, body)
                if index % 10 == 0:
                    record.resident_mib.append(sum(each.memory_info().rss for each in family) / _MIB)
        connection.close()

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one_client, range(clients)))
    return record


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, and tell what was seen.

    Args:
        arguments: The words after the program's name.

    Returns:
        The exit code: 0, or 1 with a fault.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--bundle", type=Path, default=DEFAULT_BUNDLE_DIR)
    options = parser.parse_args(arguments)
    app = App(options.bundle)
    begin_s = time.monotonic()
    record = soak(app, options.requests)
    app.close()
    predict_ms = sorted(1000 * each for each in record.predict_s)
    told = {
        "requests": sum(record.statuses.values()),
        "seconds": round(time.monotonic() - begin_s),
        "statuses": dict(record.statuses),
        "predict_median_ms": round(statistics.median(predict_ms)),
        "predict_p99_ms": round(predict_ms[int(0.99 * len(predict_ms))]),
        "resident_mib": [round(record.resident_mib[0]), round(record.resident_mib[-1])],
        "memory_growth_after_warm_up": round(record.growth(), 3),
        "faults": record.faults,
    }
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return bool(record.faults)


def _answer(connection: HTTPConnection, call: Call) -> tuple[float, int, bytes]:
    headers, body = multipart(call.file) if call.file is not None else ({}, None)
    begin_s = time.perf_counter()
    connection.request(call.method, call.path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    return time.perf_counter() - begin_s, answer.status, content


def _note(record: Record, call: Call, seconds: float, status: int, body: bytes) -> None:
    record.statuses[f"{call.method} {call.path} {status}"] += 1
    if status not in (call.status, _TAKEN_BACK):
        record.faults.append(f"{call.method} {call.path}: expected {call.status}, received {status}")
    elif status == 200 and call.file is not None:
        record.predict_s.append(seconds)
        probability = json.loads(body)["probability"]
        if record.answers.setdefault(call.file, probability) != probability:
            record.faults.append(f"another answer to the same file: {probability}")


if __name__ == "__main__":
    sys.exit(main())
