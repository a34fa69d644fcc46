"""The operations of a head, each with its derivative, in terms that ONNX knows.

TensorFlow's own gradients of pooling, ReLU and convolution are not ONNX operators. So each step brings its
derivative along, written with operations that convert, and the chain rule is applied step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Weights = NDArray[np.float32]


class Step(NamedTuple):
    """One operation of a head.

    `forward` maps the given tensor to the result; `backward` maps (given, result, d logit / d result) to
    d logit / d given. All tensors are batches, and keep the dtype that they are given.
    """

    forward: Callable[[tf.Tensor], tf.Tensor]
    backward: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def identity() -> Step:
    """Pass values on, as dropout does outside training."""
    return Step(lambda given: given, lambda given, result, upstream: upstream)


def relu(ceiling: float | None = None) -> Step:
    """Keep what is positive, up to a ceiling; the gradient passes strictly in between."""

    def forward(given: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(given) if ceiling is None else tf.clip_by_value(given, 0.0, ceiling)

    def backward(given: tf.Tensor, result: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        passes = given > 0.0
        if ceiling is not None:
            passes = tf.logical_and(passes, given < ceiling)
        return upstream * tf.cast(passes, upstream.dtype)

    return Step(forward, backward)


def swish() -> Step:
    """Multiply values by their sigmoid.

    Source:
        Ramachandran et al., Searching for activation functions, 2017, section 4.
    """

    def backward(given: tf.Tensor, result: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        sigmoid = tf.sigmoid(given)
        return upstream * (sigmoid + result * (1.0 - sigmoid))

    return Step(lambda given: given * tf.sigmoid(given), backward)


def affine(scale: Weights, offset: Weights) -> Step:
    """Scale and shift each channel, as batch normalisation does outside training; both are (C,)."""
    return Step(
        lambda given: given * tf.constant(scale, given.dtype) + tf.constant(offset, given.dtype),
        lambda given, result, upstream: upstream * tf.constant(scale, upstream.dtype),
    )


def dense(kernel: Weights, bias: Weights) -> Step:
    """Multiply the last axis by a matrix (C, D) and add (D,): a dense layer or a 1 x 1 convolution."""
    return Step(
        lambda given: tf.matmul(given, tf.constant(kernel, given.dtype)) + tf.constant(bias, given.dtype),
        lambda given, result, upstream: tf.matmul(upstream, tf.constant(kernel.T, upstream.dtype)),
    )


def convolution(kernel: Weights, bias: Weights, pads: Sequence[tuple[int, int]]) -> Step:
    """Convolve with stride 1; the derivative is a convolution with the kernel turned round.

    Args:
        kernel: (k, l, C, D).
        bias: (D,).
        pads: Zeros added before and after, for rows and for columns.

    Returns:
        The step, (N, h, w, C) to (N, h', w', D).

    Source:
        Dumoulin & Visin, A guide to convolution arithmetic for deep learning, 2016, chapter 4.
    """
    turned = np.ascontiguousarray(kernel[::-1, ::-1].transpose(0, 1, 3, 2))
    opposite = [
        (size - 1 - before, size - 1 - after)
        for size, (before, after) in zip(kernel.shape[:2], pads, strict=True)
    ]

    def convolve(values: tf.Tensor, weights: Weights, padding: Sequence[tuple[int, int]]) -> tf.Tensor:
        explicit = [(0, 0), *padding, (0, 0)]
        return tf.nn.conv2d(values, tf.constant(weights, values.dtype), 1, explicit)

    return Step(
        lambda given: convolve(given, kernel, pads) + tf.constant(bias, given.dtype),
        lambda given, result, upstream: convolve(upstream, turned, opposite),
    )


def average(shape: Sequence[int], axes: Sequence[int], keepdims: bool) -> Step:
    """Average over axes; each value gets an equal share of the gradient.

    Args:
        shape: What is given, without the batch.
        axes: Counted with the batch as 0.
        keepdims: Whether the result keeps these axes with length 1.
    """
    spread = [length if axis in axes else 1 for axis, length in enumerate(shape, start=1)]
    share = np.full(spread, 1.0 / np.prod(spread), np.float32)
    kept = _kept(shape, axes)
    return Step(
        lambda given: tf.reduce_mean(given, axes, keepdims),
        lambda given, result, upstream: tf.reshape(upstream, kept) * tf.constant(share, upstream.dtype),
    )


def maximum(shape: Sequence[int], axes: Sequence[int], keepdims: bool) -> Step:
    """Take the largest value over axes; equal largest values share the gradient. Args as in `average`."""
    kept = _kept(shape, axes)

    def backward(given: tf.Tensor, result: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        largest = tf.cast(tf.equal(given, tf.reshape(result, kept)), upstream.dtype)
        return tf.reshape(upstream, kept) * largest / tf.reduce_sum(largest, axes, keepdims=True)

    return Step(lambda given: tf.reduce_max(given, axes, keepdims), backward)


def log_sum_exp(shape: Sequence[int], axes: Sequence[int], keepdims: bool) -> Step:
    """Pool by the logarithm of summed exponentials; its gradient is their share. Args as in `average`."""
    kept = _kept(shape, axes)

    def exponentials(given: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        largest = tf.reduce_max(given, axes, keepdims=True)
        raised = tf.exp(given - largest)
        return largest, raised, tf.reduce_sum(raised, axes, keepdims=True)

    def forward(given: tf.Tensor) -> tf.Tensor:
        largest, _, total = exponentials(given)
        pooled = tf.math.log(total) + largest
        return pooled if keepdims else tf.squeeze(pooled, axes)

    def backward(given: tf.Tensor, result: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        _, raised, total = exponentials(given)
        return tf.reshape(upstream, kept) * (raised / total)

    return Step(forward, backward)


def top_k(length: int, count: int) -> Step:
    """Keep the `count` largest of `length` values on the last axis; the gradient goes back to them."""

    def backward(given: tf.Tensor, result: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        places = tf.one_hot(tf.math.top_k(given, count).indices, length, dtype=upstream.dtype)
        return tf.reduce_sum(upstream[..., tf.newaxis] * places, axis=-2)

    return Step(lambda given: tf.math.top_k(given, count).values, backward)


def reshape(before: Sequence[int], after: Sequence[int]) -> Step:
    """Give each picture's values another shape; both shapes are without the batch."""
    return Step(
        lambda given: tf.reshape(given, (-1, *after)),
        lambda given, result, upstream: tf.reshape(upstream, (-1, *before)),
    )


def permute(axes: Sequence[int]) -> Step:
    """Reorder axes, the batch staying first: axis `axes[i]` becomes axis i."""
    back = [int(axis) for axis in np.argsort(axes)]
    return Step(
        lambda given: tf.transpose(given, axes),
        lambda given, result, upstream: tf.transpose(upstream, back),
    )


def _kept(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a reduced batch that keeps the reduced axes with length 1."""
    return (-1, *(1 if axis in axes else length for axis, length in enumerate(shape, start=1)))
