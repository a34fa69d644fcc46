"""A contender in a process of its own, which takes its own times."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Protocol

BLOCK_S = 0.2
MOST_RUNS = 10


class Timed(Protocol):
    """Whatever can be asked, in its turn, how long it takes."""

    def block_ms(self) -> list[float]:
        """Run a few times and return the time of each run."""


class Worker:
    """A process that makes a contender and then runs it whenever it is asked.

    Args:
        make: Makes the contender in the new process; it must be picklable.

    Raises:
        EOFError: the contender could not be made; its process has written why.
    """

    def __init__(self, make: Callable[[], Callable[[], object]]) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()

    def block_ms(self) -> list[float]:
        """Run a few times in a row, after one run that is not counted, and return the times."""
        self._pipe.send(True)
        times: list[float] = self._pipe.recv()
        return times

    def close(self) -> None:
        """End the process."""
        self._pipe.send(False)
        self._process.join()


def _serve(pipe: Connection, make: Callable[[], Callable[[], object]]) -> None:
    run = make()
    run()
    runs = max(1, min(MOST_RUNS, round(BLOCK_S / timed(run))))
    pipe.send(runs)
    while pipe.recv():
        run()  # its data have left the caches since the last block
        pipe.send([1000 * timed(run) for _ in range(runs)])


def timed(run: Callable[[], object]) -> float:
    """Return how many seconds one run takes."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin
