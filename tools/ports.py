"""Free ports for programs that are run beside this one."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port of this computer that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
