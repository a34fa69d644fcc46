from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagecodecs import jpeg2k_encode, jpegls_encode
from PIL import Image
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate, generate_frames

from edge_app.errors import (
    ColourImage,
    ContradictoryTag,
    ImageError,
    ImageTooLarge,
    ImageTooSmall,
    InvalidImage,
    MissingTag,
    NotAnXray,
    SeveralPictures,
    UnsupportedEncoding,
)
from edge_app.imaging.decode import decode
from edge_app.imaging.dicom.tags import tag_name
from edge_app.imaging.images import decode_image, encode_png
from export.proof.drawn import draw_xray
from tests.dicom_files import converted, to_bytes, xray_dataset, xray_file
from tools import bombs

MIB = 1024 * 1024
REQUIRED = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"),
)


@pytest.mark.parametrize("keyword", REQUIRED)
@pytest.mark.parametrize("value", [None, ""])
def test_missing_or_empty_tag_is_refused_by_its_name(keyword: str, value: str | None) -> None:
    dataset = xray_dataset(draw_xray(1))
    if value is None:
        delattr(dataset, keyword)
    else:
        dataset[keyword].value = b"" if keyword == "PixelData" else value
    with pytest.raises(MissingTag, match=r"lacks \([0-9A-F]{4},[0-9A-F]{4}\)") as caught:
        decode(to_bytes(dataset))
    assert caught.value.tag == tag_name(keyword)


@pytest.mark.parametrize(
    ("attributes", "keyword"),
    [
        ({"Rows": 453}, "PixelData"),
        ({"BitsStored": 9, "HighBit": 8}, "BitsStored"),
        ({"HighBit": 6}, "HighBit"),
        ({"StudyInstanceUID": "a.b"}, "StudyInstanceUID"),
        ({"ImageLaterality": "L", "Laterality": "R"}, "ImageLaterality"),
        ({"PresentationLUTShape": "INVERSE"}, "PresentationLUTShape"),
        ({"WindowCenter": [1, 2], "WindowWidth": [3, 4, 5]}, "WindowWidth"),
        ({"WindowCenter": 1, "WindowWidth": 0}, "WindowWidth"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "RescaleSlope"),
        ({"RescaleSlope": 1}, "RescaleSlope"),
        ({"PixelSpacing": [0, 0.1]}, "PixelSpacing"),
        ({"WindowCenter": 1, "WindowWidth": 9, "VOILUTFunction": "CUBIC"}, "VOILUTFunction"),
    ],
)
def test_contradiction_is_refused_by_its_tag(attributes: dict[str, Any], keyword: str) -> None:
    with pytest.raises(ContradictoryTag, match="contradicts itself") as caught:
        decode(xray_file(draw_xray(1), **attributes))
    assert caught.value.tag == tag_name(keyword)


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"Modality": "CT"}, NotAnXray),
        ({"Modality": "OT"}, NotAnXray),
        ({"NumberOfFrames": 2}, SeveralPictures),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, ColourImage),
        ({"PixelAspectRatio": [1, 2]}, UnsupportedEncoding),
        ({"SOPClassUID": uid.EnhancedXAImageStorage, "Modality": "XA"}, UnsupportedEncoding),
        ({"BitsAllocated": 32}, UnsupportedEncoding),
    ],
)
def test_other_kinds_of_picture_are_refused(attributes: dict[str, Any], error: type[ImageError]) -> None:
    with pytest.raises(error):
        decode(xray_file(draw_xray(1), **attributes))


def test_secondary_capture_without_a_modality_of_its_own_is_read() -> None:
    data = xray_file(draw_xray(1), SOPClassUID=uid.SecondaryCaptureImageStorage, Modality="OT")
    np.testing.assert_array_equal(decode(data).pixels, draw_xray(1))


def test_colour_is_refused() -> None:
    colour = np.zeros((40, 40, 3), np.uint8)
    with pytest.raises(ColourImage):
        decode(xray_file(colour, SamplesPerPixel=3, PhotometricInterpretation="RGB"))


@pytest.mark.parametrize(
    "make", [bombs.items_without_end, bombs.items_of_a_told_length, bombs.elements_without_end]
)
def test_file_of_very_many_pieces_is_refused_before_all_are_read(make: Callable[[], bytes]) -> None:
    with pytest.raises(InvalidImage, match="far more pieces than an X-ray has"):
        decode(make())


