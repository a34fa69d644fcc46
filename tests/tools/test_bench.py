from __future__ import annotations

import re
from multiprocessing import parent_process

import numpy as np
import pytest

from tools.bench import measures
from tools.bench.measures import growth, ratios
from tools.bench.rounds import Spread, interleave, spread
from tools.bench.table import Goal, Row, render
from tools.bench.worker import Worker


class Counted:
    """Takes 1 ms in its first block, 2 ms in its second, and so on, and writes down its turns."""

    def __init__(self, name: str, turns: list[str]) -> None:
        self._name = name
        self._turns = turns

    def block_ms(self) -> list[float]:
        self._turns.append(self._name)
        block = float(self._turns.count(self._name))
        return [block, block, 100.0]


def needs_own_process() -> object:
    """Make a contender that fails in the process of the test."""

    def run() -> None:
        assert parent_process() is not None

    return run


def not_a_contender() -> object:
    return 1


def test_spread_is_median_with_tenth_and_ninetieth_percentile() -> None:
    assert spread([*range(11)]) == Spread(median=5, low=1, high=9)


def test_every_contender_has_one_turn_a_round_and_its_blocks_median_counts() -> None:
    turns: list[str] = []
    times = interleave({name: Counted(name, turns) for name in "abc"}, rounds=4)
    rounds = [turns[at : at + 3] for at in range(0, 12, 3)]
    assert all(sorted(each) == ["a", "b", "c"] for each in rounds)
    assert len(set(map(tuple, rounds))) > 1
    np.testing.assert_array_equal(times["b"], [1, 2, 3, 4])


def test_worker_runs_in_a_process_of_its_own() -> None:
    worker = Worker(needs_own_process)
    times = worker.block_ms()
    worker.close()
    assert len(times) == 10
    assert all(time > 0 for time in times)


def test_contender_that_cannot_be_made_is_not_waited_for(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EOFError):
        Worker(not_a_contender)
    assert "'int' object is not callable" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal(8), 8.0, True),
        (Goal(8), 8.1, False),
        (Goal(15, least=True), 15.0, True),
        (Goal(15, least=True), 14.9, False),
    ],
)
def test_goal_is_a_limit_that_may_be_reached(goal: Goal, value: float, met: bool) -> None:
    assert goal.is_met(value) is met


def test_table_tells_value_spread_goal_and_verdict_of_each_row() -> None:
    rows = [
        Row("upload", Spread(9.5, 9, 10), Goal(8), "ms"),
        Row("speed", Spread(2, 2, 2), Goal(1.4, least=True)),
        Row("int8: none", None, Goal(1.05)),
    ]
    lines = [re.split(r"  +", line) for line in render("a model", rows).splitlines()]
    assert lines == [
        ["a model", "median", "10 % to 90 %", "goal"],
        ["upload", "9.50 ms", "9.00 to 10.00", "<= 8 ms", "MISSED"],
        ["speed", "2.00", ">= 1.4", "met"],
        ["int8: none", "-", "<= 1.05"],
    ]


def test_ratios_are_taken_within_each_round() -> None:
    slow_round = np.array([1.0, 10.0, 1.0])
    rows = {row.label: row.value for row in ratios(times(slow_round))}
    assert rows["Predictor.explain / ONNX Runtime, plain forward"] == pytest.approx((1.5, 1.5, 1.5))
    assert rows["Keras Grad-CAM, eager / ours"] == pytest.approx((20, 20, 20))
    assert rows["throughput of 8 clients x forward"] == pytest.approx((0.5, 0.5, 0.5))
    assert rows["upload of 373 x 454 - forward"].median == pytest.approx(3)


def test_int8_is_held_against_the_fastest_precision_of_the_peer() -> None:
    rows = [row for row in ratios(times(np.ones(2))) if "int8" in row.label]
    assert [row.label for row in rows] == ["ours in int8 / OpenVINO, plain forward, bf16, its fastest"]
    assert rows[0].value == Spread(2, 2, 2)


def test_bundle_without_int8_is_told() -> None:
    without = {name: values for name, values in times(np.ones(2)).items() if name != measures.INT8}
    rows = [row for row in ratios(without) if "int8" in row.label]
    assert [(row.label.split(": ")[-1], row.value) for row in rows] == [("the bundle has no int8", None)]


def test_growth_of_memory_counts_from_where_waiting_results_are_full() -> None:
    memory = {20: 100.0, 200: 150.0, 300: 200.0, 320: 201.0, 340: 202.0}
    assert growth(memory) == 2


def times(factor: np.ndarray) -> dict[str, np.ndarray]:
    """Return times of contenders, each round scaled by how slow the machine was then."""
    milliseconds = {
        measures.OURS: 30,
        measures.FORWARD: 20,
        measures.EAGER: 600,
        measures.FUNCTION: 60,
        measures.INT8: 20,
        f"{measures.OPENVINO}f32": 20,
        f"{measures.OPENVINO}bf16": 10,
        measures.SMALL: 23,
        measures.LARGE: 60,
        measures.CROWD: 40,
    }
    return {name: value * factor for name, value in milliseconds.items()}
