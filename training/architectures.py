"""Network architectures: flat functional graphs from a grey square to the probability of a fracture."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

DROPOUT = 0.2
NECK_CHANNELS = 128
# Cells rarely lie on a fracture: without a start near their frequency the first steps only learn that.
INITIAL_EVIDENCE = -5.0
INITIAL_LOGIT = -3.0
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

    A 1 x 1 convolution turns each cell of a feature map into evidence for a fracture there. The
    logarithm of the cells' summed exponentials, scaled and shifted, is the logit of the whole picture:
    one strong cell is enough, and every cell gets a gradient.

    Batch normalisation runs on its stored statistics, in training too: batches of a fine-tuning are
    too small and too alike to estimate better ones. The evidence starts as a constant, so that the first
    gradients reach the head only and leave a pretrained backbone in peace.

    Args:
        architecture: A key of `BACKBONES`.
        size_px: The input side S in pixels, a multiple of 32.

    Returns:
        A model from float32 (N, S, S, 1) in 0..255 to the probability (N, 1), with the layers
        `evidence` (N, S / 16, S / 16, 1), `logit` and `probability`.
    """
    image = layers.Input((size_px, size_px, 1), name="image")
    features = layers.Dropout(DROPOUT, name="dropout")(_neck(*BACKBONES[architecture](image)))
    evidence = layers.Conv2D(
        1,
        1,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(INITIAL_EVIDENCE),
        name="evidence",
    )(features)
    pooled = keras.ops.logsumexp(evidence, axis=(1, 2))
    logit = layers.Dense(
        1,
        kernel_initializer="ones",
        bias_initializer=keras.initializers.Constant(INITIAL_LOGIT),
        name="logit",
    )(pooled)
    probability = layers.Activation("sigmoid", name="probability")(logit)
    model = keras.Model(image, probability, name=architecture)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    return model


def _neck(fine: keras.KerasTensor, coarse: keras.KerasTensor) -> keras.KerasTensor:
    """Join the maps at strides 16 and 32 into features (N, S / 16, S / 16, NECK_CHANNELS).

    Source:
        Lin et al., Feature Pyramid Networks, CVPR 2017, section 3.
    """
    lateral = layers.Conv2D(NECK_CHANNELS, 1, name="lateral")(fine)
    context = layers.Conv2D(NECK_CHANNELS, 1, name="context")(coarse)
    joined = layers.Add(name="joined")([lateral, layers.UpSampling2D(2, name="upsampled")(context)])
    joined = layers.ReLU(name="joined_relu")(joined)
    return layers.Conv2D(NECK_CHANNELS, 3, padding="same", activation="relu", name="features")(joined)


def efficientnet_lite0(image: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Apply EfficientNet-Lite0 without its top; layers are named as in the published PyTorch weights.

    Its three-channel first convolution takes one channel here: for grey pictures, whose three channels
    are equal, summed kernels give the same result. Its last 1 x 1 convolution is left out.

    Args:
        image: (N, S, S, 1), 0..255.

    Returns:
        Features (N, S / 16, S / 16, 112) and (N, S / 32, S / 32, 320).
    """
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scaled")(image)
    x = _conv_norm(x, 32, 3, 2, "_conv_stem", "_bn0")
    index = 0
    fine = x
    for repeats, kernel, stride, expansion, filters in _LITE0_BLOCKS:
        if stride == 2:
            fine = x  # the last map before the grid gets coarser
        for repeat in range(repeats):
            x = _inverted_residual(
                x, kernel, stride if repeat == 0 else 1, expansion, filters, f"_blocks-{index}-"
            )
            index += 1
    return fine, x


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


Maps = tuple[keras.KerasTensor, keras.KerasTensor]

BACKBONES: dict[str, Callable[[keras.KerasTensor], Maps]] = {
    "efficientnet_lite0": efficientnet_lite0,
}
