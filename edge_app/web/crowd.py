"""All connections together: how many, how silent, and how much that nobody fetches they may hold."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, Protocol

from edge_app.settings import MIB


class Limits(NamedTuple):
    """What connections may take: how many of them, bytes that wait to be fetched, and seconds.

    `silence_s` is how long a connection may neither send nor fetch, `request_s` within what time a whole
    request must have come.
    """

    connections: int = 200
    unfetched_bytes: int = 256 * MIB
    silence_s: float = 30.0
    request_s: float = 60.0


class Connection(Protocol):
    """A connection; moments are in seconds of a clock that never jumps."""

    active_s: float
    started_s: float | None
    is_served: bool
    unfetched_bytes: int

    def refuse_late(self) -> None:
        """Answer what came of a request, and hang up."""

    def hang_up(self) -> None:
        """Close the connection, whatever waits on it."""


class Crowd:
    """Hangs up on who is late, and on who was silent for longest where too many ask for too much.

    Args:
        limits: What is allowed.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def is_too_large(self, count: int) -> bool:
        """Tell whether a number of connections is beyond the limit."""
        return count > self._limits.connections

    def thin_out(self, connections: Collection[Connection], now_s: float) -> None:
        """Bring the connections within the limits.

        Args:
            connections: All that are open.
            now_s: The time.
        """
        for each in connections:
            self._look_at(each, now_s)
        by_silence = sorted(connections, key=lambda each: each.active_s)
        idle = [each for each in by_silence if not each.is_served]
        for each in idle[: max(0, len(by_silence) - self._limits.connections)]:
            each.hang_up()
        self._free_unfetched(by_silence)

    def _look_at(self, connection: Connection, now_s: float) -> None:
        is_silent = now_s - connection.active_s > self._limits.silence_s
        if connection.started_s is not None:
            if is_silent or now_s - connection.started_s > self._limits.request_s:
                connection.refuse_late()
        elif is_silent and (connection.unfetched_bytes or not connection.is_served):
            connection.hang_up()

    def _free_unfetched(self, by_silence: Collection[Connection]) -> None:
        excess_bytes = sum(each.unfetched_bytes for each in by_silence) - self._limits.unfetched_bytes
        for each in by_silence:
            if excess_bytes <= 0:
                return
            if each.unfetched_bytes:
                excess_bytes -= each.unfetched_bytes
                each.hang_up()