@pytest.mark.parametrize(
    "make",
    [
        bombs.nested_sequences,
        bombs.sequence_longer_than_the_file,
        bombs.pixels_longer_than_the_file,
        bombs.fragment_longer_than_the_file,
        bombs.run_lengths_beyond_the_picture,
    ],
)
def test_length_that_lies_is_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(InvalidImage, match="broken or incomplete"):
        decode(make())


def test_unknown_transfer_syntax_is_refused() -> None:
    data = to_bytes(xray_dataset(draw_xray(1)))
    explicit, other = b"1.2.840.10008.1.2.1\x00", b"1.2.276.0.7230010.1\x00"
    with pytest.raises(UnsupportedEncoding, match="only its maker's programs"):
        decode(data.replace(explicit, other, 1))


@pytest.mark.parametrize(
    "syntax",
    [
        uid.HTJ2KLossless,
        uid.HTJ2K,
        uid.JPEG2000MCLossless,
        uid.MPEG2MPML,
        uid.UID("1.2.840.10008.1.2.4.55"),  # JPEG, full progression: retired
    ],
    ids=lambda syntax: syntax.name,
)
def test_encoding_that_is_not_read_is_named_with_what_to_do(syntax: uid.UID) -> None:
    dataset = xray_dataset(draw_xray(1))
    dataset.PixelData = encapsulate([bytes(100)])
    with pytest.raises(UnsupportedEncoding, match=r"which is not read\. Export it uncompressed") as caught:
        decode(to_bytes(dataset, syntax))
    assert syntax.name in str(caught.value)


def test_progressive_jpeg_is_read_where_a_baseline_one_was_announced() -> None:
    """Some systems write one into a file of JPEG baseline; it decodes all the same."""
    image = draw_xray(1)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95, progressive=True)
    dataset = xray_dataset(image)
    dataset.PixelData = encapsulate([file.getvalue()])
    pixels = decode(to_bytes(dataset, uid.JPEGBaseline8Bit)).pixels
    np.testing.assert_array_equal(pixels, decode_image(file.getvalue()))


def test_jpeg_2000_without_its_other_tiles_is_refused() -> None:
    """The decoder would leave them black: here three of four."""
    frame = bytearray(jpeg2k_encode(np.full((64, 64), 77, np.uint8), level=0, codecformat="j2k"))
    frame[8:40] = struct.pack(">8I", 128, 128, 0, 0, 64, 64, 0, 0)
    dataset = xray_dataset(np.zeros((128, 128), np.uint8))
    dataset.PixelData = encapsulate([bytes(frame)])
    with pytest.raises(InvalidImage, match="broken or incomplete"):
        decode(to_bytes(dataset, uid.JPEG2000Lossless))


def test_jpeg_ls_without_its_end_is_refused() -> None:
    dataset = xray_dataset(draw_xray(1))
    dataset.PixelData = encapsulate([jpegls_encode(draw_xray(1))[:-2]])
    with pytest.raises(InvalidImage, match="broken or incomplete"):
        decode(to_bytes(dataset, uid.JPEGLSLossless))


def test_cut_progressive_jpeg_is_refused() -> None:
    image = draw_xray(1)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95, progressive=True)
    dataset = xray_dataset(image)
    dataset.PixelData = encapsulate([file.getvalue()[:-2000] + b"\xff\xd9"])
    with pytest.raises(InvalidImage):
        decode(to_bytes(dataset, uid.JPEGBaseline8Bit))


def test_thumbnail_is_refused() -> None:
    with pytest.raises(ImageTooSmall, match="40 x 31"):
        decode(xray_file(np.zeros((31, 40), np.uint8)))


@pytest.mark.parametrize("kept", [0.002, 0.5, 0.99])
def test_cut_file_is_refused(kept: float) -> None:
    data = xray_file(draw_xray(1))
    with pytest.raises(InvalidImage):
        decode(data[: 132 + int(kept * len(data))])


