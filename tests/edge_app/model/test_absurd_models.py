"""Model files that ask for the impossible: the real program refuses them, in one line and little memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_app.installed.home import Home
from tests import toy
from tests.conftest import ROOT
from tests.edge_app.installed.drawn_release import write_release

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded, and read, on Linux only"),
]
MIB = 1024**2
# With another limit than five minutes, where the last words ask for one.
PROGRAM = """
import importlib, sys
module, *words = sys.argv[1:]
limits = (float(words.pop()),) if words[-1].isdigit() else ()
sys.exit(importlib.import_module(module).main(words, *limits))
"""
APP, CHOICE, BATCH = "edge_app.__main__", "edge_app.choose", "edge_app.batch"
COMMAND = "edge_app.installed.__main__"
# Peak memory counts what a process had before it became the app, so one that is small starts it.
MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss, used.ru_utime + used.ru_stime)
sys.exit(done.returncode)
"""


def features_with(*nodes: onnx.NodeProto, **constants: object) -> bytes:
    """Return the toy's features graph, with these nodes between `image` and `features`."""
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 32, 32, 1])
    return model_of(list(nodes), [image], stored)


def model_of(
    nodes: list[onnx.NodeProto],
    given: list[onnx.ValueInfoProto],
    stored: list[onnx.TensorProto] | None = None,
) -> bytes:
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "absurd", given, [features], stored or [])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    ).SerializeToString()


def expanded(*shape: int) -> bytes:
    """Repeat the image until it has a shape, and take the largest value."""
    return features_with(
        helper.make_node("Expand", ["image", "shape"], ["huge"]),
        helper.make_node("ReduceMax", ["huge"], ["features"]),
        shape=np.array(shape, np.int64),
    )


