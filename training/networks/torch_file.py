"""PyTorch's weights files before version 1.6, read without executing their pickles."""

from __future__ import annotations

import io
import pickletools
import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import WeightsError

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch LongStorage": np.dtype("<i8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"}
_IGNORED = {"PROTO", "STOP"}
_BROKEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, struct.error)


class _Global(NamedTuple):
    """The name of a class or function, never looked up."""

    name: str


class _Storage(NamedTuple):
    """Where a tensor's numbers stand: the arguments of a persistent id."""

    tag: str
    kind: _Global
    key: str
    location: str
    size: int
    view: None


class _Tensor(NamedTuple):
    """The arguments of `torch._utils._rebuild_tensor_v2`."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool
    hooks: dict[str, Any]


def read_state_dict(data: bytes) -> dict[str, NDArray[Any]]:
    """Read a state dict.

    The pickles' opcodes are walked, and only those are understood that describe named tensors.
    Anything else, such as the call of another function, is refused.

    Args:
        data: The file's bytes.

    Returns:
        Each tensor by its name, float32 or int64.

    Raises:
        WeightsError: the file is broken or holds anything but named tensors.
    """
    file = io.BytesIO(data)
    try:
        magic, _, _, tensors, keys = (_walk(file) for _ in range(5))
        if magic != _MAGIC:
            raise WeightsError("This is not a PyTorch weights file in the format before 1.6.")
        dtypes: dict[str, np.dtype[Any]] = {
            t.storage.key: _DTYPES[t.storage.kind.name] for t in tensors.values()
        }
        storages = {key: _read_storage(file, dtypes[key]) for key in keys}
        return {name: _build(tensor, storages) for name, tensor in tensors.items()}
    except _BROKEN as error:
        raise WeightsError(f"The PyTorch weights file is broken: {error}.") from error


def _read_storage(file: io.BytesIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Read one storage: its count as int64, then its numbers."""
    (count,) = struct.unpack("<q", file.read(8))
    return np.frombuffer(file.read(count * dtype.itemsize), dtype, count)


def _build(tensor: _Tensor, storages: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Lay a tensor over its storage; numpy refuses one that reaches beyond."""
    numbers = storages[tensor.storage.key]
    step = numbers.itemsize
    strides = [stride * step for stride in tensor.strides]
    return np.ndarray(tensor.shape, numbers.dtype, numbers.data, tensor.offset * step, strides)


def _walk(file: io.BytesIO) -> Any:
    """Follow one pickle's opcodes and return the value that it describes."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    argument: Any
    for opcode, argument, _ in pickletools.genops(file):
        name = opcode.name
        if name in _IGNORED:
            continue
        elif name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "GLOBAL":
            stack.append(_Global(argument))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "EMPTY_TUPLE":
            stack.append(())
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "TUPLE":
            stack.append(tuple(since_mark()))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name == "APPENDS":
            items = since_mark()
            stack[-1].extend(items)
        elif name == "SETITEM":
            key, value = stack.pop(-2), stack.pop()
            stack[-1][key] = value
        elif name == "SETITEMS":
            items = since_mark()
            stack[-1].update(zip(items[::2], items[1::2], strict=True))
        elif name == "BINPERSID":
            stack.append(_Storage(*stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_describe(function, arguments))
        elif name == "BUILD":
            stack.pop()  # an OrderedDict's attributes: version numbers of the layers
        else:
            raise ValueError(f"the opcode {name} has no place in a weights file")
    return stack.pop()


def _describe(function: _Global, arguments: tuple[Any, ...]) -> Any:
    if function.name == "collections OrderedDict" and not arguments:
        return {}
    if function.name == "torch._utils _rebuild_tensor_v2":
        return _Tensor(*arguments)
    raise ValueError(f"it calls {function.name}, which has no place in a weights file")
