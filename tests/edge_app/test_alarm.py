from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from edge_app.alarm import Alarm

# How long a busy machine may take for what happens at once elsewhere.
PATIENCE_S = 60
# An alarm that looks at the clock so rarely rings in time only where it knows the moment.
Rare = partial(Alarm, longest_wait_s=3600)


def wait_for(come_about: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not come_about():
        assert time.monotonic() < end_s, "it did not come about"
        time.sleep(0.01)


def alarm_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "alarm"}


def test_it_rings_once_when_the_moment_has_come() -> None:
    rings: list[float] = []
    alarm = Rare(lambda: rings.append(time.monotonic()))
    moment_s = time.monotonic() + 0.05
    alarm.set(moment_s)
    wait_for(lambda: bool(rings))
    time.sleep(0.1)
    assert len(rings) == 1
    assert moment_s <= rings[0]


def test_moment_that_is_taken_back_does_not_ring() -> None:
    now_s = [0.0]
    rung = threading.Event()
    alarm = Alarm(rung.set, lambda: now_s[0], longest_wait_s=0.02)
    alarm.set(10.0)
    alarm.set(None)
    now_s[0] = 20.0
    assert not rung.wait(0.15)


def test_moment_is_moved_forward() -> None:
    rung = threading.Event()
    alarm = Rare(rung.set)
    alarm.set(time.monotonic() + 3600)
    alarm.set(time.monotonic())
    assert rung.wait(PATIENCE_S)


def test_a_thousand_moments_need_one_thread() -> None:
    before = alarm_threads()
    alarm = Rare(lambda: None)
    for _ in range(1000):
        alarm.set(time.monotonic() + 3600)
    assert len(alarm_threads() - before) == 1


def test_moment_that_is_put_off_wakes_nobody() -> None:
    looks: list[float] = []

    def clock() -> float:
        looks.append(time.monotonic())
        return looks[-1]

    alarm = Rare(lambda: None, clock)
    alarm.set(time.monotonic() + 3600)
    # it asks how long to sleep, and then until when; whoever moves the moment waits until it sleeps
    wait_for(lambda: len(looks) >= 2)
    before = len(looks)
    for later_s in range(3601, 3701):
        alarm.set(None)
        alarm.set(time.monotonic() + later_s)
        time.sleep(0.001)
    assert len(looks) == before


def test_moment_that_was_put_off_is_kept() -> None:
    now_s = [0.0]
    rings: list[float] = []
    alarm = Alarm(lambda: rings.append(now_s[0]), lambda: now_s[0], longest_wait_s=0.02)
    alarm.set(10.0)
    alarm.set(20.0)
    now_s[0] = 15.0
    time.sleep(0.1)
    assert not rings
    now_s[0] = 25.0
    wait_for(lambda: bool(rings))
    time.sleep(0.1)
    assert rings == [25.0]


def test_clock_that_jumps_is_asked_again() -> None:
    now_s = [0.0]
    rung = threading.Event()
    Alarm(rung.set, lambda: now_s[0], longest_wait_s=0.02).set(900.0)
    assert not rung.wait(0.1)
    now_s[0] = 1000.0
    assert rung.wait(PATIENCE_S)
