"""Pixel Data to stored values, in every encoding that is read; sizes are checked before decoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from imagecodecs import dicomrle_decode, jpeg2k_decode, jpeg8_decode, jpegls_decode
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import UID

from edge_app.errors import InvalidImage, UnsupportedEncoding
from edge_app.imaging import jpeg
from edge_app.imaging.dicom.dataset import BROKEN
from edge_app.imaging.dicom.tags import Encoding, contradiction, required

StoredValues = NDArray[np.unsignedinteger[Any]]


def stored_values(dataset: Dataset, syntax: UID, encoding: Encoding) -> StoredValues:
    """Return the values as they are stored, whatever their sign.

    Args:
        dataset: The attributes.
        syntax: The transfer syntax.
        encoding: How the values are laid out.

    Returns:
        uint8 or uint16 (H, W): the bit patterns, with whatever the bits above those stored hold.

    Raises:
        UnsupportedEncoding: the transfer syntax is not read.
        InvalidImage: Pixel Data are missing, broken or of another size than announced.
    """
    data = required(dataset, "PixelData")
    if not syntax.is_encapsulated:
        return _native(data, syntax, encoding)
    if syntax not in _DECODERS:
        raise UnsupportedEncoding(
            f"The DICOM file's pixels are encoded as {syntax.name}, which is not read. "
            "Export it uncompressed (Explicit VR Little Endian)."
        )
    values = _DECODERS[syntax](next(generate_frames(data, number_of_frames=1)), encoding)
    return values.view(f"u{values.dtype.itemsize}")


def _native(data: bytes, syntax: UID, encoding: Encoding) -> StoredValues:
    count = encoding.rows * encoding.columns
    dtype = np.dtype("u1" if encoding.bits_allocated == 8 else "<u2" if syntax.is_little_endian else ">u2")
    expected_bytes = count * dtype.itemsize
    if len(data) not in (expected_bytes, expected_bytes + expected_bytes % 2):  # padded to an even length
        raise contradiction("PixelData", f"{len(data)} bytes, where the picture takes {expected_bytes}")
    return np.frombuffer(data, dtype, count).reshape(encoding.rows, encoding.columns)


def _decode_jpeg(frame: bytes, encoding: Encoding) -> NDArray[np.integer[Any]]:
    """Decode JPEG baseline, extended or lossless; its decoder invents what was cut, so that is refused."""
    picture = frame[: jpeg.end_of(frame) or 0]
    _check_size(jpeg.size_of(picture), encoding)
    values = jpeg8_decode(picture)
    if not jpeg.has_end(picture) or not np.array_equal(values, jpeg8_decode(jpeg.probed(picture))):
        raise InvalidImage(BROKEN)
    return values


def _decode_jpeg_ls(frame: bytes, encoding: Encoding) -> NDArray[np.integer[Any]]:
    """Decode JPEG-LS; its decoder looks for seconds for what was cut, so that is refused before."""
    _check_size(jpeg.size_of(frame), encoding)
    if not jpeg.has_end(frame.rstrip(b"\0")):
        raise InvalidImage(BROKEN)
    return jpegls_decode(frame)


def _decode_jpeg_2000(frame: bytes, encoding: Encoding) -> NDArray[np.integer[Any]]:
    """Decode JPEG 2000; its decoder leaves a tile black that does not come, so that is refused."""
    _check_size(jpeg.size_of_jpeg_2000(frame), encoding)
    if not jpeg.has_all_tiles(frame):
        raise InvalidImage(BROKEN)
    return jpeg2k_decode(frame)


def _decode_rle(frame: bytes, encoding: Encoding) -> NDArray[np.integer[Any]]:
    """Decode run lengths into a buffer of the size announced, and not a byte further.

    Source:
        DICOM PS3.5, annex G.
    """
    values = np.empty((encoding.rows, encoding.columns), f"<u{encoding.bits_allocated // 8}")
    dicomrle_decode(frame, values.dtype, out=values.data.cast("B"))
    return values


def _check_size(size: jpeg.FrameSize | None, encoding: Encoding) -> None:
    if size is None:
        raise InvalidImage(BROKEN)
    if (size.rows, size.columns) != (encoding.rows, encoding.columns):
        raise contradiction("Rows", f"the encoded picture has {size.columns} x {size.rows} pixels")
    if size.components != 1:
        raise contradiction("SamplesPerPixel", f"the encoded picture has {size.components} components")
    if not encoding.bits_stored <= size.bits <= encoding.bits_allocated:
        raise contradiction("BitsStored", f"the encoded picture has {size.bits} bits")


_DECODERS: dict[UID, Callable[[bytes, Encoding], NDArray[np.integer[Any]]]] = {
    uid.RLELossless: _decode_rle,
    **dict.fromkeys((uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit), _decode_jpeg),
    **dict.fromkeys((uid.JPEGLossless, uid.JPEGLosslessSV1), _decode_jpeg),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), _decode_jpeg_ls),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000), _decode_jpeg_2000),
}

# Every transfer syntax that is read.
SYNTAXES = (
    *(uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian),
    *(uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian),
    *_DECODERS,
)
