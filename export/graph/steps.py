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

    `forward` maps values to the result; `backward` maps (values, result, d logit / d result) to
    d logit / d values. All tensors are batches, and keep the dtype of what comes in.
    """

    forward: Callable[[tf.Tensor], tf.Tensor]
    backward: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def identity() -> Step:
    """Pass values on, as dropout does outside training."""
    return Step(lambda values: values, lambda values, result, upstream: upstream)


def relu() -> Step:
    """Keep what is positive; the gradient passes where something was kept."""
    return Step(
        tf.nn.relu,
        lambda values, result, upstream: upstream * tf.cast(values > 0.0, upstream.dtype),
    )


def affine(scale: Weights, offset: Weights) -> Step:
    """Scale and shift each channel, as batch normalisation does outside training; both are (C,)."""
    return Step(
        lambda values: values * tf.constant(scale, values.dtype) + tf.constant(offset, values.dtype),
        lambda values, result, upstream: upstream * tf.constant(scale, upstream.dtype),
    )


def dense(kernel: Weights, bias: Weights) -> Step:
    """Multiply the last axis by a matrix (C, D) and add (D,): a dense layer or a 1 x 1 convolution."""
    return Step(
        lambda values: (
            tf.matmul(values, tf.constant(kernel, values.dtype)) + tf.constant(bias, values.dtype)
        ),
        lambda values, result, upstream: tf.matmul(upstream, tf.constant(kernel.T, upstream.dtype)),
    )


def average(shape: Sequence[int], axes: Sequence[int], keepdims: bool) -> Step:
    """Average over axes; each value gets an equal share of the gradient.

    Args:
        shape: That of the values, without the batch.
        axes: Counted with the batch as 0.
        keepdims: Whether the result keeps these axes with length 1.
    """
    spread = [length if axis in axes else 1 for axis, length in enumerate(shape, start=1)]
    share = np.full(spread, 1.0 / np.prod(spread), np.float32)
    kept = _kept(shape, axes)
    return Step(
        lambda values: tf.reduce_mean(values, axes, keepdims),
        lambda values, result, upstream: tf.reshape(upstream, kept) * tf.constant(share, upstream.dtype),
    )


def maximum(shape: Sequence[int], axes: Sequence[int], keepdims: bool) -> Step:
    """Take the largest value over axes; equal largest values share the gradient. Args as in `average`."""
    kept = _kept(shape, axes)

    def backward(values: tf.Tensor, result: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        largest = tf.cast(tf.equal(values, tf.reshape(result, kept)), upstream.dtype)
        return tf.reshape(upstream, kept) * largest / tf.reduce_sum(largest, axes, keepdims=True)

    return Step(lambda values: tf.reduce_max(values, axes, keepdims), backward)


def log_sum_exp(shape: Sequence[int], axes: Sequence[int], keepdims: bool) -> Step:
    """Pool by the logarithm of summed exponentials; its gradient is their share. Args as in `average`."""
    kept = _kept(shape, axes)

    def exponentials(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        largest = tf.reduce_max(values, axes, keepdims=True)
        raised = tf.exp(values - largest)
        return largest, raised, tf.reduce_sum(raised, axes, keepdims=True)

    def forward(values: tf.Tensor) -> tf.Tensor:
        largest, _, total = exponentials(values)
        pooled = tf.math.log(total) + largest
        return pooled if keepdims else tf.squeeze(pooled, axes)

    def backward(values: tf.Tensor, result: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        _, raised, total = exponentials(values)
        return tf.reshape(upstream, kept) * (raised / total)

    return Step(forward, backward)


def top_k(length: int, count: int) -> Step:
    """Keep the `count` largest of `length` values on the last axis; the gradient goes back to them."""

    def backward(values: tf.Tensor, result: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        places = tf.one_hot(tf.math.top_k(values, count).indices, length, dtype=upstream.dtype)
        return tf.reduce_sum(upstream[..., tf.newaxis] * places, axis=-2)

    return Step(lambda values: tf.math.top_k(values, count).values, backward)


def reshape(before: Sequence[int], after: Sequence[int]) -> Step:
    """Give each picture's values another shape; both shapes are without the batch."""
    return Step(
        lambda values: tf.reshape(values, (-1, *after)),
        lambda values, result, upstream: tf.reshape(upstream, (-1, *before)),
    )


def permute(axes: Sequence[int]) -> Step:
    """Reorder axes, the batch staying first: axis `axes[i]` becomes axis i."""
    back = [int(axis) for axis in np.argsort(axes)]
    return Step(
        lambda values: tf.transpose(values, axes),
        lambda values, result, upstream: tf.transpose(upstream, back),
    )


def _kept(shape: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a reduced batch that keeps the reduced axes with length 1."""
    return (-1, *(1 if axis in axes else length for axis, length in enumerate(shape, start=1)))
