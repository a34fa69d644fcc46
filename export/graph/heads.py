"""Keras layers and operations of a head to steps whose derivative can be exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from edge_app.errors import ExportError
from export.graph import steps
from export.graph.steps import Step

SUPPORTED = (
    "global average, maximum, log-sum-exp and top-k pooling, Flatten, Reshape, Permute, Dense, Conv2D with "
    "a 1 x 1 kernel, BatchNormalization, dropout, and relu or linear activations"
)


class _Unsupported(Exception):
    """A layer has no step here."""


def head_steps(operation: keras.Operation) -> list[Step]:
    """Write one layer or operation of a head as steps.

    Args:
        operation: What a head is made of, called once.

    Returns:
        Steps that compute the same, in order.

    Raises:
        ExportError: no exact gradient can be exported for it; the message names it.
    """
    known = _LAYERS.get(type(operation)) or _OPERATIONS.get(type(operation).__name__)
    try:
        if known is None:
            raise _Unsupported
        return known(operation)
    except _Unsupported as error:
        raise ExportError(
            f"The head holds {called(operation)}, for which no exact gradient can be exported. Supported "
            f"are {SUPPORTED}."
        ) from error


def called(operation: keras.Operation) -> str:
    """Name a layer for people."""
    return f"the layer {operation.name!r} ({type(operation).__name__})"


def _dense(layer: layers.Dense) -> list[Step]:
    kernel, bias = _weights(layer)
    return [steps.dense(kernel, bias), *_activation(layer.activation)]


def _convolution(layer: layers.Conv2D) -> list[Step]:
    if layer.kernel_size != (1, 1) or layer.strides != (1, 1) or layer.groups != 1:
        raise _Unsupported
    kernel, bias = _weights(layer)
    return [steps.dense(kernel[0, 0], bias), *_activation(layer.activation)]


def _weights(layer: layers.Layer) -> tuple[steps.Weights, steps.Weights]:
    kernel, *bias = layer.get_weights()
    return kernel, bias[0] if bias else np.zeros(kernel.shape[-1], np.float32)


def _batch_norm(layer: layers.BatchNormalization) -> list[Step]:
    if layer.axis not in (-1, len(layer.input.shape) - 1):
        raise _Unsupported
    mean, variance = (np.asarray(value, np.float64) for value in (layer.moving_mean, layer.moving_variance))
    scale = (np.asarray(layer.gamma) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    offset = (np.asarray(layer.beta) if layer.center else 0.0) - mean * scale
    return [steps.affine(scale.astype(np.float32), offset.astype(np.float32))]


def _relu(layer: layers.ReLU) -> list[Step]:
    if layer.negative_slope or layer.threshold or layer.max_value is not None:
        raise _Unsupported
    return [steps.relu()]


def _activation(function: Callable[..., Any]) -> list[Step]:
    made = _ACTIVATIONS.get(function)
    if made is None:
        raise _Unsupported
    return made()


def _reduction(make: Callable[[Sequence[int], Sequence[int], bool], Step]) -> Callable[[Any], list[Step]]:
    """Make what reads a reduction over rows and columns, or over the last axis."""

    def read(operation: Any) -> list[Step]:
        shape = operation.input.shape
        axes = getattr(operation, "axis", (1, 2))  # global pooling layers have no axis of their own
        axes = axes if isinstance(axes, Sequence) else [axes]
        if (
            any(axis is None for axis in axes)
            or getattr(operation, "data_format", None) == "channels_first"
        ):
            raise _Unsupported
        positive = sorted(axis % len(shape) for axis in axes)
        if 0 in positive:
            raise _Unsupported
        return [make(shape[1:], positive, operation.keepdims)]

    return read


def _top_k(operation: Any) -> list[Step]:
    return [steps.top_k(operation.input.shape[-1], operation.k)]


def _reshape(operation: Any) -> list[Step]:
    output = operation.output.shape
    if None in output[1:] or output[0] is not None:
        raise _Unsupported
    return [steps.reshape(operation.input.shape[1:], output[1:])]


def _permute(layer: layers.Permute) -> list[Step]:
    return [steps.permute((0, *layer.dims))]


_ACTIVATIONS: Mapping[Callable[..., Any], Callable[[], list[Step]]] = {
    keras.activations.linear: list,
    keras.activations.relu: lambda: [steps.relu()],
}

_LAYERS: Mapping[type, Callable[[Any], list[Step]]] = {
    layers.Dense: _dense,
    layers.Conv2D: _convolution,
    layers.BatchNormalization: _batch_norm,
    layers.ReLU: _relu,
    layers.Activation: lambda layer: _activation(layer.activation),
    layers.Dropout: lambda layer: [steps.identity()],
    layers.SpatialDropout2D: lambda layer: [steps.identity()],
    layers.GlobalAveragePooling2D: _reduction(steps.average),
    layers.GlobalMaxPooling2D: _reduction(steps.maximum),
    layers.Flatten: _reshape,
    layers.Reshape: _reshape,
    layers.Permute: _permute,
}

# Functions of keras.ops; their classes are not public, so their names stand for them.
_OPERATIONS: Mapping[str, Callable[[Any], list[Step]]] = {
    "Mean": _reduction(steps.average),
    "Max": _reduction(steps.maximum),
    "Logsumexp": _reduction(steps.log_sum_exp),
    "TopK": _top_k,
    "Reshape": _reshape,
    "Relu": lambda operation: [steps.relu()],
}
