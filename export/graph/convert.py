"""The only import of tf2onnx: TensorFlow functions to self-contained ONNX graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import onnx
import tensorflow as tf
import tf2onnx

from edge_app.errors import ExportError
from export.graph.simplify import simplify

OPSET = 18
_Part = TypeVar("_Part", onnx.NodeProto, onnx.TensorProto)
_STANDARD_DOMAINS = ("", "ai.onnx")


def to_onnx(
    function: Callable[[tf.Tensor], Any],
    input_name: str,
    input_shape: Sequence[int | None],
    output_names: Sequence[str],
) -> onnx.ModelProto:
    """Convert a function of one float32 tensor.

    Args:
        function: From one tensor to a tensor or a tuple of tensors.
        input_name: The graph's input.
        input_shape: Its shape; None for the batch.
        output_names: The graph's outputs, in the function's order.

    Returns:
        A checked, simplified model.

    Raises:
        ExportError: the graph holds an operator that is not part of ONNX, or is not valid.
    """
    signature = [tf.TensorSpec(input_shape, tf.float32, name=input_name)]
    traced = tf.function(function, autograph=False)  # Keras traces its layers without it, too
    model, _ = tf2onnx.convert.from_function(traced, input_signature=signature, opset=OPSET)
    _check_inputs(model.graph, input_name)
    _rename(model.graph, [value.name for value in model.graph.output], output_names)
    _name_batch(model.graph)
    check_graph(_standard(model))
    return _standard(simplify(model))


def to_bytes(model: onnx.ModelProto) -> bytes:
    """Write a model so that the same graph always gives the same bytes.

    Args:
        model: A model; its inputs and outputs keep their names.

    Returns:
        A single-file model whose nodes and tensors are numbered in the order of their use.

    Raises:
        ExportError: as `check_graph`.
    """
    named = _numbered(model)
    check_graph(named)
    return bytes(named.SerializeToString(deterministic=True))


def check_graph(model: onnx.ModelProto) -> None:
    """Make sure that a model is valid ONNX, with standard operators and all of its tensors inside.

    Args:
        model: The model.

    Raises:
        ExportError: it is not; the message tells why.
    """
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


def _name_batch(graph: onnx.GraphProto) -> None:
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


def _standard(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the domains that converters declare without using them."""
    used = [opset for opset in model.opset_import if opset.domain in _STANDARD_DOMAINS]
    del model.opset_import[:]
    model.opset_import.extend(used)
    return model


def _numbered(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rebuild a model with numbers for names, and without what does not change its result."""
    graph = model.graph
    names = {"": ""} | {value.name: value.name for value in (*graph.input, *graph.output)}
    for node in graph.node:
        for name in (*node.input, *node.output):
            names.setdefault(name, f"t{len(names)}")
    stored = {tensor.name: tensor for tensor in graph.initializer}
    nodes = [_renamed(node, f"{node.op_type}_{index}") for index, node in enumerate(graph.node)]
    for node in nodes:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    tensors = [_renamed(stored[name], new_name) for name, new_name in names.items() if name in stored]
    rebuilt = onnx.helper.make_graph(nodes, "fracture-edge", graph.input, graph.output, tensors)
    return onnx.helper.make_model(
        rebuilt,
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
        producer_name="fracture-edge",
    )


def _renamed(part: _Part, name: str) -> _Part:
    """Copy a node or a tensor under another name, without its comment."""
    copied = type(part)()
    copied.CopyFrom(part)
    copied.name, copied.doc_string = name, ""
    return copied
