"""Network architectures: flat functional graphs from a grey square to the probability of a fracture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import layers

NECK_CHANNELS = 128
# What stands after the backbone and has weights.
HEAD = frozenset({"lateral", "context", "features", "evidence", "logit"})
# Cells rarely lie on a fracture: without a start near their frequency the first steps only learn that.
INITIAL_EVIDENCE = -5.0
INITIAL_LOGIT = 3.4
# The statistics must settle within a few hundred batches; the backbones' own 0.99 and 0.999 do not.
NORM_MOMENTUM = 0.9
_CUSTOM_FILTERS = (32, 64, 128, 256)
# Cells whose mean is the whole picture's evidence: a fracture covers a few.
STRONGEST_CELLS = 8
# (kernel, stride, expansion) of the seven stages of every EfficientNet-Lite.
# Source: Tan & Le, EfficientNet, ICML 2019, table 1; the Lite variants drop squeeze-and-excitation
# and use ReLU6.
_LITE_STAGES = ((3, 1, 1), (3, 2, 6), (5, 2, 6), (3, 2, 6), (5, 1, 6), (5, 2, 6), (3, 1, 6))


def build_model(architecture: str, size_px: int, dropout: float = 0.2) -> keras.Model:
    """Build a classifier with random weights.

    A 1 x 1 convolution turns each cell of a feature map into evidence for a fracture there. The mean of
    the strongest cells, scaled and shifted, is the logit of the whole picture: a small fracture is
    enough, and a single noisy cell is not.

    The evidence starts as a constant, so that the first gradients reach the head only and leave a
    pretrained backbone in peace. Batch normalisation takes its statistics over all replicas of a
    training. Under a mixed policy the input's scaling and all from the evidence on stay in float32.

    Args:
        architecture: A key of `BACKBONES`.
        size_px: The input side S in pixels, a multiple of 32.
        dropout: The share of feature channels that a training step leaves out, 0..1.

    Returns:
        A model from float32 (N, S, S, 1) in 0..255 to the probability (N, 1), with the layers
        `features` (N, S / 16, S / 16, NECK_CHANNELS), `evidence` (N, S / 16, S / 16, 1), `logit` and
        `probability`.
    """
    image = layers.Input((size_px, size_px, 1), name="image")
    features = layers.SpatialDropout2D(dropout, name="dropout")(_neck(*BACKBONES[architecture](image)))
    evidence = layers.Conv2D(
        1,
        1,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(INITIAL_EVIDENCE),
        dtype="float32",
        name="evidence",
    )(features)
    pooled = keras.ops.mean(_strongest(evidence), axis=-1, keepdims=True)
    logit = layers.Dense(
        1,
        kernel_initializer="ones",
        bias_initializer=keras.initializers.Constant(INITIAL_LOGIT),
        dtype="float32",
        name="logit",
    )(pooled)
    probability = layers.Activation("sigmoid", dtype="float32", name="probability")(logit)
    model = keras.Model(image, probability, name=architecture)
    for layer in _norms(model):
        layer.synchronized = True
        layer.momentum = NORM_MOMENTUM
    return model


def _strongest(evidence: keras.KerasTensor) -> keras.KerasTensor:
    """Keep the values of the strongest cells of an evidence map, (N, STRONGEST_CELLS) or all of fewer."""
    _, rows, columns, _ = evidence.shape
    cells = layers.Reshape((rows * columns,), dtype="float32", name="cells")(evidence)
    return keras.ops.top_k(cells, min(STRONGEST_CELLS, rows * columns))[0]


def freeze_batch_norm(model: keras.Model) -> None:
    """Keep pretrained statistics: batches of a fine-tuning are too small and too alike for better ones."""
    for layer in _norms(model):
        layer.trainable = False


def _norms(model: keras.Model) -> list[layers.BatchNormalization]:
    return [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


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


def custom(image: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Apply four convolution blocks, simple enough to be trained from random weights.

    The dense head of such a network is applied to each cell: as 1 x 1 convolutions, `lateral` and
    `context` are its hidden layer and `evidence` is its output. So one map serves both the answer and
    the place.

    Args:
        image: (N, S, S, 1), 0..255.

    Returns:
        Features (N, S / 16, S / 16, 256) and their maxima (N, S / 32, S / 32, 256).
    """
    x = layers.Rescaling(1 / 128, offset=-127 / 128, dtype="float32", name="scaled")(image)
    for block, filters in enumerate(_CUSTOM_FILTERS, start=1):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"block{block}_conv")(x)
        x = layers.BatchNormalization(name=f"block{block}_bn")(x)
        x = layers.ReLU(name=f"block{block}_relu")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return x, layers.MaxPooling2D(name="surroundings")(x)


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications` as a backbone, with the scaling that its weights expect.

    Each channel is the grey value times `scale` plus `offset`, before the network pads with zeros.
    `fine` and `coarse` name the layers with the last maps at strides 16 and 32.
    """

    network: Callable[..., keras.Model]
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    fine: str
    coarse: str

    def __call__(self, image: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Apply the network without its top.

        Args:
            image: (N, S, S, 1), 0..255.

        Returns:
            Features (N, S / 16, S / 16, C) and (N, S / 32, S / 32, D).
        """
        colour = layers.Concatenate(dtype="float32", name="colour")([image] * 3)
        scaled = layers.Rescaling(list(self.scale), list(self.offset), dtype="float32", name="scaled")(
            colour
        )
        network = self.network(include_top=False, weights=None, input_tensor=scaled)
        return network.get_layer(self.fine).output, network.get_layer(self.coarse).output


@dataclass(frozen=True)
class EfficientNetLite:
    """An EfficientNet-Lite as a backbone; layers are named as in the published PyTorch weights.

    Its three-channel first convolution takes one channel here: for grey pictures, whose three channels
    are equal, summed kernels give the same result. Its last 1 x 1 convolution is left out.

    `repeats` and `filters` tell the blocks and the channels of each of the seven stages.
    """

    repeats: tuple[int, ...]
    filters: tuple[int, ...]

    def __call__(self, image: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Apply the network without its top.

        Args:
            image: (N, S, S, 1), 0..255.

        Returns:
            Features (N, S / 16, S / 16, C) and (N, S / 32, S / 32, D).
        """
        x = layers.Rescaling(1 / 128, offset=-127 / 128, dtype="float32", name="scaled")(image)
        x = _conv_norm(x, 32, 3, 2, "_conv_stem", "_bn0")
        fine, index = x, 0
        for stage, repeats, filters in zip(_LITE_STAGES, self.repeats, self.filters, strict=True):
            kernel, stride, expansion = stage
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


# The three scalings of `keras.applications`, each for red, green and blue in the weights' own order.
# Source: its imagenet_utils.preprocess_input, modes "caffe", "torch" and "tf".
_CAFFE = (1.0, 1.0, 1.0), (-103.939, -116.779, -123.68)
_TORCH = (1 / 58.395, 1 / 57.12, 1 / 57.375), (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225)
_TF = (1 / 127.5, 1 / 127.5, 1 / 127.5), (-1.0, -1.0, -1.0)

BACKBONES: dict[str, Callable[[keras.KerasTensor], tuple[keras.KerasTensor, keras.KerasTensor]]] = {
    "custom": custom,
    "vgg16": Application(keras.applications.VGG16, *_CAFFE, "block5_conv3", "block5_pool"),
    "resnet50": Application(keras.applications.ResNet50, *_CAFFE, "conv4_block6_out", "conv5_block3_out"),
    "densenet121": Application(keras.applications.DenseNet121, *_TORCH, "pool4_relu", "relu"),
    "mobilenetv2": Application(keras.applications.MobileNetV2, *_TF, "block_13_expand_relu", "out_relu"),
    "efficientnet_lite0": EfficientNetLite((1, 2, 2, 3, 3, 4, 1), (16, 24, 40, 80, 112, 192, 320)),
    "efficientnet_lite1": EfficientNetLite((1, 3, 3, 4, 4, 5, 1), (16, 24, 40, 80, 112, 192, 320)),
    "efficientnet_lite2": EfficientNetLite((1, 3, 3, 4, 4, 5, 1), (16, 24, 48, 88, 120, 208, 352)),
}
