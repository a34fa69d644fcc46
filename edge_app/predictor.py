"""Bytes to a Prediction: decode, preprocess, judge, explain."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.bundle import Manifest, load_bundle
from edge_app.gradcam import grad_cam, scale_to_peak
from edge_app.images import MAX_PIXELS, decode_image, shrink
from edge_app.inference import Model, ModelPair
from edge_app.preprocess import preprocess, to_picture

FRACTURE = "Fracture Detected"
NORMAL = "Normal"
PICTURE_PX = 1536


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture.

    `probability` of a fracture and `threshold` are in 0..1. `heatmap` is float32 (h, w) in 0..1 over
    the whole picture as displayed, with its peak at 1; all zero when no evidence is positive. `picture`
    is uint8 (H, W) as displayed, at most `PICTURE_PX` on its longer side.
    """

    probability: float
    threshold: float
    heatmap: NDArray[np.float32]
    picture: NDArray[np.uint8]

    @property
    def prediction(self) -> str:
        """`FRACTURE` when the probability reaches the threshold, else `NORMAL`."""
        return FRACTURE if self.probability >= self.threshold else NORMAL

    @property
    def confidence(self) -> float:
        """How probable the stated prediction is, 0..1."""
        return self.probability if self.prediction == FRACTURE else 1.0 - self.probability

    @property
    def has_evidence(self) -> bool:
        """Whether the heat map shows anything."""
        return bool(self.heatmap.any())


class PredictorLike(Protocol):
    """What the app needs of a predictor."""

    @property
    def manifest(self) -> Manifest:
        """What is known about the model."""

    @property
    def device(self) -> str:
        """The device really in use."""

    def predict(self, data: bytes) -> Prediction:
        """Judge one picture."""


class Predictor:
    """A loaded model that answers for one picture at a time; safe to share between threads.

    Args:
        bundle_dir: A model bundle.
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads for the model; 0 takes one for each core.
        max_pixels: The largest picture that is decoded.

    Raises:
        BundleError: the bundle must not be used.
        DeviceError: the device cannot be used.
    """

    def __init__(
        self,
        bundle_dir: str | Path,
        device: str = "auto",
        threads: int = 0,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        bundle = load_bundle(Path(bundle_dir))
        self._model: Model = ModelPair(bundle, device, threads)
        self._manifest = bundle.manifest
        self._max_pixels = max_pixels
        # One picture at a time: the model uses every core anyway, and a large picture takes much memory.
        self._turn = threading.Lock()

    @property
    def manifest(self) -> Manifest:
        """What is known about the model."""
        return self._manifest

    @property
    def device(self) -> str:
        """The device really in use, `cpu` or `cuda`."""
        return self._model.device

    def predict(self, data: bytes) -> Prediction:
        """Judge one picture.

        Args:
            data: The bytes of a JPEG or PNG file.

        Returns:
            The answer.

        Raises:
            ImageError: the bytes give no picture that can be judged.
            ModelError: the model gave no usable answer.
        """
        size_px = self._manifest.size_px
        with self._turn:
            image = decode_image(data, self._max_pixels)
            judgement = self._model.judge(preprocess(image, size_px))
        square_map = grad_cam(judgement.features, judgement.gradient)
        # Scaled again after the cut: the warmest place may lie in the padding around the picture.
        heatmap = scale_to_peak(to_picture(square_map, image.shape[0], image.shape[1], size_px))
        return Prediction(
            probability=judgement.probability,
            threshold=self._manifest.threshold,
            heatmap=heatmap,
            picture=shrink(image, PICTURE_PX),
        )
