"""What a DICOM header must say before its pixels are looked at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    EnhancedXAImageStorage,
    EnhancedXRFImageStorage,
    MediaStorageDirectoryStorage,
    SecondaryCaptureImageStorage,
)

from edge_app.errors import (
    ColourImage,
    ContradictoryTag,
    DicomDirectory,
    ImageTooLarge,
    ImageTooSmall,
    MissingTag,
    NotAnXray,
    SeveralPictures,
    UnsupportedEncoding,
)

# Computed, digital and plain radiography, fluoroscopy, angiography.
MODALITIES = ("CR", "DX", "RG", "RF", "XA")
CAPTURED = "OT"  # a picture brought in by hand, as Secondary Capture
SHAPE_OF = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
_UID = re.compile(r"[0-9.]{1,64}")
_SQUARE_WITHIN = 0.02


class Encoding(NamedTuple):
    """How stored values are laid out: sizes in pixels, depths in bits."""

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    is_inverted: bool


def value_of(dataset: Dataset, keyword: str) -> Any:
    """Return an attribute's value, or None where it is missing or empty.

    Args:
        dataset: The attributes.
        keyword: The attribute's keyword.
    """
    value = dataset.get(keyword)
    is_empty = value is None or (isinstance(value, str | bytes | Sequence) and not len(value))
    return None if is_empty else value


def required(dataset: Dataset, keyword: str) -> Any:
    """Return an attribute's value.

    Args:
        dataset: The attributes.
        keyword: The attribute's keyword.

    Raises:
        MissingTag: it is missing or empty.
    """
    value = value_of(dataset, keyword)
    if value is None:
        raise MissingTag(
            f"The DICOM file lacks {tag_name(keyword)}, and this tool does not guess. "
            "Export the X-ray again from the X-ray system.",
            tag_name(keyword),
        )
    return value


def required_uid(dataset: Dataset, keyword: str) -> str:
    """Return an attribute that identifies something.

    Args:
        dataset: The attributes.
        keyword: The attribute's keyword.

    Raises:
        MissingTag: it is missing or empty.
        ContradictoryTag: it is no UID.

    Source:
        DICOM PS3.5, section 9.1.
    """
    value = str(required(dataset, keyword))
    if not _UID.fullmatch(value):
        raise contradiction(keyword, "it is not of digits and dots")
    return value


def contradiction(keyword: str, reason: str) -> ContradictoryTag:
    """Make the error about an attribute that cannot be believed.

    Args:
        keyword: The attribute's keyword.
        reason: A clause that quotes nothing about a patient.
    """
    return ContradictoryTag(
        f"The DICOM file contradicts itself in {tag_name(keyword)}: {reason}. "
        "Export the X-ray again from the X-ray system.",
        tag_name(keyword),
    )


def tag_name(keyword: str) -> str:
    """Return an attribute's number and name, as "(0028,0010) Rows"."""
    tag = Tag(keyword)
    return f"({tag.group:04X},{tag.element:04X}) {dictionary_description(tag)}"


def check_kind(dataset: Dataset, file_sop_class: str) -> None:
    """Let single X-ray pictures pass, and refuse everything else that DICOM holds.

    Args:
        dataset: The attributes.
        file_sop_class: The SOP class that the file's first group tells, or empty.

    Raises:
        DicomDirectory, NotAnXray, SeveralPictures, UnsupportedEncoding, TagError: as they say.
    """
    if file_sop_class == MediaStorageDirectoryStorage:
        raise DicomDirectory(
            "This is the table of contents of a DICOM disc (DICOMDIR). Its X-rays are the other files of "
            "the disc: choose these, or the whole folder."
        )
    sop_class = required_uid(dataset, "SOPClassUID")
    if file_sop_class and file_sop_class != sop_class:
        raise contradiction("SOPClassUID", "the file's first group names another class")
    _check_modality(str(required(dataset, "Modality")), sop_class)
    if sop_class in (EnhancedXAImageStorage, EnhancedXRFImageStorage):
        raise UnsupportedEncoding(
            f"{UID(sop_class).name} is not read. Export single pictures as X-Ray Angiographic or DX images."
        )
    frames = value_of(dataset, "NumberOfFrames")
    if frames is not None and int(frames) != 1:
        raise SeveralPictures(
            f"The DICOM file holds {int(frames)} frames. Export one still X-ray and send that."
        )


