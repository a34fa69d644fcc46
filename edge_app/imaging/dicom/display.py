"""Stored values to the picture that a viewer displays.

Source:
    DICOM PS3.4, annex N.2: modality LUT, then VOI LUT or window, then the presentation's shape.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from edge_app.imaging.deep_grey import robust_range, spread
from edge_app.imaging.dicom.stored import StoredValues
from edge_app.imaging.dicom.tags import Encoding, contradiction, required, value_of
from edge_app.imaging.picture import Window

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


class Displayed(NamedTuple):
    """A picture, uint8 (H, W), and the windows that its header offers."""

    pixels: NDArray[np.uint8]
    windows: tuple[Window, ...]


def display(dataset: Dataset, stored: StoredValues, encoding: Encoding) -> Displayed:
    """Show stored values as their header asks for; padding becomes black.

    Every possible value is looked up once, in a table that the pixels then index.

    Args:
        dataset: The attributes.
        stored: uint8 or uint16 (H, W), the bit patterns.
        encoding: How the values are laid out.

    Returns:
        The picture and its windows.

    Raises:
        TagError: a look-up table or a window contradicts itself.
    """
    patterns = np.arange(2 ** (8 * stored.dtype.itemsize))
    levels = _modality_levels(dataset, _numbers(patterns, encoding.bits_stored, encoding.is_signed))
    is_padding = _padding(dataset, _numbers(patterns, encoding.bits_allocated, encoding.is_signed))
    windows = _windows(dataset)
    if value_of(dataset, "VOILUTSequence") is not None:
        table, windows = _by_lut(dataset, levels), ()
    elif windows:
        table = _by_window(levels, windows[0], _function(dataset))
    elif encoding.bits_stored <= 8:
        table = spread(levels, levels.min(), levels.max())
    else:
        counts = np.bincount(stored.ravel(), minlength=len(patterns)) * ~is_padding
        table = _by_content(levels, counts)
    table = 255 - table if encoding.is_inverted else table
    table = np.where(is_padding, np.uint8(0), table)
    return Displayed(table[stored], _as_displayed(windows, encoding.is_inverted))


def _numbers(patterns: NDArray[np.integer[Any]], bits: int, is_signed: bool) -> NDArray[np.integer[Any]]:
    """Read the low bits of each pattern as a number; an overlay may stand above them."""
    values = patterns & (2**bits - 1)
    return np.where(values >> (bits - 1), values - 2**bits, values) if is_signed else values


def _modality_levels(dataset: Dataset, values: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Apply the modality LUT, or slope and intercept.

    Source:
        DICOM PS3.3, C.11.1.
    """
    slope, intercept = (value_of(dataset, keyword) for keyword in ("RescaleSlope", "RescaleIntercept"))
    has_lut = value_of(dataset, "ModalityLUTSequence") is not None
    if has_lut and slope is not None:
        raise contradiction("ModalityLUTSequence", "a rescale slope stands beside it")
    if (slope is None) != (intercept is None):
        present = "RescaleSlope" if intercept is None else "RescaleIntercept"
        missing = "RescaleIntercept" if intercept is None else "RescaleSlope"
        raise contradiction(present, f"it needs {missing} beside it")
    if slope is not None and float(slope) == 0:
        raise contradiction("RescaleSlope", "it is zero")
    if has_lut:
        return _look_up(dataset.ModalityLUTSequence[0], values)[0].astype(np.float64)
    return np.asarray(values * float(slope or 1) + float(intercept or 0), np.float64)


