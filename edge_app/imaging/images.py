"""Bytes of a picture file to a grey uint8 image and back: formats, limits, truncation, orientation."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from edge_app.errors import (
    ColourImage,
    ImageTooLarge,
    ImageTooSmall,
    InvalidImage,
    MissingImage,
    SeveralPictures,
    UnsupportedEncoding,
    UnsupportedImage,
)
from edge_app.imaging import jpeg
from edge_app.imaging.deep_grey import reduce_depth

MAX_PIXELS = 32_000_000
MIN_SIDE_PX = 32
# Of 700 X-rays of FracAtlas, four fifths of them stored as colour, none had a pixel that was not grey.
COLOUR_LEVELS, COLOURED_SHARE = 24, 0.02
_LOOK_PX = 256
NEARLY = 0.9
_GREY_MODES = ("1", "L", "I", "F", "I;16", "I;16B", "I;16L", "LA")

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_SIGNATURES = (_JPEG_SIGNATURE, b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*", b"BM")
# TIFF 6.0: bits of each sample, and what zero looks like.
_TIFF_BITS, _TIFF_PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_MIDDLE_GREY = (127, 128)
_BROKEN = (
    "The picture is broken or incomplete, so nothing in it was judged. "
    "Copy or export it again from the X-ray system and send that file."
)
_DEEP_COLOUR = "The picture has 16-bit colour. Export the X-ray as grey, or with 8 bits."
_OTHER_KINDS = {
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an office document",
    b"GIF8": "a GIF picture",
    b"RIFF": "a film, a sound or a broken WebP picture",
    b"\x00\x00\x00\x0cjP": "a JPEG 2000 picture",
    b"\x1f\x8b": "a gzip archive",
}
# What Pillow raises on hostile or broken bytes, beside its own OSError.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    IndexError,
    KeyError,
    OverflowError,
    struct.error,
    zlib.error,
)


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a JPEG, PNG, TIFF, BMP or WebP file into the grey picture that a viewer would display.

    The format is told from the content, never from a file name. The size is read from the header and
    checked before any pixel is decoded. The EXIF orientation is applied, colour becomes luma
    (ITU-R BT.601), transparency is laid over black, and 16-bit grey is spread over 8 bits. A PNG proves its
    content by checksums; the others have none, so damage in their middle that still decodes is not noticed.
    Of a JPEG with more behind it (MPO), the first picture counts.

    Args:
        data: The file's bytes.
        max_pixels: The largest height times width that is decoded.

    Returns:
        uint8 (H, W), 0..255.

    Raises:
        MissingImage: there are no bytes.
        UnsupportedImage: the bytes are of another format, or hold 16-bit colour, 32-bit grey or several
            pictures.
        ImageTooLarge: the header announces more than `max_pixels`.
        InvalidImage: the file is broken, incomplete, or smaller than `MIN_SIDE_PX` on a side.
    """
    if not data:
        raise MissingImage("The file is empty. Save or export the X-ray again and send that file.")
    data = _first_picture(data)
    try:
        with _open(data) as picture:
            _check_size(picture, max_pixels)
            kind = picture.format
            if kind != "MPO" and getattr(picture, "n_frames", 1) > 1:
                raise SeveralPictures(f"The {kind} file holds several pictures. Send one still X-ray.")
        if kind == "PNG":
            _check_png(data)
        with _load(data) as picture:
            if data.startswith(_JPEG_SIGNATURE):
                _check_jpeg_end(data, picture)
            ImageOps.exif_transpose(picture, in_place=True)
            return _grey(picture)
    except _DECODER_ERRORS as error:
        raise InvalidImage(_BROKEN) from error


