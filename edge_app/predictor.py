"""Bytes to a Prediction: decode, preprocess, explain."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import BundleError, NotAnXray
from edge_app.imaging.decode import Decoder, decode
from edge_app.imaging.images import shrink_to_show
from edge_app.imaging.picture import DicomHeader
from edge_app.imaging.preprocess import is_over_picture, place, preprocess, to_picture
from edge_app.model.bundle import Bundle
from edge_app.model.choice import start_chosen
from edge_app.model.fallback import FallbackModel
from edge_app.model.golden import replay
from edge_app.model.gradcam import scale_to_peak
from edge_app.model.inference import Explanation, ModelPair
from edge_app.model.manifest import Manifest
from edge_app.model.quality import BLANK, DOCUMENT, PHOTOGRAPH, Quality

FINDING = "fracture"
FRACTURE = "Fracture Detected"
NORMAL = "Normal"
PICTURE_PX = 1536
_WHAT_IT_IS = {
    BLANK: "shows nothing",
    DOCUMENT: "looks like a document or a screen",
    PHOTOGRAPH: "looks like a photograph",
}


@dataclass(frozen=True)
class Answer:
    """What is said of a picture or of a study: `probability` of a fracture and `threshold`, in 0..1.

    `rule_out` is the probability below which an answer is not uncertain; None where it is not known.
    """

    probability: float
    threshold: float
    rule_out: float | None = field(default=None, kw_only=True)

    @property
    def prediction(self) -> str:
        """`FRACTURE` when the probability reaches the threshold, else `NORMAL`."""
        return FRACTURE if self.probability >= self.threshold else NORMAL

    @property
    def is_uncertain(self) -> bool:
        """Whether the answer is `NORMAL`, but too near to a fracture to rule one out: have it read."""
        return self.rule_out is not None and self.rule_out <= self.probability < self.threshold

    @property
    def confidence(self) -> float:
        """How probable the stated prediction is, 0..1."""
        return self.probability if self.prediction == FRACTURE else 1.0 - self.probability


@dataclass(frozen=True)
class Prediction(Answer):
    """The answer for one picture, and what it was found in.

    `cells` is float32 (h, w) in 0..1, the heat map over the model's square, whose side is `square_px`.
    `picture` is uint8 (H, W) as displayed, at most `PICTURE_PX` on its longer side; `size_px` is the height
    and width of the picture that came. `header` is what a DICOM file said about it. `quality` tells whether
    the model was made for such a picture; None where the bundle has no input gate.
    """

    cells: NDArray[np.float32]
    picture: NDArray[np.uint8]
    size_px: tuple[int, int]
    square_px: int
    header: DicomHeader | None = None
    quality: Quality | None = None

    @property
    def heatmap(self) -> NDArray[np.float32]:
        """The heat map, float32 (h, w) in 0..1 over the whole picture as displayed.

        Its peak is at 1; it is all zero when no evidence is positive. Made anew each time, as it takes a
        hundred times the memory of its cells.
        """
        # Scaled again after the cut: the warmest place may lie in the padding around the picture.
        return scale_to_peak(to_picture(self.cells, *self.size_px, self.square_px))

    @property
    def has_evidence(self) -> bool:
        """Whether the heat map shows anything; mostly told by its peak, without drawing it."""
        row, column = divmod(int(self.cells.argmax()), self.cells.shape[1])
        placement = place(*self.size_px, self.square_px)
        if is_over_picture(row, column, self.cells.shape, placement, self.square_px):
            return bool(self.cells[row, column] > 0)
        return bool(to_picture(self.cells, *self.size_px, self.square_px).any())

    @property
    def held_bytes(self) -> int:
        """How much memory the picture and its heat map take."""
        return self.picture.nbytes + self.cells.nbytes


class PredictorLike(Protocol):
    """What the app needs of a predictor."""

    @property
    def manifest(self) -> Manifest:
        """What is known about the model."""

    @property
    def device(self) -> str:
        """The device really in use."""

    @property
    def variant(self) -> str:
        """The model's variant that runs."""

    def predict(self, data: bytes) -> Prediction:
        """Predict whether one picture shows the finding."""


