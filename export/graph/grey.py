"""The way from the grey image to the first convolution, made as short as it can be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edge_app.model.inference import open_session

_WHITE = 255.0
# Of the largest value that the convolution sees; 32-bit rounding stays far below.
_TOLERANCE = 1e-5


class _Scaling(NamedTuple):
    """What a network makes of a grey value x before its first convolution.

    Channel c is `scale[c] * x + offset[c]`, float64 (C,), inside of a frame of zeros, whose widths `frame`
    are rows above, columns left, rows below and columns right.
    """

    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    frame: tuple[int, int, int, int]


def fold_input(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold scaling, equal channels, padding and transposition of the image into the first convolution.

    A frame of zeros stands for the grey value that scaling turns to zero. Where that is the same value in
    all channels, they become one channel: x minus that value. Where it is not, they become two: x, and one
    that is 1 all over the picture, so that only the frame has zeros.

    Args:
        model: Takes one image (N, S, S, 1), 0..255.

    Returns:
        A model with the same result; the given one where what precedes the first convolution is more than
        a scaling in a frame.
    """
    graph = model.graph
    convolution = next((node for node in graph.node if node.op_type == "Conv"), None)
    if convolution is None or _attribute(convolution, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return model
    scaling = _measure(model, convolution.input[0])
    return model if scaling is None else _rebuild(model, convolution, scaling)


def _measure(model: onnx.ModelProto, name: str) -> _Scaling | None:
    """Find out by trying what becomes of the image until the tensor of a name, (N, C, H, W)."""
    image = model.graph.input[0]
    size = image.type.tensor_type.shape.dim[1].dim_value
    session = open_session(_until(model, name).SerializeToString())
    noise = np.random.default_rng(0).integers(0, 256, (1, size, size, 1)).astype(np.float32)
    black, white, seen = (
        session.run([name], {image.name: picture})[0][0].astype(np.float64)
        for picture in (np.zeros_like(noise), np.full_like(noise, _WHITE), noise)
    )
    inside = np.argwhere((white != black).any(axis=0))
    if black.ndim != 3 or not len(inside):
        return None
    (top, left), (bottom, right) = inside.min(axis=0), inside.max(axis=0) + 1
    frame = (int(top), int(left), int(black.shape[1] - bottom), int(black.shape[2] - right))
    if (bottom - top, right - left) != (size, size):
        return None
    offset = black[:, top, left]
    scale = (white[:, top, left] - offset) / _WHITE
    expected = np.zeros_like(seen)
    expected[:, top:bottom, left:right] = scale[:, None, None] * noise[0, ..., 0] + offset[:, None, None]
    exact = np.abs(seen - expected).max() <= _TOLERANCE * np.abs(seen).max()
    return _Scaling(scale, offset, frame) if exact and scale.all() else None


def _rebuild(model: onnx.ModelProto, convolution: NodeProto, scaling: _Scaling) -> onnx.ModelProto:
    """Let the convolution take the image's grey values directly."""
    graph = model.graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    zero, per_channel = _channels(scaling)
    kernel = stored[convolution.input[1]].astype(np.float64)
    folded = np.stack([np.einsum("dckl,c->dkl", kernel, factor) for factor in per_channel], axis=1)
    nodes, constants = _entry(graph.input[0], zero, with_inside=len(per_channel) == 2)
    constants["grey/kernel"] = folded.astype(np.float32)
    direct = _with_frame(convolution, scaling.frame)
    direct.input[:2] = [nodes[-1].output[0], "grey/kernel"]
    rest = [direct if node is convolution else node for node in graph.node]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    return _pruned(model, [*nodes, *rest], [*tensors, *graph.initializer], graph.output)


def _channels(scaling: _Scaling) -> tuple[np.float32, list[NDArray[np.float64]]]:
    """Return the grey value to subtract, and the factors that make one or two channels of the kernel."""
    zeros = -scaling.offset / scaling.scale
    zero = np.float32(zeros.mean())
    if np.ptp(zeros) > _TOLERANCE * _WHITE:
        return zero, [scaling.scale, scaling.offset + scaling.scale * zero]
    return zero, [scaling.scale]


def _entry(
    image: onnx.ValueInfoProto, zero: np.float32, with_inside: bool
) -> tuple[list[NodeProto], dict[str, Any]]:
    """Make the operators from the image to the convolution, and their constants."""
    size = image.type.tensor_type.shape.dim[1].dim_value
    constants: dict[str, Any] = {"grey/shape": np.array([-1, 1, size, size], np.int64), "grey/zero": zero}
    nodes = [
        helper.make_node("Reshape", [image.name, "grey/shape"], ["grey/image"]),
        helper.make_node("Sub", ["grey/image", "grey/zero"], ["grey/centred"]),
    ]
    if with_inside:
        constants |= {"grey/none": np.float32(0), "grey/one": np.float32(1)}
        nodes += [
            helper.make_node("Mul", ["grey/centred", "grey/none"], ["grey/nothing"]),
            helper.make_node("Add", ["grey/nothing", "grey/one"], ["grey/inside"]),
            helper.make_node("Concat", ["grey/centred", "grey/inside"], ["grey/channels"], axis=1),
        ]
    return nodes, constants


def _with_frame(convolution: NodeProto, frame: tuple[int, int, int, int]) -> NodeProto:
    """Copy a convolution so that it adds the frame's zeros itself."""
    copied = NodeProto()
    copied.CopyFrom(convolution)
    pads = [own + more for own, more in zip(_attribute(copied, "pads", [0] * 4), frame, strict=True)]
    others = [attribute for attribute in copied.attribute if attribute.name not in ("pads", "auto_pad")]
    del copied.attribute[:]
    copied.attribute.extend([*others, helper.make_attribute("pads", pads)])
    return copied


def _until(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Cut out what computes the tensor of a name."""
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    return _pruned(model, model.graph.node, model.graph.initializer, [output])


def _pruned(
    model: onnx.ModelProto,
    nodes: Iterable[NodeProto],
    tensors: Iterable[TensorProto],
    outputs: Iterable[onnx.ValueInfoProto],
) -> onnx.ModelProto:
    """Make a model of those nodes and tensors that lead to the outputs."""
    outputs = list(outputs)
    wanted = {value.name for value in outputs}
    kept: list[NodeProto] = []
    for node in reversed(list(nodes)):
        if wanted & set(node.output):
            kept.insert(0, node)
            wanted |= set(node.input)
    used = [tensor for tensor in tensors if tensor.name in wanted]
    graph = helper.make_graph(kept, model.graph.name, model.graph.input, outputs, used)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default
