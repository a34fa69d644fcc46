"""DICOM files drawn for tests, and how dcmtk shows them."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from imagecodecs import jpeg2k_encode
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
)

from tests.conftest import require


def xray_dataset(pixels: np.ndarray, bits_stored: int | None = None, **attributes: Any) -> Dataset:
    """Return a DX picture; `attributes` replace or join its own, and None takes one away."""
    bits = 8 * pixels.dtype.itemsize
    stored = bits_stored or bits
    values = {
        "SOPClassUID": DigitalXRayImageStorageForPresentation,
        "SOPInstanceUID": "1.2.826.0.1.3680043.8.498.1",
        "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.2",
        "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.3",
        "Modality": "DX",
        "PatientID": "drawn",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": bits,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelData": pixels.tobytes(),
        **attributes,
    }
    dataset = Dataset()
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    return dataset


def to_bytes(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return a file's bytes; the pixels must be encoded already."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID") or "1.2"
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def xray_file(pixels: np.ndarray, bits_stored: int | None = None, **attributes: Any) -> bytes:
    """Return the bytes of an uncompressed DX picture."""
    return to_bytes(xray_dataset(pixels, bits_stored, **attributes))


def as_jpeg_2000(dataset: Dataset, pixels: np.ndarray, level: int) -> bytes:
    """Return the file with its pixels in JPEG 2000; level 0 is lossless."""
    dataset = Dataset(dataset)
    frame = jpeg2k_encode(
        pixels, level=level, codecformat="j2k", reversible=level == 0, bitspersample=dataset.BitsStored
    )
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    return to_bytes(dataset, JPEG2000 if level else JPEG2000Lossless)


def converted(data: bytes, tmp_path: Path, program: str, *options: str) -> bytes:
    """Pass a file through one of dcmtk's converters."""
    source, target = tmp_path / "source.dcm", tmp_path / "converted.dcm"
    source.write_bytes(data)
    command = [require(program, "dcmtk"), *options, str(source), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    return target.read_bytes()


def rendered(data: bytes, tmp_path: Path, *options: str) -> np.ndarray:
    """Return the picture, uint8 (H, W), as dcmtk renders the file."""
    source, target = tmp_path / "rendered.dcm", tmp_path / "rendered.pgm"
    source.write_bytes(data)
    for program in ("dcmj2pnm", "dcml2pnm"):  # the one reads JPEG, the other JPEG-LS
        command = [require(program, "dcmtk"), *options, "--write-raw-pnm", str(source), str(target)]
        if subprocess.run(command, capture_output=True).returncode == 0:
            return cv2.imread(str(target), cv2.IMREAD_GRAYSCALE)
    raise AssertionError(f"dcmtk renders no picture with {options}")
