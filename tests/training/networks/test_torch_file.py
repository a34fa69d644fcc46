from __future__ import annotations

import collections
import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.errors import WeightsError
from training.networks.torch_file import read_state_dict

MAGIC = 0x1950A86A20F9469CFC6C


class Storage:
    """Stands for a torch storage: pickled as a persistent id."""

    def __init__(self, kind: str, key: str, numbers: np.ndarray) -> None:
        self.kind, self.key, self.numbers = kind, key, numbers


class Global:
    """Pickles as the name of something in a module that is not installed."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Tensor:
    def __init__(
        self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())


class Writer(pickle._Pickler):
    """Writes the pickles that PyTorch before 1.6 wrote, without PyTorch."""

    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Storage):
            super().save(("storage", Global("torch", obj.kind), obj.key, "cpu", obj.numbers.size, None))
            self.write(pickle.BINPERSID)
        elif isinstance(obj, Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Tensor):
            self.save(Global("torch._utils", "_rebuild_tensor_v2"))
            super().save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def write_file(tensors: dict[str, object], storages: list[Storage], magic: int = MAGIC) -> bytes:
    file = io.BytesIO()
    state = collections.OrderedDict(tensors)
    system = {"protocol_version": 1001, "little_endian": True}
    for part in (magic, 1001, system, state, [storage.key for storage in storages]):
        Writer(file, protocol=2).dump(part)
    for storage in storages:
        file.write(struct.pack("<q", storage.numbers.size) + storage.numbers.tobytes())
    return file.getvalue()


NUMBERS = np.arange(24, dtype="<f4")


def test_tensors_come_back_by_name_shape_and_stride() -> None:
    floats, whole = Storage("FloatStorage", "1", NUMBERS), Storage("LongStorage", "2", np.array([7], "<i8"))
    tensors = {
        "a.weight": Tensor(floats, 0, (2, 3, 4), (12, 4, 1)),
        "a.turned": Tensor(floats, 4, (2, 3), (1, 2)),
        "count": Tensor(whole, 0, (), ()),
    }
    state = read_state_dict(write_file(tensors, [whole, floats]))
    np.testing.assert_array_equal(state["a.weight"], NUMBERS.reshape(2, 3, 4))
    np.testing.assert_array_equal(state["a.turned"], [[4, 6, 8], [5, 7, 9]])
    assert state["count"] == 7


def test_tensor_beyond_its_storage_is_refused() -> None:
    storage = Storage("FloatStorage", "1", NUMBERS)
    with pytest.raises(WeightsError, match="broken"):
        read_state_dict(write_file({"a": Tensor(storage, 20, (5,), (1,))}, [storage]))


def test_call_of_another_function_is_refused_and_never_made(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "executed"),)

    with pytest.raises(WeightsError, match="mkdir, which has no place"):
        read_state_dict(write_file({"a": Harm()}, []))
    assert not (tmp_path / "executed").exists()


def test_another_format_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"before 1\.6"):
        read_state_dict(write_file({}, [], magic=1))


@given(st.data())
def test_damaged_files_give_tensors_or_a_clear_error(data: st.DataObject) -> None:
    storage = Storage("FloatStorage", "1", NUMBERS)
    whole = bytearray(write_file({"a": Tensor(storage, 0, (4, 6), (6, 1))}, [storage]))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    try:
        state = read_state_dict(bytes(whole[:cut]))
    except WeightsError:
        return
    assert all(isinstance(tensor, np.ndarray) for tensor in state.values())
