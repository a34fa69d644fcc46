"""How much memory and time a model may take while it is opened and first tried."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from edge_app.alarm import Alarm

# Many times what the default's network takes.
MAX_BYTES = 4 * 1024**3
FIRST_ANSWER_S = 300.0  # a slow PC takes some twenty


@contextmanager
def bounded_memory(max_bytes: int = MAX_BYTES) -> Iterator[None]:
    """Let this process take only so much more memory; beyond that, allocations fail. On Linux only.

    A few bytes in a graph can ask for a tensor of terabytes, or for just so much that the system would end
    other programs.

    Args:
        max_bytes: How much more than it has now.

    Source:
        Linux, getrlimit(2): RLIMIT_DATA covers all private memory.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = psutil.Process().memory_info().data + max_bytes
    others = [each for each in (soft, hard) if each != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([limit, *others]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@contextmanager
def bounded_time(seconds: float, tell: Callable[[str], object], exit_code: int) -> Iterator[None]:
    """End the program when a model takes too long to answer: a computation cannot be broken off.

    Args:
        seconds: How long what is within may take.
        tell: Called with what went wrong, just before the end.
        exit_code: The program's.
    """

    def give_up() -> None:
        tell(f"The model gave no answer within {seconds:g} seconds. Install the model bundle again.")
        os._exit(exit_code)

    alarm = Alarm(give_up)
    alarm.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        alarm.set(None)
