from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_app.errors import (
    ColourImage,
    ImageError,
    ImageTooLarge,
    InvalidImage,
    MissingImage,
    SeveralPictures,
    UnsupportedEncoding,
    UnsupportedImage,
)
from edge_app.imaging.images import decode_image, encode_png, is_coloured, shrink, shrink_to_show
from export.proof.drawn import draw_xray

# 32 x 32 pixels, level 4 * (row + column), with arithmetic coding, which Pillow reads but does not write.
ARITHMETIC_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAx"
    "NDQ0Hyc5PTgyPC4zNDL/yQALCAAgACABAREA/8wABgAQEAX/2gAIAQEAAD8A/wDPhnBQ/vpd+IUo0WJ1Uep4v7yV/X/9xl8z94Ol"
    "pHzv7HfFJrFfzrI+kP/Z"
)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def jpeg(seed: int) -> bytes:
    return saved(Image.fromarray(draw_xray(seed)), "JPEG", quality=95)


def test_png_round_trip_keeps_every_grey_level() -> None:
    image = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8)
    np.testing.assert_array_equal(decode_image(encode_png(image)), image)


def test_jpeg_agrees_with_opencvs_decoder() -> None:
    data = jpeg(1)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(decode_image(data), expected)


def test_colour_becomes_luma() -> None:
    red = Image.new("RGB", (40, 40), (255, 0, 0))
    assert np.unique(decode_image(saved(red, "PNG"))).tolist() == [76]  # 0.299 * 255


def deep_xray(bits: int) -> np.ndarray:
    return draw_xray(1).astype(np.uint16) << (bits - 8)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_deep_grey_looks_alike_whatever_its_depth(kind: str, bits: int) -> None:
    picture, ten = (decode_image(saved(Image.fromarray(deep_xray(n)), kind)) for n in (bits, 10))
    np.testing.assert_array_equal(picture, ten)
    assert np.percentile(picture, [0, 99.99]).tolist() == [0, 255]


@pytest.mark.parametrize("level", [4096, 65535])
def test_one_pixel_does_not_change_the_brightness_of_deep_grey(level: int) -> None:
    plain = np.minimum(deep_xray(12), 4095)
    with_spot = plain.copy()
    with_spot[200, 100] = level
    before, after = (decode_image(saved(Image.fromarray(deep), "PNG")) for deep in (plain, with_spot))
    difference = np.abs(before.astype(int) - after)
    difference[200, 100] = 0
    assert difference.max() <= 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
@pytest.mark.parametrize(("colour", "rows", "expected"), [(60, 16, True), (60, 1, False), (10, 64, False)])
def test_picture_with_colours_is_told_from_grey_stored_as_colour(
    kind: str, colour: int, rows: int, expected: bool
) -> None:
    """Of 64 rows some are tinted; a single one is a mark, and a faint tint is none."""
    pixels = np.full((64, 64, 3), 100, np.uint8)
    pixels[:rows, :, 0] += colour
    assert is_coloured(saved(Image.fromarray(pixels), kind)) is expected


def test_grey_picture_has_no_colours(drawn_png: bytes) -> None:
    assert not is_coloured(drawn_png)


def test_deep_grey_of_one_level_is_black() -> None:
    flat = np.full((40, 40), 900, np.uint16)
    assert decode_image(saved(Image.fromarray(flat), "PNG")).max() == 0


@pytest.mark.filterwarnings("ignore")  # Pillow warns of the cut as well
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("TIFF", {}),
        *(("TIFF", {"compression": name}) for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits")),
        ("BMP", {}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_other_formats_keep_every_grey_level_and_their_cuts_are_refused(
    kind: str, options: dict[str, object]
) -> None:
    data = saved(Image.fromarray(draw_xray(1)), kind, **options)
    np.testing.assert_array_equal(decode_image(data), draw_xray(1))
    for kept in (0.001, 0.3, 0.6, 0.95):
        with pytest.raises(InvalidImage, match="broken or incomplete"):
            decode_image(data[: 2 + int(kept * len(data))])


def test_tiff_whose_zero_is_white_is_inverted() -> None:
    white_is_zero = {262: 0}
    deep = draw_xray(1).astype(np.uint16) * 257
    data = saved(Image.fromarray(~deep), "TIFF", tiffinfo=white_is_zero)
    np.testing.assert_array_equal(decode_image(data), decode_image(saved(Image.fromarray(deep), "TIFF")))
    data = saved(Image.fromarray(draw_xray(1)), "TIFF", tiffinfo=white_is_zero)
    np.testing.assert_array_equal(decode_image(data), draw_xray(1))


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "PNG"])
def test_file_of_several_pictures_is_refused(kind: str) -> None:
    first, second = Image.new("L", (40, 40)), Image.new("L", (40, 40), 255)
    with pytest.raises(SeveralPictures, match="several pictures"):
        decode_image(saved(first, kind, save_all=True, append_images=[second]))


