"""Small extra outputs of a features graph: channel averages at two depths, for the input gate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from edge_app.errors import ExportError
from export.graph.convert import to_bytes

AVERAGES = SHALLOW, DEEP = "shallow_average", "deep_average"
# The shallow averages come from cells of 8 x 8 pixels: edges and textures.
_SHALLOW_STRIDE = 8
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
_AXES = "averages/axes"


def add_averages(features: bytes) -> bytes:
    """Let a features graph tell each channel's average at two depths; what it told before stays.

    The deep ones are of the features. The shallow ones lie on the way to them, at the last place where a
    cell is `_SHALLOW_STRIDE` pixels wide. Where tensors are joined, the way leads through the first of
    them: of several networks side by side, the first one is asked.

    Args:
        features: A features graph, image (N, S, S, 1) to features (N, h, w, C), in any precision.

    Returns:
        The graph with the outputs `SHALLOW` and `DEEP`, float32 (N, C') and (N, C); the given one where
        it has them already.

    Raises:
        ExportError: the graph has no map of such cells.
    """
    model = onnx.load_model_from_string(features)
    graph = model.graph
    if {SHALLOW, DEEP} <= {output.name for output in graph.output}:
        return features
    name, kind = _shallow_map(model)
    channels_last = graph.output[0]
    graph.initializer.append(numpy_helper.from_array(np.array([2, 3], np.int64), f"{_AXES}/{SHALLOW}"))
    graph.initializer.append(numpy_helper.from_array(np.array([1, 2], np.int64), f"{_AXES}/{DEEP}"))
    _append_average(graph, name, kind.shape.dim[1].dim_value, SHALLOW)
    channels = channels_last.type.tensor_type.shape.dim[3].dim_value
    _append_average(graph, channels_last.name, channels, DEEP)
    return to_bytes(model)


def _shallow_map(model: onnx.ModelProto) -> tuple[str, Any]:
    """Find the last map (N, C, h, w) of shallow cells before the features, and its type."""
    side = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value // _SHALLOW_STRIDE
    inferred = shape_inference.infer_shapes(model).graph
    kinds = {value.name: value.type.tensor_type for value in inferred.value_info}
    for name in _way_back(inferred):
        kind = kinds.get(name)
        if kind is None or kind.elem_type not in _FLOATS:
            continue
        if [dim.dim_value for dim in kind.shape.dim][2:] == [side, side]:
            return name, kind
    raise ExportError(
        f"The input gate needs a map of {side} x {side} cells on the way to the features, and the model "
        "has none. Export without a gate."
    )


def _way_back(graph: onnx.GraphProto) -> Iterator[str]:
    """Walk from the features to the image, at each node through its first computed input."""
    makers = {name: node for node in graph.node for name in node.output}
    name = graph.output[0].name
    while name in makers:
        yield name
        name = next((each for each in makers[name].input if each in makers), "")


def _append_average(graph: onnx.GraphProto, given: str, channels: int, result: str) -> None:
    """Average a tensor in 32-bit, so that a sum over many cells loses nothing."""
    wide = f"{result}/float32"
    graph.node.append(helper.make_node("Cast", [given], [wide], to=TensorProto.FLOAT))
    graph.node.append(helper.make_node("ReduceMean", [wide, f"{_AXES}/{result}"], [result], keepdims=0))
    graph.output.append(helper.make_tensor_value_info(result, TensorProto.FLOAT, ["batch", channels]))
