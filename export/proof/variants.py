"""Smaller precisions of the features graph, each behind the gate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from onnxruntime.transformers.float16 import convert_float_to_float16
from tqdm import tqdm

from edge_app.errors import ExportError, ModelError
from edge_app.imaging.preprocess import to_tensor
from edge_app.model.golden import CanExplain
from export.graph.convert import to_bytes
from export.proof.gate import AUROC_LOSS, POINTING_LOSS, Figures, Gate

INT8, FLOAT16 = "int8", "float16"
_FILES = {INT8: "features.int8.onnx", FLOAT16: "features.fp16.onnx"}
_DEVICES = {INT8: ("cpu",), FLOAT16: ("cuda",)}
# Sums and joins stay in 32-bit: in 8-bit they made no model that was tried faster.
_QUANTISED = ["Conv", "Relu", "Clip"]

logger = logging.getLogger("export")


@dataclass(frozen=True)
class VariantGraph:
    """A features graph in a smaller precision, and what it reached beside the 32-bit `reference`."""

    file: str
    features: bytes
    devices: tuple[str, ...]
    figures: Figures
    reference: Figures


def make_variants(
    names: Sequence[str],
    features: bytes,
    calibration: NDArray[np.uint8],
    open_model: Callable[[bytes], CanExplain],
    gate: Gate,
) -> dict[str, VariantGraph]:
    """Make smaller variants, and keep those that are as good as the 32-bit model.

    Args:
        names: `INT8`, `FLOAT16`.
        features: The features graph in 32-bit.
        calibration: X-rays of the train side, uint8 (N, S, S).
        open_model: Puts a features graph together with the classifier.
        gate: Decides which variant is kept.

    Returns:
        The variants that are kept, by name.

    Raises:
        ExportError: a variant is no valid ONNX graph.
    """
    makers: Mapping[str, Callable[[], bytes]] = {
        INT8: lambda: to_int8(features, calibration),
        FLOAT16: lambda: to_float16(features),
    }
    kept = {}
    for name in names:
        graph = makers[name]()
        figures = _admitted(name, partial(open_model, graph), gate)
        if figures:
            kept[name] = VariantGraph(_FILES[name], graph, _DEVICES[name], figures, gate.reference)
    return kept


def to_int8(features: bytes, calibration: NDArray[np.uint8]) -> bytes:
    """Quantise the convolutions: weights by channel, activations by the range that X-rays give them.

    Args:
        features: The features graph in 32-bit.
        calibration: X-rays, uint8 (N, S, S).

    Returns:
        A graph in standard QDQ form: unsigned 8-bit activations, signed weights in 7 of 8 bits.

    Raises:
        ExportError: the result is no valid ONNX graph, or the disk has no room for temporary files.
    """
    model = onnx.load_model_from_string(features)
    add_pre_process_metadata(model)  # it is simplified already; else the tool warns that it may not be
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / _FILES[INT8]
            quantize_static(
                model,
                path,
                _Calibration(model.graph.input[0].name, calibration),
                op_types_to_quantize=_QUANTISED,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                # Processors without VNNI add two products in 16 bits: 8-bit weights would overflow there.
                reduce_range=True,
            )
            return to_bytes(onnx.load(path))
    except OSError as error:
        raise ExportError(
            f"The temporary files of {INT8} could not be written: {error.strerror}. Make room, or name "
            "another folder with TMPDIR."
        ) from error


def to_float16(features: bytes) -> bytes:
    """Halve the precision of weights and activations; the image and the features stay 32-bit.

    Args:
        features: The features graph in 32-bit.

    Returns:
        The graph.

    Raises:
        ExportError: the result is no valid ONNX graph.
    """
    model = ONNXModel(convert_float_to_float16(onnx.load_model_from_string(features), keep_io_types=True))
    model.topological_sort()  # the converter puts its casts at the end
    return to_bytes(model.model)


class _Calibration(CalibrationDataReader):
    """Hands out X-rays one by one."""

    def __init__(self, name: str, squares: NDArray[np.uint8]) -> None:
        self._tensors = self._read(name, squares)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next X-ray by the input's name, or None after the last."""
        return next(self._tensors, None)

    @staticmethod
    def _read(name: str, squares: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.float32]]]:
        for square in tqdm(squares, "calibrate int8", unit="image", leave=False, disable=None):
            yield {name: to_tensor(square[np.newaxis])}


def _admitted(name: str, open_variant: Callable[[], CanExplain], gate: Gate) -> Figures | None:
    """Return a variant's figures, or None and a line that says why it is left out."""
    try:
        figures = gate.measure(open_variant(), name)
    except ModelError as error:
        logger.warning("%s is left out: %s", name, error)
        return None
    comparison = f"{name}: {figures}; float32: {gate.reference}"
    if not gate.admits(figures):
        logger.warning(
            "%s. It is left out: AUROC may fall by %g, the pointing game by %g.",
            comparison,
            AUROC_LOSS,
            POINTING_LOSS,
        )
        return None
    logger.info("%s.", comparison)
    return figures