class Predictor:
    """A loaded model that predicts for one picture at a time; safe to share between threads.

    Which variant of the model runs was chosen by `python -m edge_app.choose`; without that it is float32.

    Args:
        bundle_dir: A model bundle.
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads for the model; 0 takes one for each core.
        trusted_key: A PEM file with the Ed25519 public key that must have signed the bundle, if any.
        decoder: What turns a file's bytes into a picture.

    Raises:
        BundleError: the bundle must not be used, tells of something else than fractures, or does not give
            the answers to its golden cases.
        DeviceError: the device cannot be used.
    """

    def __init__(
        self,
        bundle_dir: str | Path,
        device: str = "auto",
        threads: int = 0,
        trusted_key: Path | None = None,
        decoder: Decoder = decode,
    ) -> None:
        bundle, model = start_chosen(Path(bundle_dir), device, threads, trusted_key)
        _require_finding(bundle)
        replay(bundle, model)
        self._model = model if model.device == "cpu" else _with_fallback(bundle, model, threads)
        self._manifest = bundle.manifest.with_figures_of(bundle.variant)
        self._variant = bundle.variant
        self._gate = bundle.gate
        self._decode = decoder
        # One picture is decoded at a time, as a large one takes much memory; meanwhile another is
        # explained, also one at a time, as the model uses every core.
        self._decoding = threading.Lock()
        self._explaining = threading.Lock()

    @property
    def manifest(self) -> Manifest:
        """What is known about the model, with the figures of the variant that runs."""
        return self._manifest

    @property
    def device(self) -> str:
        """The device really in use, `cpu` or `cuda`."""
        return self._model.device

    @property
    def variant(self) -> str:
        """The model's variant that runs."""
        return self._variant

    def explain(self, tensor: NDArray[np.float32]) -> Explanation:
        """Explain one picture that is laid out for the model.

        Args:
            tensor: float32 (1, S, S, 1), 0..255.

        Returns:
            The explanation, over the model's square.

        Raises:
            ModelError: the model gave no usable answer.
        """
        with self._explaining:
            return self._model.explain(tensor)

    def predict(self, data: bytes) -> Prediction:
        """Predict whether one picture shows a fracture, and where.

        Args:
            data: The bytes of a picture's file.

        Returns:
            The prediction.

        Raises:
            ImageError: the bytes give no picture.
            NotAnXray: they give one that is certainly no X-ray.
            ModelError: the model gave no usable answer.
        """
        size_px = self._manifest.input.size_px
        with self._decoding:
            decoded = self._decode(data)
            header, is_coloured, (height, width) = decoded.header, decoded.is_coloured, decoded.pixels.shape
            tensor, picture = (
                preprocess(decoded.pixels, size_px),
                shrink_to_show(decoded.pixels, PICTURE_PX),
            )
            del decoded  # a large one must not wait for its turn to be explained
        explanation = self.explain(tensor)
        quality = self._checked(explanation, tensor, (height, width), is_coloured)
        threshold = self._manifest.operating_point.threshold
        rule_out = self._manifest.rule_out
        return Prediction(
            explanation.probability,
            threshold,
            explanation.heatmap,
            picture,
            (height, width),
            size_px,
            header,
            quality,
            rule_out=rule_out.threshold if rule_out else None,
        )

    def _checked(
        self,
        explanation: Explanation,
        tensor: NDArray[np.float32],
        size_px: tuple[int, int],
        is_coloured: bool,
    ) -> Quality | None:
        """Ask the input gate about what the model saw of a picture."""
        if self._gate is None:
            return None
        top, left, rows, columns = place(*size_px, self._manifest.input.size_px)
        seen = tensor[0, top : top + rows, left : left + columns, 0]
        quality = self._gate.judge(explanation.averages, seen, is_coloured)
        if not quality.is_xray:
            what = next(words for code, words in _WHAT_IT_IS.items() if code in quality.reasons)
            raise NotAnXray(
                f"The picture {what}, so no answer is given. Send the X-ray itself, as the X-ray system "
                "exports it."
            )
        return quality


def _require_finding(bundle: Bundle) -> None:
    if bundle.manifest.finding != FINDING:
        raise BundleError(
            f"The model tells of {bundle.manifest.finding}; this app tells of {FINDING}s only. "
            "Install a model for fractures."
        )


def _with_fallback(bundle: Bundle, model: ModelPair, threads: int) -> FallbackModel:
    """Keep the bundle's bytes, so that the CPU takes over with the very model that the GPU ran."""

    def start_on_cpu() -> ModelPair:
        other = ModelPair(bundle.graphs, "cpu", threads)
        replay(bundle, other)
        return other

    return FallbackModel(model, start_on_cpu)