def _check_modality(modality: str, sop_class: str) -> None:
    is_capture = modality == CAPTURED and sop_class == SecondaryCaptureImageStorage
    if modality not in MODALITIES and not is_capture:
        raise NotAnXray(
            f"The DICOM file's {tag_name('Modality')} is {modality[:16]}: not an X-ray picture. "
            f"This tool reads {', '.join(MODALITIES)}."
        )


def read_encoding(dataset: Dataset, max_pixels: int, min_side_px: int) -> Encoding:
    """Read how the pixels are stored, and check that it can be.

    Args:
        dataset: The attributes.
        max_pixels: The largest rows times columns.
        min_side_px: The fewest rows or columns.

    Returns:
        The encoding.

    Raises:
        ColourImage, ImageTooLarge, ImageTooSmall, UnsupportedEncoding, TagError: as they say.

    Source:
        DICOM PS3.3, C.7.6.3, and PS3.5, section 8.
    """
    photometric = str(required(dataset, "PhotometricInterpretation"))
    if int(required(dataset, "SamplesPerPixel")) != 1 or photometric not in SHAPE_OF:
        raise ColourImage("The DICOM file holds a colour picture. X-rays are grey: send the X-ray itself.")
    rows, columns = (int(required(dataset, keyword)) for keyword in ("Rows", "Columns"))
    if rows * columns > max_pixels:
        raise ImageTooLarge(
            f"The X-ray has {columns} x {rows} pixels; at most {max_pixels / 1e6:g} million are read. "
            "Export it at a smaller size."
        )
    if min(rows, columns) < min_side_px:
        raise ImageTooSmall(
            f"The X-ray has only {columns} x {rows} pixels; each side needs {min_side_px} or more. "
            "Send the X-ray itself, not its thumbnail."
        )
    _check_shape(dataset, photometric)
    allocated, stored = _depths(dataset)
    is_signed = int(required(dataset, "PixelRepresentation")) == 1
    return Encoding(rows, columns, allocated, stored, is_signed, photometric == "MONOCHROME1")


def _depths(dataset: Dataset) -> tuple[int, int]:
    allocated, stored, high = (
        int(required(dataset, keyword)) for keyword in ("BitsAllocated", "BitsStored", "HighBit")
    )
    if allocated not in (8, 16):
        raise UnsupportedEncoding(
            f"The DICOM file's {tag_name('BitsAllocated')} is {allocated}; 8 and 16 are read. "
            "Export the X-ray with 8 or 16 bits."
        )
    if not 1 <= stored <= allocated:
        raise contradiction("BitsStored", f"{stored} of {allocated} bits")
    if high != stored - 1:
        raise contradiction("HighBit", f"{high}, though {stored} bits are stored")
    return allocated, stored


def _check_shape(dataset: Dataset, photometric: str) -> None:
    shape = value_of(dataset, "PresentationLUTShape")
    if shape is not None and shape != SHAPE_OF[photometric]:
        raise contradiction("PresentationLUTShape", f"{shape}, though the picture is {photometric}")
    for keyword in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):
        pair = value_of(dataset, keyword)
        if pair is None:
            continue
        vertical, horizontal = (float(number) for number in pair)
        if min(vertical, horizontal) <= 0:
            raise contradiction(keyword, "a distance that is not above zero")
        if abs(vertical / horizontal - 1) > _SQUARE_WITHIN:
            raise UnsupportedEncoding(
                f"The X-ray's pixels are not square ({tag_name(keyword)}). Export it with square pixels."
            )