def two_jpegs() -> tuple[bytes, int]:
    """Return an MPO file and the length of its first picture."""
    first, second = (Image.fromarray(draw_xray(seed)) for seed in (1, 2))
    data = saved(first, "MPO", save_all=True, append_images=[second], quality=95)
    return data, data.find(b"\xff\xd9\xff\xd8") + 2


def test_first_picture_of_an_mpo_file_is_read() -> None:
    data, end = two_jpegs()
    np.testing.assert_array_equal(decode_image(data), decode_image(data[:end]))


@pytest.mark.parametrize("closed", [b"", b"\xff\xd9"])
@pytest.mark.parametrize("kept", [0.4, 0.95])
def test_mpo_whose_first_picture_is_cut_is_refused(kept: float, closed: bytes) -> None:
    data, end = two_jpegs()
    with pytest.raises(InvalidImage, match="broken or incomplete"):
        decode_image(data[: int(kept * end)] + closed + data[end:])


@pytest.mark.parametrize(
    ("pixels", "error"),
    [
        (np.full((40, 40, 3), 4095, np.uint16), ColourImage),
        (np.zeros((40, 40), np.float32), UnsupportedEncoding),
    ],
)
def test_tiff_that_would_lose_its_depth_is_refused(pixels: np.ndarray, error: type[ImageError]) -> None:
    _, data = cv2.imencode(".tif", pixels)
    with pytest.raises(error):
        decode_image(data.tobytes())


def test_transparency_is_laid_over_black() -> None:
    half = Image.new("LA", (40, 40), (200, 0))
    half.putpixel((3, 5), (200, 255))
    picture = decode_image(saved(half, "PNG"))
    assert (picture[5, 3], picture[0, 0]) == (200, 0)


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: display rotated by 90 degrees clockwise
    stored = np.zeros((40, 60), np.uint8)
    stored[:, :20] = 255
    picture = decode_image(saved(Image.fromarray(stored), "JPEG", exif=exif, quality=100))
    assert picture.shape == (60, 40)
    assert picture[:18].min() > 240
    assert picture[22:].max() < 15


def test_cmyk_jpeg_is_read() -> None:
    white = Image.new("CMYK", (40, 40), (0, 0, 0, 0))
    assert decode_image(saved(white, "JPEG")).min() > 250


def test_no_bytes_is_a_missing_image() -> None:
    with pytest.raises(MissingImage, match="empty"):
        decode_image(b"")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"\x00\x00\x00\x18ftypheic", "a film, or a HEIC or AVIF photograph"),
        (b"GIF89a", "a GIF picture"),
        (b"hello", "something else"),
    ],
)
def test_other_formats_are_named_and_refused(data: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"received {kind}"):
        decode_image(data)


def test_format_is_told_from_the_content_not_the_claim() -> None:
    with pytest.raises(UnsupportedImage):
        decode_image(saved(Image.new("L", (40, 40)), "GIF"))


@pytest.mark.parametrize("kept", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_truncated_picture_is_refused_even_right_after_a_whole_one(kind: str, kept: float) -> None:
    first, second = (saved(Image.fromarray(draw_xray(seed)), kind) for seed in (1, 2))
    decode_image(first)
    with pytest.raises(InvalidImage, match="broken or incomplete"):
        decode_image(second[: int(kept * len(second))])


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_jpeg_that_was_cut_and_closed_again_is_refused(kept: float, progressive: bool) -> None:
    data = saved(Image.fromarray(draw_xray(1)), "JPEG", quality=95, progressive=progressive)
    assert decode_image(data).shape == (454, 373)
    with pytest.raises(InvalidImage, match="broken or incomplete"):
        decode_image(data[: int(kept * len(data))] + b"\xff\xd9")


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
@pytest.mark.parametrize(
    "options", [{"subsampling": 2}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 3}]
)
def test_cut_is_refused_in_every_colour_and_layout(mode: str, options: dict[str, int]) -> None:
    data = saved(Image.fromarray(draw_xray(1)).convert(mode), "JPEG", quality=95, **options)
    assert decode_image(data).shape == (454, 373)
    with pytest.raises(InvalidImage, match="broken or incomplete"):
        decode_image(data[: int(0.6 * len(data))] + b"\xff\xd9")