@pytest.mark.parametrize(
    "conversion",
    [("dcmcrle",), ("dcmcjpeg", "+eb"), ("dcmcjpeg", "+ee"), ("dcmcjpeg", "+e1"), ("dcmcjpls", "+el")],
    ids=lambda conversion: " ".join(conversion),
)
@pytest.mark.parametrize("closed", [b"", b"\xff\xd9"])
def test_frame_that_was_cut_and_wrapped_again_is_refused(
    conversion: tuple[str, ...], closed: bytes, tmp_path: Path
) -> None:
    whole = dcmread(io.BytesIO(converted(xray_file(draw_xray(1)), tmp_path, *conversion)))
    frame = next(generate_frames(whole.PixelData, number_of_frames=1))
    whole.PixelData = encapsulate([frame[: int(0.6 * len(frame))] + closed])
    with pytest.raises(InvalidImage):
        decode(to_bytes(whole, whole.file_meta.TransferSyntaxUID))


def test_frame_of_another_size_than_announced_is_refused_before_it_is_decoded() -> None:
    frame = bytearray(jpeg2k_encode(draw_xray(1), codecformat="j2k", reversible=True))
    struct.pack_into(">II", frame, 8, 60_000, 60_000)
    dataset = xray_dataset(draw_xray(1))
    dataset.PixelData = encapsulate([bytes(frame)])
    data = to_bytes(dataset, uid.JPEG2000Lossless)
    with pytest.raises(ContradictoryTag, match="60000 x 60000"):
        decode(data)


def test_announced_size_is_capped() -> None:
    with pytest.raises(ImageTooLarge, match="60000 x 60000"):
        decode(xray_file(draw_xray(1), Rows=60_000, Columns=60_000))


def test_deflate_bomb_is_refused_within_bounded_memory() -> None:
    dataset = xray_dataset(draw_xray(1))
    whole = to_bytes(dataset, uid.DeflatedExplicitVRLittleEndian)
    start = len(whole) - len(deflated_part(whole))
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = squeeze.compress(bytes(600 * MIB)) + squeeze.flush()
    tracemalloc.start()
    with pytest.raises(ImageTooLarge, match="inflates to more than 128 MB"):
        decode(whole[:start] + bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 * MIB


def deflated_part(data: bytes) -> bytes:
    """Return what follows the first group of a file, told by that group's length."""
    length = struct.unpack_from("<I", data, 140)[0]
    return data[144 + length :]


def test_run_length_bomb_is_refused_within_bounded_memory() -> None:
    segment = b"\x81\x00" * 4_000_000  # each pair of bytes gives 128
    dataset = xray_dataset(draw_xray(1))
    dataset.PixelData = encapsulate([struct.pack("<16I", 1, 64, *[0] * 14) + segment])
    data = to_bytes(dataset, uid.RLELossless)
    tracemalloc.start()
    with pytest.raises(InvalidImage):
        decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * MIB


def test_deep_nesting_is_refused() -> None:
    data = xray_file(draw_xray(1))
    pixels_at = data.find(struct.pack("<HH", 0x7FE0, 0x0010))
    sequence = struct.pack("<HH2sHI", 0x0028, 0x3010, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    with pytest.raises(InvalidImage, match="broken or incomplete"):
        decode(data[:pixels_at] + (sequence + item) * 10_000 + data[pixels_at:])


def test_value_of_an_impossible_length_is_refused() -> None:
    data = bytearray(xray_file(draw_xray(1)))
    at = data.find(struct.pack("<HH2s", 0x0028, 0x0103, b"US"))
    data[at + 6 : at + 10] = struct.pack("<H", 1) + b"\x00\x00"
    with pytest.raises(InvalidImage):
        decode(bytes(data))


@pytest.mark.parametrize("disguise", [encode_png(draw_xray(2))[:128], b"MZ" + bytes(126)])
def test_preamble_means_nothing(disguise: bytes) -> None:
    data = xray_file(draw_xray(1))
    np.testing.assert_array_equal(decode(disguise + data[128:]).pixels, draw_xray(1))


def test_refusal_quotes_nothing_about_the_patient() -> None:
    data = xray_file(draw_xray(1), PatientName="Doe^Jane", PatientID="4711", Modality="CT")
    with pytest.raises(NotAnXray) as caught:
        decode(data)
    assert "Doe" not in str(caught.value)
    assert "4711" not in str(caught.value)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_dicom_gives_a_picture_or_a_clear_error(data: st.DataObject) -> None:
    whole = bytearray(xray_file(draw_xray(1, 64, 48), WindowCenter=128, WindowWidth=256))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(132, 900))] = data.draw(st.integers(0, 255))
    try:
        picture = decode(bytes(whole))
    except ImageError:
        return
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.ndim == 2
