"""Drawn X-rays as DICOM files."""

from __future__ import annotations

import io
from typing import Any

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, generate_uid


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
    implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
    file = FileDataset("", {}, bytes(128), meta, is_implicit_VR=implicit, is_little_endian=little)
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
    file["PixelData"].is_undefined_length = syntax.is_encapsulated
    for keyword, value in attributes.items():
        setattr(file, keyword, value)
    stream = io.BytesIO()
    file.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