def test_cut_is_refused_whatever_follows_the_false_end() -> None:
    data = jpeg(1)
    with pytest.raises(InvalidImage, match="broken or incomplete"):
        decode_image(data[: len(data) // 2] + b"\xff\xd9" + bytes(1000))


def test_whole_jpeg_is_read_whatever_follows_it() -> None:
    np.testing.assert_array_equal(decode_image(jpeg(1) + bytes(1000)), decode_image(jpeg(1)))


def test_cut_jpeg_with_arithmetic_coding_is_refused() -> None:
    assert decode_image(ARITHMETIC_JPEG)[31, 31] == pytest.approx(4 * 62, abs=4)
    with pytest.raises(InvalidImage, match="broken or incomplete"):
        decode_image(ARITHMETIC_JPEG[:-20] + b"\xff\xd9")


def test_jpeg_with_a_margin_of_middle_grey_is_read() -> None:
    canvas = Image.new("L", (420, 500), 128)
    canvas.paste(Image.fromarray(draw_xray(1)))
    assert decode_image(saved(canvas, "JPEG", quality=95))[490, 410] == 128


@pytest.mark.parametrize("data", [jpeg(1)[:15], encode_png(draw_xray(1))[:35]], ids=["JPEG", "PNG"])
def test_picture_cut_in_its_header_is_broken_not_unknown(data: bytes) -> None:
    with pytest.raises(InvalidImage, match="broken or incomplete"):
        decode_image(data)


def test_png_with_deep_colour_is_refused_since_it_would_go_dark() -> None:
    _, png = cv2.imencode(".png", np.full((40, 40, 3), 4095, np.uint16))
    with pytest.raises(UnsupportedImage, match="16-bit colour"):
        decode_image(png.tobytes())


def test_png_with_an_altered_byte_is_refused() -> None:
    data = bytearray(encode_png(draw_xray(1)))
    data[len(data) // 2] ^= 1
    with pytest.raises(InvalidImage):
        decode_image(bytes(data))


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    ihdr = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    idat = struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    with pytest.raises(ImageTooLarge):
        decode_image(b"\x89PNG\r\n\x1a\n" + ihdr + idat)


def test_pixel_cap_counts_pixels() -> None:
    data = encode_png(np.zeros((100, 100), np.uint8))
    assert decode_image(data, max_pixels=10_000).shape == (100, 100)
    with pytest.raises(ImageTooLarge, match="100 x 100"):
        decode_image(data, max_pixels=9_999)


def test_thumbnails_are_refused() -> None:
    with pytest.raises(InvalidImage, match="31 x 40"):
        decode_image(encode_png(np.zeros((40, 31), np.uint8)))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_give_a_picture_or_a_clear_error(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from([jpeg(1), encode_png(draw_xray(1, 64, 48))])))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode_image(bytes(whole))
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 2


def test_shrink_limits_the_longer_side_and_keeps_the_ratio() -> None:
    image = np.zeros((300, 600), np.uint8)
    assert shrink(image, 200).shape == (100, 200)
    assert shrink(image, 600) is image


def test_picture_is_shown_as_means_of_blocks_where_that_is_large_enough() -> None:
    image = draw_xray(1, 380, 280)
    blocks = image.reshape(190, 2, 140, 2).mean(axis=(1, 3))
    shown = shrink_to_show(image, 200)
    assert shown.shape == (190, 140)
    assert np.abs(shown - blocks).max() <= 0.5


@pytest.mark.parametrize("shape", [(300, 280), (381, 280), (380, 281)])
def test_picture_is_shown_as_large_as_allowed_where_blocks_do_not_fit(shape: tuple[int, int]) -> None:
    assert max(shrink_to_show(draw_xray(1, *shape), 200).shape) == 200


def test_small_picture_is_shown_as_it_is() -> None:
    image = draw_xray(1, 100, 150)
    assert shrink_to_show(image, 200) is image


def test_real_xrays_decode_like_opencv_where_both_are_exact(xray_dir: Path) -> None:
    for path in sorted((xray_dir / "images").iterdir())[:400:20]:
        data = path.read_bytes()
        expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE).astype(int)
        difference = np.abs(decode_image(data).astype(int) - expected)
        assert difference.max() <= 1, path.name
