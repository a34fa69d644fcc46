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


def test_moment_that_is_put_off_wakes_nobody() -> None:
    looks: list[float] = []

    def clock() -> float:
        looks.append(time.monotonic())
        return looks[-1]

    alarm = Alarm(lambda: None, clock)
    alarm.set(time.monotonic() + 60)
    time.sleep(0.05)
    before = len(looks)
    for later_s in range(61, 161):
        alarm.set(None)
        alarm.set(time.monotonic() + later_s)
        time.sleep(0.001)
    assert before > 0
    assert len(looks) == before


def test_moment_that_was_put_off_is_kept() -> None:
    rings: list[float] = []
    alarm = Alarm(lambda: rings.append(time.monotonic()))
    alarm.set(time.monotonic() + 0.05)
    moment_s = time.monotonic() + 0.15
    alarm.set(moment_s)
    time.sleep(0.4)
    assert len(rings) == 1
    assert moment_s <= rings[0] < moment_s + 0.1


def test_clock_that_jumps_is_asked_again() -> None:
    now_s = [0.0]
    rung = threading.Event()
    Alarm(rung.set, lambda: now_s[0], longest_wait_s=0.02).set(900.0)
    assert not rung.wait(0.1)
    now_s[0] = 1000.0
    assert rung.wait(1)
