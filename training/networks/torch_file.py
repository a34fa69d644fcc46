"""PyTorch's weights files before version 1.6, read without executing their pickles."""

from __future__ import annotations

import io
import pickle  # nosec B403 # only its reader is used, and that knows four names
import struct
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import WeightsError

_MAGIC = 0x1950A86A20F9469CFC6C
_BROKEN = (
    *(pickle.UnpicklingError, EOFError, struct.error, MemoryError, RecursionError),
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError),
)


class _Tensor(NamedTuple):
    """The arguments of `torch._utils._rebuild_tensor_v2`; a storage is its key and its numbers' type."""

    storage: tuple[str, str]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool
    hooks: dict[str, Any]


_PLACES = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
}


class _Unpickler(pickle._Unpickler):  # the one in C takes memory for whatever place a file names
    """Knows what describes named tensors; nothing else is looked up."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PLACES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which has no place in a weights file")
        return _PLACES[module, name]

    def persistent_load(self, pid: tuple[Any, ...]) -> tuple[str, str]:
        _, numbers_type, key, _, _, _ = pid
        return key, numbers_type


def read_state_dict(data: bytes) -> dict[str, NDArray[Any]]:
    """Read a state dict.

    Args:
        data: The file's bytes.

    Returns:
        Each tensor by its name, float32 or int64.

    Raises:
        WeightsError: the file is broken or holds anything but named tensors.
    """
    file = io.BytesIO(data)
    try:
        magic, _, _, tensors, keys = (_Unpickler(file).load() for _ in range(5))
        if magic != _MAGIC:
            raise WeightsError("This is not a PyTorch weights file in the format before 1.6.")
        types = dict(tensor.storage for tensor in tensors.values())
        storages = {key: _read_storage(file, np.dtype(types[key])) for key in keys}
        return {name: _build(tensor, storages) for name, tensor in tensors.items()}
    except _BROKEN as error:
        raise WeightsError(f"The PyTorch weights file is broken: {error}.") from error


def _read_storage(file: io.BytesIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Read one storage: its count as int64, then its numbers."""
    (count,) = struct.unpack("<q", file.read(8))
    return np.frombuffer(file.read(count * dtype.itemsize), dtype, count)


def _build(tensor: _Tensor, storages: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Lay a tensor over its storage; numpy refuses one that reaches beyond."""
    numbers = storages[tensor.storage[0]]
    step = numbers.itemsize
    strides = [stride * step for stride in tensor.strides]
    return np.ndarray(tensor.shape, numbers.dtype, numbers.data, tensor.offset * step, strides)
