"""Frozen batch normalisation folded into the convolutions before it, for a faster training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers


class _Folded(layers.Layer):
    """A convolution and the frozen batch normalisation behind it, as one convolution with a bias.

    It has no weights of its own: gradients reach the kernel of the convolution that it stands for.

    Args:
        convolution: A `Conv2D` or `DepthwiseConv2D` without bias and activation.
        norm: What is applied to its result.
    """

    def __init__(self, convolution: layers.Layer, norm: layers.BatchNormalization) -> None:
        super().__init__(trainable=False)
        # a plain tuple of layers would count as part of this one
        self._pair: tuple[Callable[[], Any], Callable[[], Any]] = (lambda: convolution), (lambda: norm)

    def call(self, maps: keras.KerasTensor) -> keras.KerasTensor:
        convolution, norm = (part() for part in self._pair)
        scale = norm.gamma * keras.ops.rsqrt(norm.moving_variance + norm.epsilon)
        offset = norm.beta - norm.moving_mean * scale
        if isinstance(convolution, layers.DepthwiseConv2D):
            convolve, scale = keras.ops.depthwise_conv, scale[:, None]
        else:
            convolve = keras.ops.conv
        kernel = convolution.kernel * scale
        return convolve(maps, kernel, convolution.strides, convolution.padding) + offset


def fold_norms(model: keras.Model) -> keras.Model:
    """Copy a model so that each convolution applies the frozen batch normalisation behind it.

    Both share their weights and give the same results, but for rounding; the step that trains the copy
    passes over each map once less.

    Args:
        model: A functional model.

    Returns:
        The model to train; without frozen batch normalisation behind a convolution it does the same work.
    """
    behind = {
        norm.input._keras_history.operation: norm
        for norm in model.layers
        if isinstance(norm, layers.BatchNormalization) and not norm.trainable
    }
    folded = {
        convolution: _Folded(convolution, norm)
        for convolution, norm in behind.items()
        if _is_foldable(convolution)
    }
    applied = {behind[convolution] for convolution in folded}

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if layer in applied:
            return inputs[0]
        if layer in folded:
            return folded[layer](inputs[0])
        return layer(*inputs, **options)

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


def _is_foldable(layer: Any) -> bool:
    """Tell whether a layer is a plain convolution that only batch normalisation reads."""
    plain = isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D) and layer.dilation_rate == (1, 1)
    return (
        plain
        and not layer.use_bias
        and layer.activation is keras.activations.linear
        and len(layer.output._keras_history.operation._outbound_nodes) == 1
    )
