"""Bytes of a DICOM file to a Dataset of the attributes that are used, and no others."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from edge_app.errors import ImageTooLarge, InvalidImage, MissingTag, UnsupportedEncoding

# pydicom's warnings quote values, and a value may be a patient's name.
config.settings.reading_validation_mode = config.IGNORE

BEFORE_META_BYTES = 132  # a preamble, never looked at, and the prefix
MAX_INFLATED_BYTES = 128 * 1024 * 1024
# An X-ray has some hundred elements, each read in two pieces or three; its largest are look-up tables.
MAX_PIECES = 50_000
MAX_HEADER_VALUE_BYTES, MAX_ITEMS = 1024 * 1024, 20_000
_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # (FFFE,E000) in either order of bytes
_UNDEFINED_LENGTH = 0xFFFFFFFF
_SYNTAX_TAG = "(0002,0010) Transfer Syntax UID"
BROKEN = (
    "The DICOM file is broken or incomplete, so nothing in it was judged. "
    "Copy or export it again from the X-ray system and send that file."
)
_TOO_MANY_PIECES = (
    "The DICOM file consists of far more pieces than an X-ray has, so nothing in it was judged. "
    "Export it again from the X-ray system and send that file."
)
KEYWORDS = (
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "Modality"),
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("BodyPartExamined", "AnatomicRegionSequence", "ViewPosition", "ViewCodeSequence"),
    *("Laterality", "ImageLaterality"),
    *("PixelSpacing", "ImagerPixelSpacing", "PixelSpacingCalibrationType", "PixelAspectRatio"),
    *("SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "PresentationLUTShape"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction", "VOILUTSequence"),
    "PixelData",
)
# What pydicom and imagecodecs raise on hostile or broken bytes.
READER_ERRORS = (
    BytesLengthException,
    InvalidDicomError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,  # imagecodecs' own errors, and too deep a nesting
    struct.error,
    zlib.error,
)


@contextmanager
def refusing_broken() -> Iterator[None]:
    """Turn what the libraries raise on broken bytes into a refusal.

    Raises:
        InvalidImage: the block raised one of `READER_ERRORS`.
    """
    try:
        yield
    except READER_ERRORS as error:
        raise InvalidImage(BROKEN) from error


def open_dataset(data: bytes, keywords: Sequence[str] = KEYWORDS) -> tuple[Dataset, UID, str]:
    """Read what is used of a DICOM file.

    Args:
        data: The file's bytes.
        keywords: Of the attributes to read.

    Returns:
        The attributes named in `keywords`, the transfer syntax, and the SOP class that the file's first
        group tells (empty where it tells none).

    Raises:
        MissingTag: the file names no transfer syntax.
        UnsupportedEncoding: the transfer syntax is unknown.
        ImageTooLarge: the dataset inflates beyond `MAX_INFLATED_BYTES`.
        InvalidImage: it has more pieces than any X-ray.
    """
    stream = _Pieces(data)
    stream.seek(BEFORE_META_BYTES)
    meta = read_dataset(stream, False, True, stop_when=_is_after_meta)
    syntax = UID(meta.get("TransferSyntaxUID", ""))
    if not syntax:
        raise MissingTag(f"{BROKEN} Its tag {_SYNTAX_TAG} is missing.", _SYNTAX_TAG)
    if syntax.is_private or not syntax.is_transfer_syntax:
        raise UnsupportedEncoding(
            "The DICOM file has a transfer syntax that only its maker's programs read. "
            "Export it uncompressed (Explicit VR Little Endian)."
        )
    if syntax == DeflatedExplicitVRLittleEndian:
        stream = _Pieces(_inflate(data[stream.tell() :]))
    tags: list[BaseTag | int] = [Tag(keyword) for keyword in keywords]
    dataset = read_dataset(stream, syntax.is_implicit_VR, syntax.is_little_endian, specific_tags=tags)
    return dataset, syntax, str(meta.get("MediaStorageSOPClassUID", ""))


class _Pieces(io.BytesIO):
    """A file that is read in a bounded number of pieces: a small one can hold millions, and each costs."""

    _count = 0

    def read(self, size: int | None = -1) -> bytes:
        self._count += 1
        if self._count > MAX_PIECES:
            raise InvalidImage(_TOO_MANY_PIECES)
        return super().read(size)


def check_values(dataset: Dataset) -> None:
    """Refuse values that are shorter than told, and those of a header that would take long to look into.

    Args:
        dataset: The attributes, none of the large ones looked at yet.

    Raises:
        InvalidImage: there is such a value.
    """
    for element in dataset.values():
        if isinstance(element, RawDataElement):
            _check_value(element, element.value or b"")


def _check_value(element: RawDataElement, value: bytes) -> None:
    if element.length not in (_UNDEFINED_LENGTH, len(value)):
        raise InvalidImage(BROKEN)
    is_header = element.tag != Tag("PixelData")
    if is_header and (len(value) > MAX_HEADER_VALUE_BYTES or max(map(value.count, _ITEMS)) > MAX_ITEMS):
        raise InvalidImage(_TOO_MANY_PIECES)


def _is_after_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2


def _inflate(deflated: bytes) -> bytes:
    """Inflate no further than the cap, so that a small file cannot fill the memory.

    Source:
        DICOM PS3.5, section A.5: a raw deflate stream (RFC 1951).
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(deflated, MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise ImageTooLarge(
            f"The DICOM file inflates to more than {MAX_INFLATED_BYTES // 1024**2} MB, more than an X-ray "
            "has. Export it at a smaller size."
        )
    return inflated
