"""Small random networks of the kinds of layers that real ones have, and heads to put on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

Head = Callable[[keras.KerasTensor], keras.KerasTensor]
SIZE_PX = 64
GRID = 8
CHANNELS = 12


def network(
    head: Head | Sequence[Head], classes: int = 1, end: str = "sigmoid", size_px: int = SIZE_PX
) -> keras.Model:
    """Return a network: two convolutions, a map `last_map` (N, 8, 8, 12), a head, logits, an end."""
    keras.utils.set_random_seed(0)
    image = layers.Input((size_px, size_px, 1), name="image")
    x = layers.Rescaling(1 / 128, offset=-1)(image)
    x = layers.Conv2D(8, 3, 2, "same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(CHANNELS, 3, 4, "same", activation="relu", name="last_map")(x)
    for layer in head if isinstance(head, Sequence) else [head]:
        x = layer(x)
    if len(x.shape) != 2 or x.shape[-1] != classes:
        x = layers.Dense(classes, bias_initializer=keras.initializers.RandomNormal(), name="logit")(x)
    model = keras.Model(image, layers.Activation(end, name="probability")(x))
    return shaken(model)


def shaken(model: keras.Model) -> keras.Model:
    """Give batch normalisation statistics and weights that a test can see; return the model."""
    generator = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights(
                [
                    value * generator.uniform(0.5, 1.5, value.shape)
                    + (not value.any()) * generator.normal()
                    for value in layer.get_weights()
                ]
            )
    return model


def images(count: int = 3, size_px: int = SIZE_PX) -> np.ndarray:
    """Return noise, float32 (count, S, S, 1), 0..255."""
    return np.random.default_rng(1).uniform(0, 255, (count, size_px, size_px, 1)).astype(np.float32)


def top_k(x: keras.KerasTensor) -> keras.KerasTensor:
    """Average the four largest cells of each channel."""
    cells = layers.Permute((2, 1))(layers.Reshape((GRID * GRID, x.shape[-1]))(x))
    return keras.ops.mean(keras.ops.top_k(cells, 4)[0], axis=-1)


def strongest(x: keras.KerasTensor) -> keras.KerasTensor:
    """Average the eight largest cells of a map with one channel."""
    cells = layers.Reshape((GRID * GRID,))(x)
    return keras.ops.mean(keras.ops.top_k(cells, 8)[0], axis=-1, keepdims=True)


def mean_of_members(shape: tuple[int, ...], dtype: Any = None) -> keras.KerasTensor:
    """Return the weights by which a last layer averages its inputs."""
    return keras.ops.full(shape, 1 / shape[0], dtype)


def evidence(classes: int = 1, pool: Head | None = None) -> list[Head]:
    """Return a head that scores each cell and pools the scores."""
    pooled = pool or (lambda x: keras.ops.logsumexp(x, axis=(1, 2)))
    return [layers.Dropout(0.3), layers.Conv2D(classes, 1, name="evidence"), pooled]


def _hidden(**options: Any) -> list[Head]:
    return [layers.GlobalAveragePooling2D(), layers.Dense(16, **options)]


HEADS: dict[str, Callable[[], list[Head]]] = {
    "average": lambda: [layers.GlobalAveragePooling2D()],
    "average, kept": lambda: [layers.GlobalAveragePooling2D(keepdims=True), layers.Flatten()],
    "mean": lambda: [lambda x: keras.ops.mean(x, axis=(1, 2))],
    "maximum": lambda: [layers.GlobalMaxPooling2D()],
    "amax": lambda: [lambda x: keras.ops.max(x, axis=(-3, -2))],
    "log-sum-exp": lambda: evidence(),
    "top-k": lambda: [top_k],
    "top-k of evidence": lambda: evidence(pool=top_k),
    "flatten": lambda: [layers.Flatten(), layers.Dense(9)],
    "relu": lambda: [*_hidden(), layers.ReLU(), layers.Dense(8, activation="relu")],
    "batch normalisation": lambda: [
        layers.BatchNormalization(),
        *_hidden(),
        layers.BatchNormalization(scale=False),
    ],
    "dropout": lambda: [layers.SpatialDropout2D(0.5), *_hidden(use_bias=False), layers.Dropout(0.5)],
    "1 x 1 convolution": lambda: [layers.Conv2D(6, 1, activation="relu"), layers.GlobalMaxPooling2D()],
    "mean of the strongest cells": lambda: [*evidence(pool=strongest), layers.Dense(1)],
    "ensemble": lambda: [*evidence(2, top_k), layers.Dense(1, kernel_initializer=mean_of_members)],
}