def image_of(*shape: int) -> bytes:
    """Take an image of another shape than the manifest's."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, list(shape))
    return model_of([helper.make_node("Identity", ["image"], ["features"])], [image])


def two_inputs() -> bytes:
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("image", "other")]
    return model_of([helper.make_node("Add", ["image", "other"], ["features"])], given)


def weights_of(*shape: int, size_bytes: int = 16) -> bytes:
    """Hold weights that tell another shape than they have bytes for."""
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape, raw_data=bytes(size_bytes))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 32, 32, 1])
    largest = helper.make_node("ReduceMax", ["w"], ["largest"], keepdims=0)
    return model_of(
        [largest, helper.make_node("Add", ["image", "largest"], ["features"])], [image], [weights]
    )


def endless_loop() -> bytes:
    counter = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    goes_on = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("on", "still_on")]
    same = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 32, 32, 1]) for name in ("x", "y")]
    steps = [helper.make_node("Identity", ["on"], ["still_on"]), helper.make_node("Identity", ["x"], ["y"])]
    body = helper.make_graph(steps, "body", [counter, goes_on[0], same[0]], [goes_on[1], same[1]])
    node = helper.make_node("Loop", ["trips", "true", "image"], ["features"], body=body)
    return features_with(node, trips=np.int64(2**62), true=np.bool_(True))


def long_computation(steps: int = 500) -> bytes:
    """Multiply 4,000 x 4,000 numbers by themselves, again and again, in little memory."""
    nodes = [
        helper.make_node("ReduceMax", ["image"], ["grey"], keepdims=0),
        helper.make_node("Expand", ["grey", "shape"], ["m0"]),
        *(helper.make_node("MatMul", [f"m{n}", "m0"], [f"m{n + 1}"]) for n in range(steps)),
        helper.make_node("ReduceMax", [f"m{steps}"], ["features"]),
    ]
    return features_with(*nodes, shape=np.array([4000, 4000], np.int64))


def on_the_cpu(bundle_dir: Path) -> list[str]:
    return ["--bundle", str(bundle_dir), "--device", "cpu"]


def start(module: str, *words: str) -> tuple[int, str, int, float]:
    """Start a program of the app; return exit code, what it told, peak memory and processor seconds."""
    app = [sys.executable, "-c", PROGRAM, module, *words]
    done = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, *app], cwd=ROOT, capture_output=True, text=True
    )
    peak_kib, seconds = done.stdout.split()
    return done.returncode, done.stderr, int(peak_kib) * 1024, float(seconds)


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        (expanded(10**6, 32, 32, 10**3), "Failed to allocate memory"),
        (expanded(5_000, 32, 32, 500), "Failed to allocate memory"),
        (expanded(2**31, 32, 32, 2**31), "Integer overflow"),
        (expanded(-5, 32, 32, 1), "must be >= 0"),
        (image_of(1, 10**6, 10**6, 1), "Got invalid dimensions"),
        (image_of(0, 32, 32, 1), "Got invalid dimensions"),
        (image_of(1, 32, 32), "Invalid rank"),
        (image_of(-1, 32, 32, 1), "Got invalid dimensions"),
        (two_inputs(), "other"),
        (weights_of(10**6, 10**6), "declares a size of 4000000000000 bytes"),
        (weights_of(2**62, 4), "Integer overflow"),
        (weights_of(-1, 4), "Out of bounds dimensions"),
        (weights_of(0, 4), "does not match expected size"),
        (endless_loop(), "loops or branches"),
    ],
    ids=[
        *("terabytes", "10 GB", "overflowing", "negative"),
        *("huge image", "no image", "flat image", "unknown batch", "two inputs"),
        *("huge weights", "overflowing weights", "negative weights", "empty weights"),
        "loop",
    ],
)
def test_it_is_refused_in_one_line_in_little_memory_and_time(
    features: bytes, reason: str, tmp_path: Path
) -> None:
    code, told, peak_bytes, seconds = start(
        APP, *on_the_cpu(toy.write_toy_bundle(tmp_path, {"features.onnx": features}))
    )
    assert (code, told.count("\n")) == (2, 1), told
    assert told.startswith("Fracture Edge cannot start. ")
    assert reason in told
    assert len(told) < 500
    assert peak_bytes < 300 * MIB
    assert seconds < 30


def serve(bundle_dir: Path) -> list[str]:
    return [APP, *on_the_cpu(bundle_dir)]


def measure(bundle_dir: Path) -> list[str]:
    return [CHOICE, *on_the_cpu(bundle_dir)]


def fill_a_table(bundle_dir: Path) -> list[str]:
    pictures_dir = bundle_dir.parent / "pictures"
    pictures_dir.mkdir()
    return [
        *(BATCH, str(pictures_dir), "--out", str(bundle_dir.parent / "table.csv")),
        *on_the_cpu(bundle_dir),
    ]


def certify(bundle_dir: Path) -> list[str]:
    home = Home(bundle_dir.parent / "home")
    home.switch_to(home.deploy(write_release(home.versions / "1.2.3-aaaa"), bundle_dir, 5000))
    return [COMMAND, "certify", "--prefix", str(home.path)]


@pytest.mark.parametrize(
    ("words", "beginning", "exit_code"),
    [
        (serve, "Fracture Edge cannot start. ", 2),
        (measure, "Nothing was chosen. ", 2),
        (fill_a_table, "", 2),
        (certify, "The app was not certified on this PC, so nothing was switched. ", 6),
    ],
)
def test_computation_that_takes_for_ever_is_given_up(
    words: Callable[[Path], list[str]], beginning: str, exit_code: int, tmp_path: Path
) -> None:
    bundle_dir = toy.write_toy_bundle(tmp_path / "bundle", {"features.onnx": long_computation()})
    code, told, peak_bytes, seconds = start(*words(bundle_dir), "4")
    reason = "The model gave no answer within 4 seconds. Install the model bundle again.\n"
    assert (code, told) == (exit_code, beginning + reason)
    assert peak_bytes < 1024 * MIB
    assert seconds < 60


# In a process of its own: what a shared one happens to set free meanwhile would make room.
BOUNDED = """
import resource
import numpy as np
from edge_app.model import room

MIB = 1024**2
before = resource.getrlimit(resource.RLIMIT_DATA)
with room.bounded_memory(64 * MIB):
    try:
        np.ones(128 * MIB, np.uint8)
    except MemoryError:
        print("refused")
assert resource.getrlimit(resource.RLIMIT_DATA) == before
print(np.ones(128 * MIB, np.uint8).nbytes // MIB)
"""


def test_memory_is_bounded_within_and_free_again_after() -> None:
    done = subprocess.run([sys.executable, "-c", BOUNDED], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["refused", "128"], done.stderr
