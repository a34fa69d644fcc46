"""The only import of tf2onnx: TensorFlow functions to self-contained ONNX graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnx
import tensorflow as tf
import tf2onnx

from edge_app.errors import ExportError

OPSET = 18
_STANDARD_DOMAINS = ("", "ai.onnx")


def to_onnx(
    function: Callable[[tf.Tensor], Any],
    input_name: str,
    input_shape: Sequence[int | None],
    output_names: Sequence[str],
) -> bytes:
    """Convert a function of one float32 tensor.

    Args:
        function: From one tensor to a tensor or a tuple of tensors.
        input_name: The graph's input.
        input_shape: Its shape; None for the batch.
        output_names: The graph's outputs, in the function's order.

    Returns:
        A checked, single-file ONNX model.

    Raises:
        ExportError: the graph holds an operator that is not part of ONNX, or is not valid.
    """
    signature = [tf.TensorSpec(input_shape, tf.float32, name=input_name)]
    model, _ = tf2onnx.convert.from_function(tf.function(function), input_signature=signature, opset=OPSET)
    _check_inputs(model.graph, input_name)
    _rename(model.graph, [value.name for value in model.graph.output], output_names)
    _tidy(model)
    _check(model)
    return bytes(model.SerializeToString())


def _check_inputs(graph: onnx.GraphProto, expected: str) -> None:
    names = [value.name for value in graph.input]
    if names != [expected]:
        raise ExportError(f"Expected the graph to take {expected!r} alone, but it takes {names}.")


def _rename(graph: onnx.GraphProto, old_names: Sequence[str], new_names: Sequence[str]) -> None:
    if len(old_names) != len(new_names):
        raise ExportError(
            f"Expected {len(new_names)} outputs ({', '.join(new_names)}), found {len(old_names)}."
        )
    renamed = dict(zip(old_names, new_names, strict=True))
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [renamed.get(name, name) for name in names]
    for value in (*graph.output, *graph.value_info):
        value.name = renamed.get(value.name, value.name)


def _tidy(model: onnx.ModelProto) -> None:
    """Name the batch, and drop the domains that tf2onnx declares without using them."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    used = [opset for opset in model.opset_import if opset.domain in _STANDARD_DOMAINS]
    del model.opset_import[:]
    model.opset_import.extend(used)


def _check(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        known = node.domain in _STANDARD_DOMAINS and onnx.defs.has(node.op_type, node.domain)
        if not known:
            raise ExportError(
                f"The graph holds {node.op_type} ({node.name}), which is not an ONNX operator. It comes "
                "from a layer whose operation or gradient cannot be exported."
            )
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ExportError("The graph keeps tensors outside its file; the app would not follow them.")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"The converted graph is not valid ONNX: {error}") from error
