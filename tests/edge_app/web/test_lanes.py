from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from edge_app.errors import Busy
from edge_app.turns import FairQueue, Sender
from edge_app.web.lanes import WORK_THREADS, Lanes

ONE, OTHER = Sender("10.0.0.1", "browser", ""), Sender("10.0.0.2", "browser", "")
BATCH = Sender("10.0.0.1", "browser", "ward 3")


class Waiting:
    def __init__(self, sender: Sender, ticket: str) -> None:
        self.sender, self.ticket = sender, ticket

    def service(self) -> None: ...

    def cancel(self) -> None: ...


def queue_of(*turns: tuple[Sender, str]) -> FairQueue:
    queue = FairQueue()
    for sender, ticket in turns:
        queue.append(Waiting(sender, ticket))
    return queue


def order(queue: FairQueue) -> str:
    return " ".join(queue.popleft().ticket for _ in range(len(queue)))


def test_one_sender_is_served_in_order() -> None:
    assert order(queue_of((ONE, "a"), (ONE, "b"), (ONE, "c"))) == "a b c"


def test_single_picture_passes_a_batch() -> None:
    batch = [(BATCH, f"b{i}") for i in range(4)]
    assert order(queue_of(*batch, (OTHER, "single"))) == "b0 single b1 b2 b3"
    assert order(queue_of(*batch, (ONE, "own"), (OTHER, "single"))) == "b0 own single b1 b2 b3"


def test_position_is_the_number_that_comes_before() -> None:
    queue = queue_of((BATCH, "b0"), (BATCH, "b1"), (OTHER, "single"))
    assert [queue.position(ticket) for ticket in ("b0", "single", "b1", "gone")] == [0, 1, 2, None]
    assert order(queue) == "b0 single b1"


class Channel:
    """A connection with one request, which takes until it is released."""

    addr = ("10.0.0.1", 4711)

    def __init__(self, command: str, release: threading.Event, ticket: str = "") -> None:
        self.requests = [SimpleNamespace(error=None, command=command, headers={"X_TICKET": ticket})]
        self.served, self.is_cancelled = threading.Event(), False
        self._release = release

    def service(self) -> None:
        self._release.wait(10)
        self.served.set()

    def cancel(self) -> None:
        self.is_cancelled = True


@pytest.fixture
def release() -> Iterator[threading.Event]:
    release = threading.Event()
    yield release
    release.set()


@pytest.fixture
def lanes(release: threading.Event) -> Iterator[Lanes]:
    lanes = Lanes(max_waiting=4)
    lanes.start()
    yield lanes
    release.set()
    lanes.shutdown()


def occupy(lanes: Lanes, release: threading.Event, waiting: int) -> None:
    for index in range(WORK_THREADS + waiting):
        lanes.add_task(Channel("POST", release, f"t{index}"))
        while index < WORK_THREADS and lanes.line().waiting:
            time.sleep(0.01)


def test_a_page_does_not_wait_for_pictures(lanes: Lanes, release: threading.Event) -> None:
    occupy(lanes, release, waiting=3)
    done = threading.Event()
    done.set()
    page = Channel("GET", done)
    lanes.add_task(page)
    assert page.served.wait(2)


def test_the_line_tells_place_and_time(lanes: Lanes, release: threading.Event) -> None:
    occupy(lanes, release, waiting=3)
    line = lanes.line(f"t{WORK_THREADS + 2}")
    assert (line.waiting, line.position) == (3, 2)
    assert line.expected_wait_s == pytest.approx(2 * 0.5 / WORK_THREADS)
    assert lanes.line("unknown").position is None


def test_too_many_are_refused_with_a_time_to_try_again(lanes: Lanes, release: threading.Event) -> None:
    occupy(lanes, release, waiting=3)
    lanes.require_room()
    lanes.add_task(Channel("POST", release))
    with pytest.raises(Busy) as refused:
        lanes.require_room()
    assert refused.value.retry_after_s >= 1


def test_the_end_does_not_wait_for_work_that_hangs(release: threading.Event) -> None:
    lanes = Lanes()
    lanes.start()
    occupy(lanes, release, waiting=0)
    waiting = Channel("POST", release)
    lanes.add_task(waiting)
    begin_s = time.monotonic()
    lanes.shutdown(timeout=0.5)
    assert time.monotonic() - begin_s < 2
    assert waiting.is_cancelled
