"""Throw mutated files at the process that decodes: `python -m tools.fuzz --count 200000`."""

from __future__ import annotations

import argparse
import io
import json
import random
import resource
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import psutil
from imagecodecs import jpeg2k_encode, jpeg8_encode, jpegls_encode
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID

from edge_app.errors import ImageError
from edge_app.imaging.child import ChildDecoder
from edge_app.imaging.dicom.stored import SYNTAXES
from export.proof.drawn import draw_xray
from tools.drawn_dicom import drawn_dicom
from tools.drawn_tiff import DEFLATE, tiled_tiff

LIMIT_S = 2.0
MEMORY_LIMIT_MIB = 700
MAX_PIXELS = 4_000_000
_MIB = 1024 * 1024
_TELLING = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)
_SIZES = (0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)

Mutation = Callable[[random.Random, bytearray, list[bytes]], None]


@dataclass
class Findings:
    """What became of all inputs; `slowest_s`, on a processor, and `peak_mib` are those of the worst one."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    peak_mib: float = 0.0
    new_processes: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many inputs were tried."""
        return sum(self.outcomes.values())


def seeds() -> dict[str, bytes]:
    """Make small files of every kind that a decoder might be asked to read.

    Returns:
        Bytes by name.
    """
    grey = draw_xray(1, 96, 80)
    deep = grey.astype(np.uint16) * 16
    colour = np.dstack([grey, 255 - grey, grey // 2])
    clear = np.dstack([colour, grey])
    made = {
        "jpeg": _saved(grey, "JPEG"),
        "jpeg progressive": _saved(grey, "JPEG", progressive=True),
        "jpeg colour": _saved(colour, "JPEG"),
        "jpeg restarts": _saved(grey, "JPEG", restart_marker_rows=1),
        "png": _saved(grey, "PNG"),
        "png 16 bit": _saved(deep, "PNG"),
        "png clear": _saved(clear, "PNG"),
        "tiff": _saved(grey, "TIFF"),
        "tiff deflate": _saved(deep, "TIFF", compression="tiff_adobe_deflate"),
        "tiff lzw": _saved(grey, "TIFF", compression="tiff_lzw"),
        "tiff packed": _saved(grey, "TIFF", compression="packbits"),
        "tiff jpeg": _saved(grey, "TIFF", compression="jpeg"),
        "tiff fax": _saved(grey > 99, "TIFF", compression="group4"),
        "tiff tiles": _tiled(grey),
        "bmp": _saved(grey, "BMP"),
        "webp": _saved(colour, "WEBP"),
        "webp lossless": _saved(colour, "WEBP", lossless=True),
        "gif": _saved(grey, "GIF"),
    }
    return made | _dicom_seeds(grey, deep)


def mutated(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Damage a file in one to four ways.

    Args:
        rng: What chooses.
        data: The file.
        others: Files to take pieces from.

    Returns:
        The damaged file.
    """
    file = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        rng.choice(_MUTATIONS)(rng, file, others)
    return bytes(file)


def fuzz(decoder: ChildDecoder, files: dict[str, bytes], count: int, seed: int = 0) -> Findings:
    """Decode damaged files one after another.

    Args:
        decoder: The process that decodes.
        files: What to damage.
        count: How many inputs.
        seed: Of the damage: the same seed gives the same inputs.

    Returns:
        What became of them.
    """
    rng, findings, others = random.Random(seed), Findings(), list(files.values())  # noqa: S311 # nosec B311 # no secret
    names = sorted(files)
    process_id = _started(decoder)
    for index in range(count):
        name = names[index % len(names)]
        _try(decoder, mutated(rng, files[name], others), f"{name}, input {index} of seed {seed}", findings)
        if decoder.process_id != process_id:
            process_id, findings.new_processes = decoder.process_id, findings.new_processes + 1
        if index % 50 == 0:
            findings.peak_mib = max(findings.peak_mib, _resident_mib(process_id))
    if findings.peak_mib > MEMORY_LIMIT_MIB:
        findings.faults.append(f"took {findings.peak_mib:.0f} MiB")
    return findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, and tell what became of it.

    Args:
        arguments: The words after the program's name.

    Returns:
        The exit code: 0, or 1 with a fault.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    begin_s = time.monotonic()
    decoder = ChildDecoder(MAX_PIXELS)
    findings = fuzz(decoder, seeds(), options.count, options.seed)
    decoder.close()
    told = {
        "inputs": findings.count,
        "seconds": round(time.monotonic() - begin_s),
        "outcomes": dict(findings.outcomes.most_common()),
        "slowest_s": round(findings.slowest_s, 3),
        "peak_mib": round(max(findings.peak_mib, _children_peak_mib())),
        "new_processes": findings.new_processes,
        "faults": findings.faults,
    }
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    return bool(findings.faults)


def _started(decoder: ChildDecoder) -> int:
    """Wait for the start, which is no input's time, and return the process."""
    if not decoder.isolation.in_force:
        raise RuntimeError("Expected the process that decodes to be kept in by something.")
    return decoder.process_id


def _try(decoder: ChildDecoder, data: bytes, what: str, findings: Findings) -> None:
    begin_s = _processor_s(decoder.process_id)
    try:
        height, width = decoder(data).pixels.shape
        outcome = "picture"
        if height * width > MAX_PIXELS:
            findings.faults.append(f"{what}: {height} x {width} pixels")
    except ImageError as error:
        outcome = error.code
    except Exception as error:  # a fault, whatever it is
        outcome = type(error).__name__
        findings.faults.append(f"{what}: {error!r}")
    seconds = max(0.0, _processor_s(decoder.process_id) - begin_s)
    findings.outcomes[outcome] += 1
    findings.slowest_s = max(findings.slowest_s, seconds)
    if seconds > LIMIT_S:
        findings.faults.append(f"{what}: took {seconds:.1f} s")


def _flip(rng: random.Random, file: bytearray, _: list[bytes]) -> None:
    if file:
        file[rng.randrange(len(file))] ^= 1 << rng.randrange(8)


def _flip_in_head(rng: random.Random, file: bytearray, _: list[bytes]) -> None:
    if file:
        file[rng.randrange(min(len(file), 256))] = rng.choice(_TELLING)


def _resize(rng: random.Random, file: bytearray, _: list[bytes]) -> None:
    """Put a telling number where a length or a size may stand."""
    width, order = rng.choice((2, 4)), rng.choice(("little", "big"))
    at = rng.randrange(max(1, len(file) - 4))
    value = rng.choice(_SIZES) % (1 << 8 * width)
    file[at : at + width] = value.to_bytes(width, order)  # type: ignore[arg-type]


def _cut(rng: random.Random, file: bytearray, _: list[bytes]) -> None:
    del file[rng.randrange(max(1, len(file))) :]


def _remove(rng: random.Random, file: bytearray, _: list[bytes]) -> None:
    at = rng.randrange(max(1, len(file)))
    del file[at : at + rng.randint(1, 64)]


def _repeat(rng: random.Random, file: bytearray, _: list[bytes]) -> None:
    at = rng.randrange(max(1, len(file)))
    file[at:at] = file[at : at + rng.randint(1, 512)] * rng.randint(1, 4)


def _graft(rng: random.Random, file: bytearray, others: list[bytes]) -> None:
    other = rng.choice(others)
    begin = rng.randrange(len(other))
    piece = other[begin : begin + rng.randint(1, 256)]
    at = rng.randrange(max(1, len(file)))
    file[at : at + len(piece)] = piece


_MUTATIONS: tuple[Mutation, ...] = (_flip, _flip_in_head, _resize, _cut, _remove, _repeat, _graft)


def _saved(pixels: NDArray[np.generic], kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def _tiled(grey: NDArray[np.uint8]) -> bytes:
    tiles = [
        zlib.compress(grey[y : y + 32, x : x + 16].tobytes()) for y in (0, 32, 64) for x in range(0, 80, 16)
    ]
    return tiled_tiff((96, 80), (32, 16), tiles, DEFLATE)


def _dicom_seeds(grey: NDArray[np.uint8], deep: NDArray[np.uint16]) -> dict[str, bytes]:
    """Make a DICOM file in each transfer syntax that is read; the deep ones have 12 bits."""
    depth = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}
    native = {
        syntax.name: drawn_dicom(syntax, grey.tobytes(), grey.shape)
        for syntax in SYNTAXES
        if not syntax.is_encapsulated
    }
    frames: dict[UID, tuple[bytes | bytearray, dict[str, int]]] = {
        uid.RLELossless: (_in_run_lengths(grey), {}),
        uid.JPEGBaseline8Bit: (jpeg8_encode(grey), {}),
        uid.JPEGExtended12Bit: (jpeg8_encode(deep, bitspersample=12), depth),
        uid.JPEGLossless: (jpeg8_encode(grey, lossless=True, predictor=4), {}),
        uid.JPEGLosslessSV1: (jpeg8_encode(deep, lossless=True, bitspersample=12), depth),
        uid.JPEGLSLossless: (jpegls_encode(grey), {}),
        uid.JPEGLSNearLossless: (jpegls_encode(grey, level=3), {}),
        uid.JPEG2000Lossless: (
            jpeg2k_encode(deep, 0, codecformat="j2k", reversible=True, bitspersample=12),
            depth,
        ),
        uid.JPEG2000: (jpeg2k_encode(grey, 40, codecformat="j2k"), {}),
    }
    return native | {
        syntax.name: drawn_dicom(syntax, encapsulate([bytes(frame)]), grey.shape, **attributes)
        for syntax, (frame, attributes) in frames.items()
    }


def _in_run_lengths(grey: NDArray[np.uint8]) -> bytes:
    frame: bytes = get_encoder(uid.RLELossless).encode(
        grey.tobytes(),
        rows=grey.shape[0],
        columns=grey.shape[1],
        samples_per_pixel=1,
        bits_allocated=8,
        bits_stored=8,
        photometric_interpretation="MONOCHROME2",
        pixel_representation=0,
        number_of_frames=1,
    )
    return frame


def _processor_s(process_id: int) -> float:
    """Return a process' time on a processor: how long an input takes does not depend on other programs."""
    try:
        times = psutil.Process(process_id).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _resident_mib(process_id: int) -> float:
    try:
        return float(psutil.Process(process_id).memory_info().rss / _MIB)
    except psutil.Error:
        return 0.0


def _children_peak_mib() -> float:
    """Return the most that any ended child process held; Linux counts in KiB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
