"""Every X-ray decoded once, as the clinic's app would: what can be read, and its square, kept or not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_app.errors import DataError, ImageError
from edge_app.files import write_whole
from edge_app.imaging.images import decode_image
from edge_app.imaging.preprocess import to_square
from training.data.samples import Sample

THUMBNAIL_PX = 32
# Part of a cached square's key: raise it when decoding or geometry changes.
_CACHE_VERSION = 1

Cache = Literal["memory", "none"] | Path


class Squares(Protocol):
    """Squares by index, like uint8 (N, S, S): an integer gives (S, S), an array of n gives (n, S, S)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class Scan:
    """The N readable samples with their squares, and what could not be read.

    `squares` is like uint8 (N, S, S), in the order of `samples`; `shapes`, int64 (N, 2), holds each one's
    height and width, `thumbnails` is uint8 (N, 32, 32). `unreadable` holds the sample and why.
    """

    samples: list[Sample]
    squares: Squares
    shapes: NDArray[np.int64]
    thumbnails: NDArray[np.uint8]
    unreadable: list[tuple[Sample, str]]

    def only(self, chosen: NDArray[np.int64]) -> Scan:
        """Return the scan of some samples, without copying their squares."""
        return Scan(
            samples=[self.samples[index] for index in chosen],
            squares=_Kept(self.squares, chosen),
            shapes=self.shapes[chosen],
            thumbnails=self.thumbnails[chosen],
            unreadable=[],
        )


def scan_samples(samples: Sequence[Sample], size_px: int, cache: Cache = "memory") -> Scan:
    """Decode every sample once.

    Args:
        samples: What to decode.
        size_px: The model's input side S in pixels.
        cache: Where the squares stay: in memory, nowhere (each use decodes again), or in a file, which
            is used again as long as the images stay as they are.

    Returns:
        The readable samples; the app refuses the others, so nothing can be learned or measured on them.

    Raises:
        DataError: not one sample could be read.
    """
    if isinstance(cache, Path):
        records, reasons = _cached(samples, size_px, cache)
    elif cache == "memory":
        records = np.zeros(len(samples), _record(size_px))
        reasons = _fill(records, samples, size_px)
    else:
        records = np.zeros(len(samples), _record(0))
        reasons = _fill(records, samples, size_px)
    if len(reasons) == len(samples):
        raise DataError(f"None of the {len(samples)} images could be read.")
    places = np.array([place for place in range(len(samples)) if place not in reasons], np.int64)
    readable = [samples[place] for place in places]
    return Scan(
        samples=readable,
        squares=_OnDemand(readable, size_px) if cache == "none" else _Kept(records["square"], places),
        shapes=np.stack([records["height"][places], records["width"][places]], axis=1).astype(np.int64),
        thumbnails=records["thumbnail"][places],
        unreadable=[(samples[place], why) for place, why in sorted(reasons.items())],
    )


class _Kept:
    """Some of the squares that something else holds."""

    def __init__(self, squares: Squares, places: NDArray[np.int64]) -> None:
        self._squares = squares
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        return np.asarray(self._squares[self._places[index]])


class _OnDemand:
    """Squares that are decoded whenever they are needed."""

    def __init__(self, samples: Sequence[Sample], size_px: int) -> None:
        self._samples = samples
        self._size_px = size_px

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        if np.ndim(index) or isinstance(index, slice):
            with ThreadPoolExecutor() as pool:
                return np.stack(list(pool.map(self.__getitem__, np.arange(len(self))[index])))
        return to_square(decode_image(self._samples[int(index)].path.read_bytes()), self._size_px)


def _record(size_px: int) -> np.dtype[Any]:
    """Return what is kept of an image; `key` names the file it came from, height 0 means unreadable."""
    return np.dtype(
        [
            ("key", "S16"),
            ("height", np.int32),
            ("width", np.int32),
            ("thumbnail", np.uint8, (THUMBNAIL_PX, THUMBNAIL_PX)),
            ("square", np.uint8, (size_px, size_px)),
        ]
    )


def _fill(records: NDArray[Any], samples: Sequence[Sample], size_px: int) -> dict[int, str]:
    """Decode into the records; return why some could not be, by index."""

    def decode(place: int) -> str:
        sample, record = samples[place], records[place]
        try:
            image = decode_image(sample.path.read_bytes())
        except ImageError as error:
            return str(error)
        square = to_square(image, size_px)
        record["height"], record["width"] = image.shape
        record["thumbnail"] = cv2.resize(square, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
        if record["square"].size:
            record["square"] = square
        return ""

    with ThreadPoolExecutor() as pool:
        decoded = pool.map(decode, range(len(samples)))
        reasons = list(tqdm(decoded, "decode", len(samples), unit="image", disable=None))
    return {place: why for place, why in enumerate(reasons) if why}


def _cached(samples: Sequence[Sample], size_px: int, path: Path) -> tuple[NDArray[Any], dict[int, str]]:
    """Map the file that an earlier scan left, or write it; it appears in one step, when it is whole."""
    keys = np.array([_key(sample) for sample in samples])
    found = _mapped(path)
    if found is None or found.dtype != _record(size_px) or not np.array_equal(found["key"], keys):
        _write(path, samples, keys, size_px)
        found = np.load(path, mmap_mode="r")
    unreadable = np.flatnonzero(found["height"] == 0)
    return found, {place: _reason(samples[place]) for place in map(int, unreadable)}


def _write(path: Path, samples: Sequence[Sample], keys: NDArray[np.bytes_], size_px: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(path) as place:
        records = np.lib.format.open_memmap(place, "w+", _record(size_px), (len(samples),))
        records["key"] = keys
        _fill(records, samples, size_px)
        records.flush()
        del records


def _mapped(path: Path) -> NDArray[Any] | None:
    """Map what stands at the path, if anything; never let something else be overwritten."""
    if not path.exists():
        return None
    try:
        found = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        found = np.zeros(0)
    if not isinstance(found, np.ndarray) or found.dtype.names != _record(0).names:
        raise DataError(f"{path} is no cache of X-rays. Name another file with --cache.")
    return found


def _key(sample: Sample) -> bytes:
    facts = sample.path.stat()
    text = f"{_CACHE_VERSION} {sample.image_id} {facts.st_size} {facts.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:16].encode()


def _reason(sample: Sample) -> str:
    try:
        decode_image(sample.path.read_bytes())
    except ImageError as error:
        return str(error)
    raise DataError(f"{sample.path} changed while it was read. Begin again.")
