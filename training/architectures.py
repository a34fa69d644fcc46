"""Network architectures: flat functional graphs from a grey square to the probability of a fracture."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

INITIAL_DROPOUT = 0.2
# (repeats, kernel, stride, expansion, filters), EfficientNet-Lite0.
# Source: Tan & Le, EfficientNet, ICML 2019, table 1; the Lite variant drops squeeze-and-excitation
# and uses ReLU6.
_LITE0_BLOCKS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def build_model(architecture: str, size_px: int) -> keras.Model:
    """Build a classifier with random weights.

    Batch normalisation runs on its stored statistics, in training too: batches of a fine-tuning are
    too small and too alike to estimate better ones. The last layer starts at zero, so that the first
    gradients reach the head only and leave a pretrained backbone in peace.

    Args:
        architecture: A key of `BACKBONES`.
        size_px: The input side S in pixels.

    Returns:
        A model from float32 (N, S, S, 1) in 0..255 to the probability (N, 1), whose last two layers
        are named `logit` and `probability`.
    """
    image = layers.Input((size_px, size_px, 1), name="image")
    features = BACKBONES[architecture](image)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(features)
    pooled = layers.Dropout(INITIAL_DROPOUT, name="dropout")(pooled)
    logit = layers.Dense(1, kernel_initializer="zeros", name="logit")(pooled)
    probability = layers.Activation("sigmoid", name="probability")(logit)
    model = keras.Model(image, probability, name=architecture)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    return model


def efficientnet_lite0(image: keras.KerasTensor) -> keras.KerasTensor:
    """Apply EfficientNet-Lite0 without its top; layers are named as in the published PyTorch weights.

    Its three-channel first convolution takes one channel here: for grey pictures, whose three channels
    are equal, summed kernels give the same result.

    Args:
        image: (N, S, S, 1), 0..255.

    Returns:
        Features (N, S/32, S/32, 1280).
    """
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scaled")(image)
    x = _conv_norm(x, 32, 3, 2, "_conv_stem", "_bn0")
    index = 0
    for repeats, kernel, stride, expansion, filters in _LITE0_BLOCKS:
        for repeat in range(repeats):
            x = _inverted_residual(
                x, kernel, stride if repeat == 0 else 1, expansion, filters, f"_blocks-{index}-"
            )
            index += 1
    return _conv_norm(x, 1280, 1, 1, "_conv_head", "_bn1")


def _inverted_residual(
    x: keras.KerasTensor, kernel: int, stride: int, expansion: int, filters: int, name: str
) -> keras.KerasTensor:
    channels = x.shape[-1]
    y = x
    if expansion > 1:
        y = _conv_norm(y, channels * expansion, 1, 1, f"{name}_expand_conv", f"{name}_bn0")
    y = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_depthwise_conv")(y)
    y = _relu6(layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn1")(y))
    y = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(y)
    y = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn2")(y)
    return layers.Add(name=f"{name}_add")([x, y]) if stride == 1 and channels == filters else y


def _conv_norm(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, conv: str, norm: str
) -> keras.KerasTensor:
    x = layers.Conv2D(filters, kernel, stride, "same", use_bias=False, name=conv)(x)
    return _relu6(layers.BatchNormalization(epsilon=1e-3, name=norm)(x))


def _relu6(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.ReLU(max_value=6.0)(x)


BACKBONES: dict[str, Callable[[keras.KerasTensor], keras.KerasTensor]] = {
    "efficientnet_lite0": efficientnet_lite0,
}
