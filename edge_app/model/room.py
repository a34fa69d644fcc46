"""How much memory a model may take while it is opened and first tried."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

# Many times what the default's network takes.
MAX_BYTES = 4 * 1024**3


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