def _padding(dataset: Dataset, values: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Tell which values stand for "no X-ray here".

    Source:
        DICOM PS3.3, C.7.5.1.1.2.
    """
    first, last = (
        value_of(dataset, keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
    )
    if first is None:
        return np.zeros(len(values), np.bool_)
    ends = sorted(int(end) for end in (first, first if last is None else last))
    return (ends[0] <= values) & (values <= ends[1])


def _by_lut(dataset: Dataset, levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Apply the first VOI LUT.

    Source:
        DICOM PS3.3, C.11.2.1.1.
    """
    entries, bits = _look_up(dataset.VOILUTSequence[0], np.rint(levels).astype(np.int64))
    return spread(entries, 0, 2**bits - 1)


def _look_up(
    item: Dataset, values: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.unsignedinteger[Any]], int]:
    """Look values up in a table: the entry of each, uint16, and how many bits entries have.

    Source:
        DICOM PS3.3, C.11.1.1: the descriptor holds the number of entries (0 for 65536), the value that
        the first stands for, and the bits of an entry. What lies outside takes the nearest entry.
    """
    count, first, bits = (int(number) for number in required(item, "LUTDescriptor"))
    entries = _entries(item, bits)
    if not 8 <= bits <= 16 or len(entries) != (count or 2**16):
        raise contradiction("LUTDescriptor", f"{count} entries of {bits} bits, where {len(entries)} stand")
    if values.min() < 0 and first >= 2**15:  # a negative number that was read as a positive one
        first -= 2**16
    return entries[np.clip(values - first, 0, len(entries) - 1)], bits


def _entries(item: Dataset, bits: int) -> NDArray[np.unsignedinteger[Any]]:
    data = required(item, "LUTData")
    if isinstance(data, bytes):
        order = "<" if item.original_encoding[1] else ">"
        return np.frombuffer(data, f"{order}u2").astype(np.uint16)
    return (np.asarray(data) & (2**bits - 1)).astype(np.uint16)


def _by_window(levels: NDArray[np.float64], window: Window, function: str) -> NDArray[np.uint8]:
    """Apply a window.

    Source:
        DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3.
    """
    centre, width, _ = window
    if function == "SIGMOID":
        exponents = np.clip(-4 * (levels - centre) / width, -500, 500)
        return spread(1 / (1 + np.exp(exponents)), 0, 1)
    if function == "LINEAR_EXACT":
        return spread(levels, centre - width / 2, centre + width / 2)
    return spread(levels, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)


def _by_content(levels: NDArray[np.float64], counts: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """Choose a window where the header names none."""
    order = np.argsort(levels)
    if not counts.any():
        return np.zeros(len(levels), np.uint8)
    return spread(levels, *robust_range(levels[order], counts[order]))


def _function(dataset: Dataset) -> str:
    function = str(value_of(dataset, "VOILUTFunction") or "LINEAR")
    if function not in _FUNCTIONS:
        raise contradiction("VOILUTFunction", f"it is none of {', '.join(_FUNCTIONS)}")
    return function


def _windows(dataset: Dataset) -> tuple[Window, ...]:
    centres, widths, names = (
        _list_of(value_of(dataset, keyword))
        for keyword in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation")
    )
    if len(centres) != len(widths):
        raise contradiction("WindowWidth", f"{len(widths)} widths for {len(centres)} centres")
    names = [str(name) for name in names] + [""] * len(centres)
    windows = tuple(
        Window(float(centre), float(width), name)
        for centre, width, name in zip(centres, widths, names, strict=False)
    )
    least = 0 if _function(dataset) != "LINEAR" else 1
    if any(window.width < least or window.width <= 0 for window in windows):
        raise contradiction("WindowWidth", f"a width below {least or 'or at 0'}")
    return windows


def _list_of(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, MultiValue | list | tuple) else [value]


def _as_displayed(windows: tuple[Window, ...], is_inverted: bool) -> tuple[Window, ...]:
    """Count the windows in grey levels of the picture that the first of them gave."""
    if not windows:
        return ()
    first = windows[0]
    sign = -1 if is_inverted else 1
    return tuple(
        Window(
            centre=127.5 + sign * 255 * (window.centre - first.centre) / first.width,
            width=255 * window.width / first.width,
            name=window.name,
        )
        for window in windows
    )
