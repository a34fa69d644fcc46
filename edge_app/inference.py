"""The only import of onnxruntime: devices, threads, and running a model pair."""

from __future__ import annotations

import ctypes
import logging
import sys
from typing import NamedTuple, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edge_app.bundle import Bundle
from edge_app.errors import BundleError, DeviceError, EdgeError, ModelError

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
# The default exhaustive search for convolution algorithms makes the first run take seconds.
_CUDA_OPTIONS = {"cudnn_conv_algo_search": "HEURISTIC"}
_CUDA_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_ERRORS_ONLY = 3
_NO_CUDA = (
    "ONNX Runtime could not run the model on CUDA. Install a current NVIDIA driver, CUDA and cuDNN, or "
    "start with --device cpu."
)
# Where tensors outside the graph would be looked for; nothing is there.
_NO_FOLDER = "no-external-data"

logger = logging.getLogger(__name__)


class Judgement(NamedTuple):
    """What the model says of one picture.

    `logit` is any number, `probability` 0..1; `features` and `gradient` (d logit / d features) are
    float32 (h, w, C).
    """

    logit: float
    probability: float
    features: NDArray[np.float32]
    gradient: NDArray[np.float32]


class Model(Protocol):
    """Anything that judges a tensor."""

    @property
    def device(self) -> str:
        """The device really in use, `cpu` or `cuda`."""

    def judge(self, tensor: NDArray[np.float32]) -> Judgement:
        """Judge one picture given as float32 (1, S, S, 1), 0..255."""


class ModelPair:
    """features.onnx and classifier.onnx in ONNX Runtime.

    Args:
        bundle: A verified bundle.
        device: `cpu`, `cuda`, or `auto` for CUDA where it works and the CPU elsewhere.
        threads: CPU threads for the features; 0 takes one for each core.

    Raises:
        BundleError: the graphs cannot be loaded or do not have the tensors they should.
        DeviceError: `cuda` was asked for and does not work.
    """

    def __init__(self, bundle: Bundle, device: str = "auto", threads: int = 0) -> None:
        self._size_px = bundle.manifest.size_px
        if device != "cpu" and (_has_cuda_driver() or device == "cuda"):
            try:
                self._start(bundle, True, threads)
            except DeviceError as error:
                if device == "cuda":
                    raise
                logger.warning("%s Going on with the CPU.", error)
            else:
                return
        self._start(bundle, False, threads)

    @property
    def device(self) -> str:
        """The device really in use, `cpu` or `cuda`."""
        return self._device

    def judge(self, tensor: NDArray[np.float32]) -> Judgement:
        """Run the features once, then the head with its gradient.

        Args:
            tensor: float32 (1, S, S, 1), 0..255.

        Returns:
            What the model says.

        Raises:
            ModelError: a result is not a finite number.
        """
        (features,) = self._features.run(["features"], {"image": tensor})
        logit, probability, gradient = self._classifier.run(
            ["logit", "probability", "gradient"], {"features": features}
        )
        if not all(np.isfinite(tensor).all() for tensor in (logit, probability, gradient)):
            raise ModelError("The model gave no number for this picture, so nothing was judged.")
        return Judgement(float(logit[0, 0]), float(probability[0, 0]), features[0], gradient[0])

    def _start(self, bundle: Bundle, cuda: bool, threads: int) -> None:
        """Open both sessions and judge one black picture, which proves names and shapes, and warms up."""
        try:
            self._features = open_session(bundle.features, cuda, threads)
            # The head is tiny; a second pool of threads would only fight the first one's.
            self._classifier = open_session(bundle.classifier, cuda, 1)
            judgement = self.judge(np.zeros((1, self._size_px, self._size_px, 1), np.float32))
        except Exception as error:  # onnxruntime's errors share no base class
            if cuda:
                raise DeviceError(_NO_CUDA) from error
            if isinstance(error, EdgeError):
                raise
            raise BundleError(
                f"The model's graphs do not run: {error}. Install the model bundle again."
            ) from error
        if judgement.features.ndim != 3 or judgement.features.shape != judgement.gradient.shape:
            raise BundleError(
                f"The gradient {judgement.gradient.shape} is not shaped like the features "
                f"{judgement.features.shape}. Install the model bundle again."
            )
        sessions = (self._features, self._classifier)
        if cuda and any(session.get_providers()[0] != _CUDA for session in sessions):
            raise DeviceError(_NO_CUDA)
        self._device = "cuda" if cuda else "cpu"


def open_session(graph: bytes, cuda: bool = False, threads: int = 0) -> ort.InferenceSession:
    """Open a graph that is held in memory; tensors in other files are refused.

    Args:
        graph: A single-file ONNX model.
        cuda: Whether to try CUDA before the CPU.
        threads: CPU threads; 0 takes one for each core.

    Returns:
        The session; ask `get_providers()` what it really runs on.

    Raises:
        BundleError: ONNX Runtime refuses the graph.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS_ONLY
    # Spinning threads burn an idle PC's processor and slow the other session down.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_FOLDER)
    providers = [(_CUDA, _CUDA_OPTIONS), _CPU] if cuda else [_CPU]
    try:
        session = ort.InferenceSession(graph, options, providers=providers)
    except Exception as error:  # onnxruntime's errors share no base class
        raise BundleError(
            f"ONNX Runtime cannot load the model: {error}. Install the model bundle again."
        ) from error
    session.disable_fallback()  # else a failing GPU would be replaced by the CPU without a word
    return session


def _has_cuda_driver() -> bool:
    if _CUDA not in ort.get_available_providers():
        return False
    try:
        ctypes.CDLL(_CUDA_DRIVER)
    except OSError:
        return False
    # Finds CUDA and cuDNN where pip installed them.
    ort.preload_dlls(directory="")
    return True
