"""The features graph in a smaller precision, behind the gate."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata
from tqdm import tqdm

from edge_app.errors import ExportError, ModelError
from edge_app.imaging.preprocess import to_tensor
from edge_app.model.bundle import Graphs
from edge_app.model.inference import ModelPair
from export.graph.convert import to_bytes
from export.proof.gate import LOSSES, Figures, Gate

INT8 = "int8"
_FILE = "features.int8.onnx"
# Sums and joins stay in 32-bit: in 8-bit they made no model that was tried faster.
_QUANTISED = ["Conv", "Relu", "Clip"]

logger = logging.getLogger("export")


@dataclass(frozen=True)
class VariantGraph:
    """A variant as it runs, the file of its features graph, and its figures beside the 32-bit model's."""

    graphs: Graphs
    file: str
    figures: Figures
    reference: Figures


def make_int8(whole: Graphs, calibration: NDArray[np.uint8], gate: Gate) -> VariantGraph | None:
    """Make the variant int8, and keep it if it is as good as the 32-bit model.

    Args:
        whole: The 32-bit model.
        calibration: X-rays of the train side, uint8 (N, S, S).
        gate: Decides.

    Returns:
        The variant, or None and a line that says why it is left out.

    Raises:
        ExportError: the variant is no valid ONNX graph.
    """
    features = to_int8(whole.features, calibration)
    graphs = replace(whole, features=features, variant=INT8, devices=("cpu",))
    try:
        figures = gate.measure(ModelPair(graphs, "cpu"), INT8)
    except ModelError as error:
        logger.warning("%s is left out: %s", INT8, error)
        return None
    comparison = f"{INT8}: {figures}; {whole.variant}: {gate.reference}"
    if not gate.admits(figures):
        losses = ", ".join(f"{name} {loss:g}" for name, loss in LOSSES.items())
        logger.warning("%s. It is left out: the most that it may lose is %s.", comparison, losses)
        return None
    logger.info("%s.", comparison)
    return VariantGraph(graphs, _FILE, figures, gate.reference)


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
            path = Path(folder) / _FILE
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
