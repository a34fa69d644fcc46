from __future__ import annotations

import threading
import time

from edge_app.alarm import Alarm


def alarm_threads() -> int:
    return sum(thread.name == "alarm" for thread in threading.enumerate())


def test_it_rings_once_when_the_moment_has_come() -> None:
    rings: list[float] = []
    alarm = Alarm(lambda: rings.append(time.monotonic()))
    moment_s = time.monotonic() + 0.05
    alarm.set(moment_s)
    time.sleep(0.2)
    assert len(rings) == 1
    assert moment_s <= rings[0] < moment_s + 0.1


def test_moment_that_is_taken_back_does_not_ring() -> None:
    rung = threading.Event()
    alarm = Alarm(rung.set)
    alarm.set(time.monotonic() + 0.05)
    alarm.set(None)
    assert not rung.wait(0.15)


def test_moment_is_moved_forward() -> None:
    rung = threading.Event()
    alarm = Alarm(rung.set)
    alarm.set(time.monotonic() + 60)
    alarm.set(time.monotonic())
    assert rung.wait(1)


def test_a_thousand_moments_need_one_thread() -> None:
    before = alarm_threads()
    alarm = Alarm(lambda: None)
    for _ in range(1000):
        alarm.set(time.monotonic() + 60)
    assert alarm_threads() == before + 1


def test_clock_that_jumps_is_asked_again() -> None:
    now_s = [0.0]
    rung = threading.Event()
    Alarm(rung.set, lambda: now_s[0], longest_wait_s=0.02).set(900.0)
    assert not rung.wait(0.1)
    now_s[0] = 1000.0
    assert rung.wait(1)
