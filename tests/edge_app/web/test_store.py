from __future__ import annotations

import threading
import time
import weakref

import numpy as np
import pytest

from edge_app.errors import ResultExpired
from edge_app.predictor import Prediction
from edge_app.web.store import ResultStore


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def prediction(side: int = 10) -> Prediction:
    """Return a prediction that takes side * side + 4 bytes."""
    return Prediction(
        0.5, 0.5, np.zeros((1, 1), np.float32), np.zeros((side, side), np.uint8), (side, side), 8
    )


def test_result_is_found_by_its_id() -> None:
    store = ResultStore(1000, 60)
    held = prediction()
    assert store.get(store.put(held)) is held


def test_unknown_id_says_to_send_again() -> None:
    with pytest.raises(ResultExpired, match="Send the X-ray again"):
        ResultStore(1000, 60).get("nothing")


def test_result_expires() -> None:
    clock = Clock()
    store = ResultStore(1000, 60, clock)
    key = store.put(prediction())
    clock.now_s = 59.9
    assert store.get(key)
    clock.now_s = 60.0
    with pytest.raises(ResultExpired):
        store.get(key)


def test_oldest_gives_way_when_the_bytes_are_used_up() -> None:
    store = ResultStore(250, 60)
    first, second, third = (store.put(prediction()) for _ in range(3))  # 104 bytes each
    with pytest.raises(ResultExpired):
        store.get(first)
    assert store.get(second)
    assert store.get(third)


def test_result_larger_than_the_limit_is_not_held() -> None:
    store = ResultStore(100, 60)
    key = store.put(prediction(side=20))
    with pytest.raises(ResultExpired):
        store.get(key)


def test_forgotten_result_makes_room_once() -> None:
    store = ResultStore(1000, 60)
    first, second = (store.put(prediction()) for _ in range(2))  # 104 bytes each
    store.forget(first)
    store.forget(first)
    assert store.held_bytes == 104
    store.forget(second)
    assert store.held_bytes == 0


def test_results_vanish_without_another_call() -> None:
    store = ResultStore(1000, 0.05)
    held = weakref.ref(store.get(store.put(prediction())))
    deadline_s = time.monotonic() + 5
    while held() is not None and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert held() is None


def test_ids_cannot_be_guessed_from_one_another() -> None:
    store = ResultStore(10_000, 60)
    keys = {store.put(prediction()) for _ in range(20)}
    assert len(keys) == 20
    assert {len(key) for key in keys} == {22}


def test_many_results_need_one_thread() -> None:
    store = ResultStore(10_000, 60)
    before = threading.active_count()
    starts: set[int] = set()
    for _ in range(50):
        store.put(prediction())
        starts.update(thread.ident or 0 for thread in threading.enumerate())
    assert len(starts) <= before + 1
