"""A model bundle small enough to work out by hand, written with onnx's own helpers.

features: the picture / 255, averaged over 2 x 2 squares of a 32-pixel input, as channel 0; channel 1
is 1 - channel 0. Its grid is 16 x 16.

classifier: logit = 4 * mean(channel 0) - 2 * mean(channel 1), so that
a picture of brightness b in 0..1 has the logit 4 b - 2 (1 - b) = 6 b - 2,
and the gradient is 4 / 256 for channel 0, -2 / 256 for channel 1 everywhere.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE_PX = 32
GRID = 16
WEIGHTS = np.array([[4.0], [-2.0]], np.float32)
THRESHOLD = 0.5


def features_graph() -> bytes:
    """Return the features graph's bytes."""
    nodes = [
        helper.make_node("Div", ["image", "white"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["first"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Transpose", ["pooled"], ["bright"], perm=[0, 2, 3, 1]),
        helper.make_node("Sub", ["one", "bright"], ["dark"]),
        helper.make_node("Concat", ["bright", "dark"], ["features"], axis=3),
    ]
    constants = {"white": np.float32(255), "one": np.float32(1)}
    image = _value("image", SIZE_PX, SIZE_PX, 1)
    return _model(nodes, image, [_value("features", GRID, GRID, 2)], constants)


def classifier_graph(weights: np.ndarray = WEIGHTS) -> bytes:
    """Return the classifier graph's bytes."""
    nodes = [
        helper.make_node("ReduceMean", ["features", "axes"], ["pooled"], keepdims=0),
        helper.make_node("MatMul", ["pooled", "weights"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
        helper.make_node("Shape", ["features"], ["shape"]),
        helper.make_node("Expand", ["share", "shape"], ["gradient"]),
    ]
    constants = {
        "axes": np.array([1, 2], np.int64),
        "weights": weights,
        "share": weights.reshape(1, 1, 1, 2) / GRID**2,
    }
    outputs = [_value("logit", 1), _value("probability", 1), _value("gradient", GRID, GRID, 2)]
    return _model(nodes, _value("features", GRID, GRID, 2), outputs, constants)


def manifest() -> dict[str, Any]:
    """Return the manifest without its file list."""
    return {
        "schema_version": 1,
        "name": "toy",
        "version": "1",
        "created": "2026-01-01",
        "classes": ["fracture"],
        "input": {"size_px": SIZE_PX, "interpolation": "area", "padding": "centre"},
        "operating_point": {
            "threshold": THRESHOLD,
            "sensitivity": {"value": 0.91},
            "specificity": {"value": 0.62},
        },
        "validation": {"pointing_game": {"value": 0.73}},
        "training": {
            "dataset": {
                "name": "Drawn pictures",
                "citation": "this project",
                "licence": "Apache-2.0",
                "body_parts": ["hand", "hip"],
            }
        },
    }


def write_toy_bundle(bundle_dir: Path, **changes: Any) -> Path:
    """Write the bundle; `changes` replace values of the manifest."""
    bundle_dir.mkdir(parents=True, exist_ok=True)
    files = {"features.onnx": features_graph(), "classifier.onnx": classifier_graph()}
    for name, data in files.items():
        (bundle_dir / name).write_bytes(data)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    content = {**manifest(), "files": hashes, **changes}
    (bundle_dir / "manifest.json").write_text(json.dumps(content))
    return bundle_dir


def _value(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])


def _model(
    nodes: list[onnx.NodeProto],
    given: onnx.ValueInfoProto,
    outputs: list[onnx.ValueInfoProto],
    constants: dict[str, Any],
) -> bytes:
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "toy", [given], outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()