def is_coloured(data: bytes) -> bool:
    """Tell whether a picture shows colours, as a photograph does, or coloured marks over much of it.

    Args:
        data: The bytes of a file that `decode_image` reads.

    Returns:
        Whether more than `COLOURED_SHARE` of the pixels have red, green and blue that lie more than
        `COLOUR_LEVELS` of 255 apart.

    Raises:
        InvalidImage: the file is broken.
    """
    try:
        with _open(data) as picture:
            if picture.mode in _GREY_MODES:
                return False
            picture.draft("RGB", (picture.width // 8, picture.height // 8))  # a JPEG costs little so
            step = max(1, max(picture.size) // _LOOK_PX)
            size = max(1, picture.width // step), max(1, picture.height // step)
            colours = np.asarray(picture.resize(size, Image.Resampling.NEAREST).convert("RGB"))
    except _DECODER_ERRORS as error:
        raise InvalidImage(_BROKEN) from error
    apart = colours.max(axis=2) - colours.min(axis=2)
    return bool((apart > COLOUR_LEVELS).mean() > COLOURED_SHARE)


def shrink(image: NDArray[np.uint8], longest_px: int) -> NDArray[np.uint8]:
    """Scale a picture down so that its longer side is at most `longest_px`; a smaller one stays.

    Args:
        image: uint8 (H, W).
        longest_px: The longest side that is allowed, in pixels.

    Returns:
        uint8 (H', W').
    """
    scale = longest_px / max(image.shape)
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def shrink_to_show(image: NDArray[np.uint8], longest_px: int) -> NDArray[np.uint8]:
    """Scale a picture down as `shrink`, where it can be by a whole number and to nearly that size.

    Then every pixel is the mean of a block of its own, none is shared between neighbours, and it takes a
    fiftieth of the time.

    Args:
        image: uint8 (H, W).
        longest_px: The longest side that is allowed, in pixels.

    Returns:
        uint8 (H', W'); by a whole number where the longer side stays `NEARLY` what is allowed.
    """
    longest = max(image.shape)
    factor = -(-longest // longest_px)
    is_whole = not any(side % factor for side in image.shape)
    is_enough = longest >= NEARLY * factor * longest_px
    return shrink(image, longest // factor if is_whole and is_enough else longest_px)


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """Encode an image as PNG, fast rather than small.

    Args:
        image: uint8 (H, W) grey or (H, W, 3) RGB.

    Returns:
        The bytes of a PNG file.
    """
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        if data.startswith(_SIGNATURES):
            raise InvalidImage(_BROKEN) from error
        raise UnsupportedImage(
            f"Expected a DICOM, JPEG, PNG, TIFF, BMP or WebP picture, received {_kind(data)}. "
            "Export the X-ray as DICOM, JPEG or PNG and send that file."
        ) from error
    except _DECODER_ERRORS as error:
        raise InvalidImage(_BROKEN) from error
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(
            "The picture announces far more pixels than an X-ray has. Export it at a smaller size."
        ) from error


def _check_size(picture: Image.Image, max_pixels: int) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"The picture has {width} x {height} pixels; at most {max_pixels / 1e6:g} million are "
            "read. Export it at a smaller size."
        )
    if min(width, height) < MIN_SIDE_PX:
        raise ImageTooSmall(
            f"The picture has only {width} x {height} pixels; each side needs {MIN_SIDE_PX} or more. "
            "Send the X-ray itself, not its thumbnail."
        )


def _check_png(data: bytes) -> None:
    """Refuse a PNG with a wrong checksum or 16-bit colour: that would lose its depth.

    Source:
        PNG specification, third edition, sections 5.6 and 11.2.1: IHDR comes first, and its ninth and
        tenth bytes are depth and colour type.
    """
    if data[12:16] != b"IHDR":
        raise InvalidImage(_BROKEN)
    depth, colour_type = data[24:26]
    with _open(data) as picture:
        picture.verify()
    if depth == 16 and colour_type != 0:
        raise ColourImage(_DEEP_COLOUR)


def _check_jpeg_end(data: bytes, picture: Image.Image) -> None:
    """Refuse a JPEG that was cut and closed with an end marker again.

    Its decoder invents what is missing. It passes over bytes that follow a whole picture, but takes them
    for the picture's own where something is missing: then the picture changes with them. A cut between
    two restart markers can escape this, and so can one within the very last block of pixels.
    """
    if not jpeg.has_end(data) or _has_its_last_block(data, picture):
        return  # without an end marker, Pillow itself demands every row
    with _load(jpeg.probed(data)) as probed:
        if picture.tobytes() != probed.tobytes():
            raise InvalidImage(_BROKEN)


def _has_its_last_block(data: bytes, picture: Image.Image) -> bool:
    """Tell at no cost that nothing is missing, or that it takes a second decode to know.

    Source:
        libjpeg-turbo, jdhuff.c, decode_mcu: when data run out, the coefficients of every block that is
        left stay zero. Such a block is middle grey; in a progressive or arithmetic frame it need not be.
    """
    corner = picture.crop((picture.width - 1, picture.height - 1, picture.width, picture.height))
    is_grey = any(level in _MIDDLE_GREY for level in corner.tobytes())
    return not is_grey and jpeg.is_sequential(data)


def _load(data: bytes) -> Image.Image:
    picture = _open(data)
    picture.draft("L", picture.size)
    picture.load()
    return picture


def _grey(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I;16"):
        return reduce_depth(_deep_grey(picture))
    if picture.mode in ("I", "F"):
        raise UnsupportedEncoding("The picture has 32-bit grey. Export the X-ray with 8 or 16 bits.")
    if picture.format == "TIFF" and max(picture.tag_v2.get(_TIFF_BITS, (8,))) > 8:  # type: ignore[attr-defined]
        raise ColourImage(_DEEP_COLOUR)
    if picture.has_transparency_data:
        colour = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", colour.size, "black"), colour)
    return np.asarray(picture if picture.mode == "L" else picture.convert("L"))


def _deep_grey(picture: Image.Image) -> NDArray[np.uint16]:
    levels = np.asarray(picture).astype(np.uint16)
    tags = getattr(picture, "tag_v2", {})
    return ~levels if tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO else levels


def _first_picture(data: bytes) -> bytes:
    if not data.startswith(_JPEG_SIGNATURE):
        return data
    end = jpeg.end_of(data)
    if end is None:
        raise InvalidImage(_BROKEN)
    return data[:end]


def _kind(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        return "a film, or a HEIC or AVIF photograph"
    kinds = (kind for magic, kind in _OTHER_KINDS.items() if data.startswith(magic))
    return next(kinds, "something else")
