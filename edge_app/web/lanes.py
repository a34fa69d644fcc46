"""Who is served next: quick requests in a lane of their own, and pictures in turn between senders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from waitress.task import ThreadedTaskDispatcher

from edge_app.errors import Busy
from edge_app.turns import FairQueue, Sender, Turn

MAX_WAITING = 32
QUICK_THREADS, WORK_THREADS = 2, 3
SHUTDOWN_S = 3.0
_FIRST_GUESS_S = 0.5  # for one picture, until one has been timed
_NEWEST_SHARE = 0.2  # of the newest time in the running mean
_TOO_MANY = "Many pictures are waiting already. Send this one again when some are done."


class Line(NamedTuple):
    """How long the queue is: `position` counts those before a ticket, where one is asked for and waits."""

    waiting: int
    expected_wait_s: float
    position: int | None = None


class Lanes:
    """Serves Waitress' requests in two lanes, and knows how long a picture will wait.

    A picture takes a while, so what is quick, such as a page or a result, never waits for one.

    Args:
        max_waiting: How many pictures may wait.
    """

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._quick, self._work = ThreadedTaskDispatcher(), ThreadedTaskDispatcher()
        self._work.queue = FairQueue()
        self._mean_s = _FIRST_GUESS_S

    def start(self) -> None:
        """Start the threads."""
        self._quick.set_thread_count(QUICK_THREADS)
        self._work.set_thread_count(WORK_THREADS)

    def add_task(self, channel: Any) -> None:
        """Let the request of a channel wait in its lane, as Waitress asks for it."""
        request = channel.requests[0]
        if request.error is not None or request.command != "POST":
            self._quick.add_task(channel)
        else:
            self._work.add_task(_PictureTurn(channel, self._time))

    def add_turn(self, turn: Turn) -> None:
        """Let something that came another way than through Waitress wait among the pictures."""
        self._work.add_task(turn)

    def require_room(self) -> None:
        """Refuse a picture when too many wait.

        Raises:
            Busy: they do; says when to try again.
        """
        line = self.line()
        if line.waiting >= self._max_waiting:
            raise Busy(_TOO_MANY, max(1, round(line.expected_wait_s)))

    def line(self, ticket: str | None = None) -> Line:
        """Tell how long the queue is.

        Args:
            ticket: The `X-Ticket` header of a request that may wait.

        Returns:
            The queue, and the ticket's place in it.
        """
        with self._work.lock:
            waiting = len(self._work.queue)
            position = None if ticket is None else self._work.queue.position(ticket)
        ahead = waiting if position is None else position
        return Line(waiting, ahead * self._mean_s / WORK_THREADS, position)

    def shutdown(self, cancel_pending: bool = True, timeout: float = SHUTDOWN_S) -> bool:
        """End the threads, as Waitress asks for it; work that takes over `timeout` seconds is left."""
        ends = [
            threading.Thread(target=each.shutdown, args=(cancel_pending, timeout), daemon=True)
            for each in (self._quick, self._work)
        ]
        for end in ends:
            end.start()
        for end in ends:
            end.join()
        return True

    def _time(self, seconds: float) -> None:
        self._mean_s += _NEWEST_SHARE * (seconds - self._mean_s)


class _PictureTurn:
    """A channel's request that carries a picture, timed while it is served."""

    def __init__(self, channel: Any, report_s: Callable[[float], None]) -> None:
        headers = channel.requests[0].headers
        self.sender = Sender(channel.addr[0], headers.get("USER_AGENT", ""), headers.get("X_BATCH", ""))
        self.ticket: str = headers.get("X_TICKET", "")
        self._channel = channel
        self._report_s = report_s

    def service(self) -> None:
        begin_s = time.monotonic()
        self._channel.service()
        self._report_s(time.monotonic() - begin_s)

    def cancel(self) -> None:
        self._channel.cancel()
