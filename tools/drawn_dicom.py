"""Drawn X-rays as DICOM files."""

from __future__ import annotations

import io
from typing import Any

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, generate_uid

_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99")


def drawn_dicom(syntax: UID, pixels: bytes, shape: tuple[int, ...], **attributes: Any) -> bytes:
    """Write an 8-bit picture as a DICOM file.

    Args:
        syntax: The transfer syntax.
        pixels: The picture in it.
        shape: Its height and width.
        attributes: Further attributes by keyword.

    Returns:
        The file's bytes.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["fuzz"])
    meta.TransferSyntaxUID = syntax
    file = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.StudyInstanceUID = file.SeriesInstanceUID = meta.MediaStorageSOPInstanceUID
    file.Modality, file.PatientName, file.PatientID = "DX", "Drawn^Patient", "7"
    file.PhotometricInterpretation, file.SamplesPerPixel, file.PixelRepresentation = "MONOCHROME2", 1, 0
    file.Rows, file.Columns = shape
    file.BitsAllocated = file.BitsStored = 8
    file.HighBit = 7
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "T-12000", "SRT", "Bone"
    file.AnatomicRegionSequence = [region]
    file.add_new("PixelData", "OB", pixels)
    file["PixelData"].is_undefined_length = syntax not in _NATIVE
    for keyword, value in attributes.items():
        setattr(file, keyword, value)
    stream = io.BytesIO()
    file.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
