"""A model bundle small enough to work out by hand, written with onnx's own helpers.

features: the picture / 255, averaged over 2 x 2 squares of a 32-pixel input, as channel 0; channel 1
is 1 - channel 0. Its grid is 16 x 16.

classifier: logit = 4 * mean(channel 0) - 2 * mean(channel 1), so that
a picture of brightness b in 0..1 has the logit 4 b - 2 (1 - b) = 6 b - 2,
and the gradient is 4 / 256 for channel 0, -2 / 256 for channel 1 everywhere.

golden cases: a white picture, logit 4, whose map is 1 everywhere, and a black one, logit -2, whose map
is 0 everywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_app.imaging.images import encode_png
from edge_app.model.bundle import Graphs
from edge_app.model.manifest import Tensors

SIZE_PX = 32
GRID = 16
WEIGHTS = np.array([[4.0], [-2.0]], np.float32)
THRESHOLD = 0.5
FLOAT32 = {"features": "features.onnx", "classifier": "classifier.onnx", "devices": ["cpu", "cuda"]}
INT8 = {
    "features": "features.int8.onnx",
    "classifier": "classifier.onnx",
    "devices": ["cpu"],
    "validation": {"threshold": 0.4, "sensitivity": 0.9, "specificity": 0.61, "pointing_game": 0.7},
}
PICTURES = {
    name: encode_png(np.full((SIZE_PX, SIZE_PX), grey, np.uint8))
    for name, grey in {"golden-1.png": 255, "golden-2.png": 0}.items()
}


def features_graph(white: float = 255) -> bytes:
    """Return the features graph's bytes; `white` is the grey that becomes 1."""
    nodes = [
        helper.make_node("Div", ["image", "white"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["first"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Transpose", ["pooled"], ["bright"], perm=[0, 2, 3, 1]),
        helper.make_node("Sub", ["one", "bright"], ["dark"]),
        helper.make_node("Concat", ["bright", "dark"], ["features"], axis=3),
    ]
    constants = {"white": np.float32(white), "one": np.float32(1)}
    image = _value("image", SIZE_PX, SIZE_PX, 1)
    return _model(nodes, image, [_value("features", GRID, GRID, 2)], constants)


def classifier_graph(weights: np.ndarray = WEIGHTS) -> bytes:
    """Return the classifier graph's bytes; `weights` (2, K) for K classes."""
    classes = weights.shape[1]
    nodes = [
        helper.make_node("ReduceMean", ["features", "axes"], ["pooled"], keepdims=0),
        helper.make_node("MatMul", ["pooled", "weights"], ["logit"]),
        helper.make_node("Sigmoid" if classes == 1 else "Softmax", ["logit"], ["probability"]),
        helper.make_node("Mul", ["features", "none"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "for_classes"], ["empty"]),
        helper.make_node("Add", ["empty", "share"], ["gradient"]),
    ]
    several = () if classes == 1 else (classes,)
    constants = {
        "axes": np.array([1, 2], np.int64),
        "weights": weights,
        "none": np.float32(0),
        "for_classes": np.array([-1, *[1 for _ in several], GRID, GRID, 2], np.int64),
        "share": weights.T.reshape(1, *several, 1, 1, 2) / GRID**2,
    }
    gradient = _value("gradient", *several, GRID, GRID, 2)
    outputs = [_value("logit", classes), _value("probability", classes), gradient]
    return _model(nodes, _value("features", GRID, GRID, 2), outputs, constants)


def graphs_of(features: bytes, classifier: bytes, size_px: int = SIZE_PX, grid: int = GRID) -> Graphs:
    """Return two graphs with what to know to run them, asked about their first class."""
    return Graphs(
        features=features,
        classifier=classifier,
        size_px=size_px,
        grid=(grid, grid),
        finding_index=0,
        method="grad-cam",
        tensors=Tensors(*Tensors.__struct_fields__),
        variant="float32",
        devices=("cpu",),
    )


def manifest(variants: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the manifest without its file list; by default float32 is the only variant."""
    variants = variants or {"float32": FLOAT32}
    white = {"probability": 1 / (1 + np.exp(-4)), "heatmap": encode_map(np.ones((GRID, GRID)))}
    black = {"probability": 1 / (1 + np.exp(2)), "heatmap": encode_map(np.zeros((GRID, GRID)))}
    return {
        "schema_version": 3,
        "name": "toy",
        "version": "1",
        "created": "2026-01-01",
        "classes": ["fracture"],
        "finding": "fracture",
        "tensors": {name: name for name in ("image", "features", "logit", "probability", "gradient")},
        "variants": variants,
        "heatmap": {"method": "grad-cam", "grid": [GRID, GRID], "pointing_game": None},
        "golden": [
            {"picture": "golden-1.png", "expected": dict.fromkeys(variants, white)},
            {"picture": "golden-2.png", "expected": dict.fromkeys(variants, black)},
        ],
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


def write_toy_bundle(
    bundle_dir: Path,
    contents: Mapping[str, bytes] | None = None,
    variants: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Write the bundle; `contents` replace or join its files, `changes` replace values of the manifest."""
    bundle_dir.mkdir(parents=True, exist_ok=True)
    graphs = {"features.onnx": features_graph(), "classifier.onnx": classifier_graph()}
    files = {**graphs, **PICTURES, **(contents or {})}
    for name, data in files.items():
        (bundle_dir / name).write_bytes(data)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    content = {**manifest(variants), "files": hashes, **changes}
    (bundle_dir / "manifest.json").write_text(json.dumps(content))
    return bundle_dir


def write_two_variants(bundle_dir: Path, int8_features: bytes | None = None, **changes: Any) -> Path:
    """Write the bundle with a variant int8, which by default has float32's own graph."""
    contents = {"features.int8.onnx": int8_features or features_graph()}
    return write_toy_bundle(bundle_dir, contents, {"float32": FLOAT32, "int8": INT8}, **changes)


def encode_map(heatmap: np.ndarray) -> str:
    """Return a map as the manifest holds it."""
    return base64.b64encode(heatmap.astype("<f4").tobytes()).decode()


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
