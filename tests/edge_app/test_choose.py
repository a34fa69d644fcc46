from __future__ import annotations

import _ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edge_app.choose import ROUNDS, choose, main, measure
from edge_app.errors import BundleError
from edge_app.model.choice import decide
from edge_app.model.inference import Explanation
from edge_app.predictor import Predictor
from tests import toy
from tests.conftest import ROOT

CHOOSE_AND_START = """
import sys
from dataclasses import replace
from pathlib import Path
from edge_app.choose import choose
from edge_app.model.choice import write_choice
from edge_app.model.inference import devices_to_try
from edge_app.predictor import Predictor

bundle_dir = Path(sys.argv[1])
choice = replace(choose(bundle_dir, device="auto", threads=1), variant="int8")
write_choice(bundle_dir, choice)
predictor = Predictor(bundle_dir, device="auto", threads=1)
print(devices_to_try("auto")[0], choice.device, predictor.variant, predictor.device)
"""


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Paced:
    """Takes the times it is given, one after the other, by moving a clock; writes down its turns."""

    device = "cpu"

    def __init__(self, name: str, clock: Clock, times_s: list[float], turns: list[str]) -> None:
        self.name, self.clock, self.times_s, self.turns = name, clock, iter(times_s), turns

    def explain(self, tensor: np.ndarray) -> Explanation:
        self.clock.now_s += next(self.times_s)
        self.turns.append(self.name)
        return Explanation(0, 0.5, np.zeros((16, 16), np.float32), tensor, tensor)


def test_median_of_warm_runs_is_taken_round_by_round() -> None:
    clock, turns = Clock(), []
    # each round: one run to warm up, slow, then one that counts; the first round is disturbed
    slow = [9.0, 9.0] + [9.0, 0.02] * (ROUNDS - 1)
    fast = [9.0, 0.01] * ROUNDS
    models = {"float32": Paced("a", clock, slow, turns), "int8": Paced("b", clock, fast, turns)}
    times_ms = measure(models, [np.zeros(1, np.float32)], clock)
    assert times_ms == {"float32": pytest.approx(20), "int8": pytest.approx(10)}
    assert turns == ["a", "a", "b", "b"] * ROUNDS


@pytest.mark.parametrize(
    ("times_ms", "variant"),
    [
        ({"float32": 20.0}, "float32"),
        ({"float32": 20.0, "int8": 10.0}, "int8"),
        ({"float32": 20.0, "int8": 19.0}, "int8"),  # just the margin
        ({"float32": 20.0, "int8": 19.1}, "float32"),
        ({"float32": 20.0, "int8": 30.0}, "float32"),
        ({"float32": 20.0, "int8": 12.0, "other": 11.0}, "other"),
    ],
)
def test_fastest_is_taken_when_it_beats_float32_by_the_margin(
    times_ms: dict[str, float], variant: str
) -> None:
    assert decide(times_ms)[0] == variant


def test_reason_tells_the_times() -> None:
    assert decide({"float32": 20.0, "int8": 10.0})[1] == (
        "int8 reproduces its golden cases and took 10.0 ms, float32 20.0 ms."
    )
    assert decide({"float32": 20.0})[1] == (
        "float32 took 20.0 ms; no other variant that reproduces its golden cases was at least 5% faster."
    )


def test_variant_that_does_not_reproduce_its_golden_cases_is_never_chosen(tmp_path: Path) -> None:
    toy.write_two_variants(tmp_path, toy.features_graph(white=300))
    choice = choose(tmp_path, device="cpu", threads=1)
    assert choice.variant == "float32"
    failed = choice.measurements["int8"]
    assert (failed.median_ms, failed.reproduces) == (None, False)
    # white is 255 / 300 = 0.85 bright, logit 6 * 0.85 - 2 = 3.1, probability 0.957 instead of 0.982
    assert "golden-1.png the probability differs by 0.025, allowed is 0.02" in failed.remark


def test_float32_that_does_not_reproduce_its_golden_cases_is_an_error(tmp_path: Path) -> None:
    toy.write_toy_bundle(tmp_path, {"features.onnx": toy.features_graph(white=300)})
    with pytest.raises(BundleError, match="does not give the answer that was released"):
        choose(tmp_path, device="cpu")


def test_limit_is_lifted_once_a_variant_has_answered_its_first_picture(tmp_path: Path) -> None:
    events: list[str] = []

    @contextmanager
    def limit() -> Iterator[None]:
        events.append("set")
        yield
        events.append("lifted")

    # that of int8 ends before its golden cases, which it fails, are compared
    toy.write_two_variants(tmp_path, toy.features_graph(white=300))
    choose(tmp_path, device="cpu", limit=limit)
    assert events == ["set", "lifted"] * 2


def test_variant_for_another_device_is_not_measured(tmp_path: Path) -> None:
    variants = {"float32": toy.FLOAT32, "float16": {**toy.INT8, "devices": ["cuda"]}}
    toy.write_toy_bundle(tmp_path, {"features.int8.onnx": toy.features_graph()}, variants)
    assert list(choose(tmp_path, device="cpu").measurements) == ["float32"]


def test_bundle_without_golden_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no golden pictures to measure with"):
        choose(toy.write_toy_bundle(tmp_path, golden=[]), device="cpu")


def test_command_writes_a_choice_that_the_predictor_follows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    toy.write_two_variants(tmp_path)
    caplog.set_level("INFO")
    assert main(["--bundle", str(tmp_path), "--device", "cpu", "--threads", "1"]) == 0
    choice = json.loads((tmp_path / "choice.json").read_text())
    assert (choice["device"], choice["threads"]) == ("cpu", 1)
    assert set(choice["measurements"]) == {"float32", "int8"}
    assert all(found["reproduces"] and found["median_ms"] > 0 for found in choice["measurements"].values())
    assert caplog.messages[-2] == f"Chosen: {choice['variant']}. {choice['reason']}"
    assert Predictor(tmp_path, device="cpu").variant == choice["variant"]


@pytest.mark.skipif(sys.platform != "linux", reason="puts a driver in place by LD_LIBRARY_PATH")
def test_choice_is_followed_where_an_nvidia_driver_is_there_but_cuda_does_not_work(tmp_path: Path) -> None:
    """Let a library that is no driver stand where the driver would be."""
    bundle_dir = toy.write_two_variants(tmp_path / "bundle")
    shutil.copy(_ctypes.__file__, tmp_path / "libcuda.so.1")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    command = [sys.executable, "-c", CHOOSE_AND_START, bundle_dir]
    process = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout == "cuda cpu int8 cpu\n"  # and nothing that ONNX Runtime prints of the failure
    assert "is not for this model, device and processor" not in process.stderr


def test_command_that_cannot_write_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    toy.write_toy_bundle(tmp_path)
    (tmp_path / "choice.json").mkdir()
    assert main(["--bundle", str(tmp_path), "--device", "cpu"]) == 2
    assert "choice.json cannot be written" in caplog.messages[-1]
