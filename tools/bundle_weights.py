"""A bundle's numbers as start weights of a training: `python -m tools.bundle_weights BUNDLE OUT.keras`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
from keras import layers
from numpy.typing import NDArray
from onnx import numpy_helper

from edge_app.errors import ExportError
from edge_app.model.bundle import load_bundle
from training.networks.architectures import NECK_CHANNELS, build_model
from training.networks.weights import load_weights

# The export folded the scaling of grey values, 1 / 128, into the first convolution.
GREY_SCALE = 128.0

logger = logging.getLogger(__name__)


def read_bundle(bundle_dir: Path, architecture: str) -> keras.Model:
    """Fill an EfficientNet-Lite with the kernels of a bundle that was trained from its ImageNet weights.

    The export folded batch normalisation into the kernels. It kept its published statistics in training, so
    these tell how to unfold it. The last layer keeps its fresh start.

    Args:
        bundle_dir: The bundle.
        architecture: "efficientnet_lite0", "efficientnet_lite1" or "efficientnet_lite2".

    Returns:
        The model, at the bundle's input size.

    Raises:
        BundleError: the bundle is not whole.
        ExportError: it holds another network.
        WeightsError: the ImageNet weights are not installed.
    """
    bundle = load_bundle(bundle_dir)
    model = build_model(architecture, bundle.manifest.input.size_px)
    load_weights(model, architecture, "imagenet")
    backbone = [
        layer
        for layer in model.layers
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D) and layer.name.startswith("_")
    ]
    neck = [model.get_layer(name) for name in ("context", "lateral", "features")]
    folded = _convolutions(bundle.graphs.features)
    if len(folded) != len(backbone) + len(neck):
        raise ExportError(f"{bundle_dir} does not hold {architecture}: it has {len(folded)} convolutions.")
    for layer, (kernel, bias) in zip([*backbone, *neck], folded, strict=True):
        layer.set_weights(
            [_unfolded(kernel, layer)] if layer in backbone else [_in_order(kernel, layer), bias]
        )
    model.get_layer("evidence").set_weights(_evidence(bundle.graphs.classifier))
    return model


def _convolutions(graph: bytes) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return kernel and bias of each convolution, in their order."""
    model = onnx.load_from_string(graph).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.initializer}
    return [(stored[n.input[1]], stored[n.input[2]]) for n in model.node if n.op_type == "Conv"]


def _in_order(kernel: NDArray[np.float32], layer: layers.Layer) -> NDArray[np.float32]:
    """Bring an ONNX kernel's axes into the order of Keras."""
    return kernel.transpose((2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0))


def _unfolded(kernel: NDArray[np.float32], layer: layers.Layer) -> NDArray[np.float32]:
    norm = layer.output._keras_history.operation._outbound_nodes[0].operation
    scale = np.asarray(norm.gamma) / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    if isinstance(layer, layers.DepthwiseConv2D):
        scale = scale[:, np.newaxis]
    elif layer.name == "_conv_stem":
        scale = scale / GREY_SCALE
    return _in_order(kernel, layer) / scale


def _evidence(graph: bytes) -> list[NDArray[np.float32]]:
    """Return the kernel and the bias of the layer `evidence`, the first two numbers that the head uses."""
    tensors = [numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(graph).graph.initializer]
    kernel = next(tensor for tensor in tensors if tensor.shape == (NECK_CHANNELS, 1))
    bias = next(tensor for tensor in tensors if tensor.shape == (1,) and tensor.dtype == np.float32)
    return [kernel.reshape(1, 1, NECK_CHANNELS, 1), bias]


def main(arguments: list[str]) -> int:
    """Write the weights file that `python -m training.train --weights` takes."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    bundle_dir, out = map(Path, arguments)
    read_bundle(bundle_dir, "efficientnet_lite0").save(out)
    logger.info("The weights are in %s.", out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
