"""The only import of onnxruntime: devices, threads, and a pair of graphs that explains a tensor."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import sys
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge_app.errors import BundleError, DeviceError, EdgeError, ModelError
from edge_app.model.bundle import Graphs
from edge_app.model.gradcam import METHODS
from edge_app.model.graph import require_standard
from edge_app.model.room import bounded_memory

RUNTIME_VERSION: str = ort.__version__

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
# The default exhaustive search for convolution algorithms makes the first run take seconds.
_CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC"}
_CUDA_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
# The processor is shared with decoding and serving. Threads may spin between the steps of one run, which is
# faster, but not for long, and not after it: that would burn an idle PC's processor and slow down the other
# session. Work in small blocks waits less for a thread that was interrupted.
_SHARING = {
    "session.force_spinning_stop": "1",
    "session.intra_op.spin_duration_us": "100",
    "session.dynamic_block_base": "4",
}
_FATAL_ONLY = 4  # what is wrong comes as an exception, too
_MAX_REASON_CHARACTERS = 300
_NO_CUDA = (
    "ONNX Runtime could not run the model on CUDA. Install a current NVIDIA driver, CUDA and cuDNN, or "
    "start with --device cpu."
)

logger = logging.getLogger(__name__)


class Explanation(NamedTuple):
    """What a model says of one picture about the finding, and where the evidence lies.

    `logit` is any number, `probability` 0..1. `heatmap` is float32 (h, w) in 0..1 over the model's square,
    with its peak at 1; all zero when no evidence is positive. It is made of `features` and `gradient`
    (d logit / d features), both float32 (h, w, C). `averages` are what the input gate looks at: float32
    (C,) at each depth; none where the bundle has no gate.
    """

    logit: float
    probability: float
    heatmap: NDArray[np.float32]
    features: NDArray[np.float32]
    gradient: NDArray[np.float32]
    averages: tuple[NDArray[np.float32], ...] = ()


class ModelPair:
    """A features graph and a classifier graph in ONNX Runtime: a tensor in, its explanation out.

    Args:
        graphs: The two graphs, and what they are asked.
        device: `cpu`, `cuda`, or `auto` for CUDA where it works and the CPU elsewhere.
        threads: CPU threads for the features; 0 takes one for each core.

    Raises:
        BundleError: the graphs cannot be loaded or do not have the tensors they should.
        DeviceError: the variant is not for the device, or CUDA does not work and the CPU is not an
            alternative.
        ModelError: the graphs give no number.
    """

    def __init__(self, graphs: Graphs, device: str = "auto", threads: int = 0) -> None:
        self._tensors, self._finding_index = graphs.tensors, graphs.finding_index
        self._averages = graphs.averages
        self._method = METHODS[graphs.method]
        *others, last = _devices_for(graphs, device)
        for better in others:
            try:
                self._start(graphs, better, threads)
            except DeviceError as error:
                logger.warning("%s Going on with the CPU.", error)
            else:
                return
        try:
            self._start(graphs, last, threads)
        except DeviceError:
            self._start(graphs, "cpu", threads)  # a broken graph is an error of its own, not CUDA's
            raise

    @property
    def device(self) -> str:
        """The device really in use, `cpu` or `cuda`."""
        return self._device

    def explain(self, tensor: NDArray[np.float32]) -> Explanation:
        """Run the features once, then the head with its gradient, and make the heat map of both.

        Args:
            tensor: float32 (1, S, S, 1), 0..255.

        Returns:
            The explanation.

        Raises:
            ModelError: a result is not a finite number.
        """
        names, index = self._tensors, self._finding_index
        features, *averages = self._features.run([names.features, *self._averages], {names.image: tensor})
        outputs = [names.logit, names.probability, names.gradient]
        logit, probability, gradients = self._classifier.run(outputs, {names.features: features})
        # Of several classes each has its own gradient.
        gradient = gradients[0, index] if gradients.ndim > features.ndim else gradients[0]
        if not all(np.isfinite(values).all() for values in (features, logit, probability, gradient)):
            raise ModelError("The model gave no number for this picture, so nothing was predicted.")
        heatmap = self._method(features[0], gradient)
        return Explanation(
            float(logit[0, index]),
            float(probability[0, index]),
            heatmap,
            features[0],
            gradient,
            tuple(average[0] for average in averages),
        )

    def _start(self, graphs: Graphs, device: str, threads: int) -> None:
        """Open both sessions and explain one black picture, which proves names and shapes, and warms up."""
        cuda, black = device == "cuda", np.zeros((1, graphs.size_px, graphs.size_px, 1), np.float32)
        try:
            with bounded_memory():
                self._features = open_session(graphs.features, cuda, threads)
                # The head is tiny; a second pool of threads would only fight the first one's.
                self._classifier = open_session(graphs.classifier, cuda, 1)
                explanation = self.explain(black)
        except Exception as error:  # onnxruntime's errors share no base class
            if cuda:
                raise DeviceError(_NO_CUDA) from error
            if isinstance(error, EdgeError):
                raise
            raise BundleError(
                f"The model's graphs do not run: {_reason(error)}. Install the model bundle again."
            ) from error
        _require_shapes(explanation, graphs.grid)
        sessions = (self._features, self._classifier)
        if cuda and any(session.get_providers()[0] != _CUDA for session in sessions):
            raise DeviceError(_NO_CUDA)
        self._device = device


def devices_to_try(device: str) -> list[str]:
    """Tell on which devices a model may start.

    Args:
        device: `cpu`, `cuda` or `auto`.

    Returns:
        The devices, the preferred one first; CUDA for `auto` only where its driver is.
    """
    if device == "cpu":
        return ["cpu"]
    has_driver = _has_cuda_driver()
    if device == "cuda":
        return ["cuda"]
    return ["cuda", "cpu"] if has_driver else ["cpu"]


def open_session(graph: bytes, cuda: bool = False, threads: int = 0) -> ort.InferenceSession:
    """Open a graph that is held in memory, of ONNX's own operators only and with no data in other files.

    Args:
        graph: A single-file ONNX model.
        cuda: Whether to try CUDA before the CPU.
        threads: CPU threads; 0 takes one for each core.

    Returns:
        The session; ask `get_providers()` what it really runs on.

    Raises:
        BundleError: the graph is not such a one, or ONNX Runtime refuses it.
    """
    require_standard(graph)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _FATAL_ONLY
    # A plan of a run's memory, made for each shape, holds 8 MB more and makes nothing faster.
    options.enable_mem_pattern = False
    ort.set_default_logger_severity(_FATAL_ONLY)
    for name, value in _SHARING.items():
        options.add_session_config_entry(name, value)
    providers = [(_CUDA, _CUDA_OPTIONS), _CPU] if cuda else [_CPU]
    try:
        session = ort.InferenceSession(graph, options, providers=providers)
    except Exception as error:  # onnxruntime's errors share no base class
        raise BundleError(
            f"ONNX Runtime cannot load the model: {_reason(error)}. Install the model bundle again."
        ) from error
    session.disable_fallback()  # else a failing GPU would be replaced by the CPU without a word
    return session


def _reason(error: Exception) -> str:
    """Return in one line what ONNX Runtime tells in several; the end of a long one says what is wrong."""
    reason = " ".join(str(error).split()).rstrip(".")
    return reason if len(reason) <= _MAX_REASON_CHARACTERS else f"...{reason[-_MAX_REASON_CHARACTERS:]}"


def _devices_for(graphs: Graphs, device: str) -> list[str]:
    devices = [each for each in devices_to_try(device) if each in graphs.devices]
    if not devices:
        raise DeviceError(
            f"The model's variant {graphs.variant} is for {' and '.join(graphs.devices)}, not for "
            f"{device}. Measure again which one to run: python -m edge_app.choose"
        )
    return devices


def _require_shapes(explanation: Explanation, grid: tuple[int, int]) -> None:
    features, gradient = explanation.features.shape, explanation.gradient.shape
    if features != gradient or features[:-1] != grid:
        raise BundleError(
            f"The features {features} and the gradient {gradient} should be shaped alike, over the "
            f"manifest's grid {grid}. Install the model bundle again."
        )


def _has_cuda_driver() -> bool:
    if _CUDA not in ort.get_available_providers():
        return False
    try:
        ctypes.CDLL(_CUDA_DRIVER)
    except OSError:
        return False
    _preload_cuda()
    return True


def _preload_cuda() -> None:
    """Find CUDA and cuDNN where pip installed them; what ONNX Runtime prints of it is for debugging."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        ort.preload_dlls(directory="")
    for line in printed.getvalue().splitlines():
        logger.debug("%s", line)
