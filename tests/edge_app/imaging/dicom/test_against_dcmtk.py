from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from edge_app.imaging.decode import decode
from edge_app.imaging.images import decode_image, encode_png
from edge_app.predictor import Predictor
from export.proof.drawn import draw_xray
from tests.dicom_files import as_jpeg_2000, converted, rendered, to_bytes, xray_dataset, xray_file

FIRST_WINDOW = ("+Wi", "1")
FIRST_LUT = ("+Wl", "1")
ALL_LEVELS = ("-W",)
CONVERSIONS = {
    "explicit little endian": ("dcmconv", "+te"),
    "implicit little endian": ("dcmconv", "+ti"),
    "explicit big endian": ("dcmconv", "+tb"),
    "deflated": ("dcmconv", "+td"),
    "RLE": ("dcmcrle",),
    "JPEG baseline": ("dcmcjpeg", "+eb"),
    "JPEG extended": ("dcmcjpeg", "+ee"),
    "JPEG lossless": ("dcmcjpeg", "+el"),
    "JPEG lossless, first order": ("dcmcjpeg", "+e1"),
    "JPEG-LS lossless": ("dcmcjpls", "+el"),
    "JPEG-LS near-lossless": ("dcmcjpls", "+en"),
}


def deep(bits: int) -> np.ndarray:
    """Return a drawn X-ray of so many bits, each level of them in use, as uint16."""
    noise = np.random.default_rng(1).integers(0, 2 ** (bits - 8), (454, 373))
    return (draw_xray(1, fractured=True).astype(np.uint16) << (bits - 8)) + noise.astype(np.uint16)


def lut(first: int, entries: list[int], bits: int) -> list[Dataset]:
    item = Dataset()
    item.add_new(0x00283002, "US", [len(entries), first, bits])
    item.add_new(0x00283006, "US", entries)
    return [item]


def assert_alike(data: bytes, expected: np.ndarray, levels: int = 1) -> None:
    difference = np.abs(decode(data).pixels.astype(int) - expected)
    assert difference.max() <= levels


@pytest.mark.parametrize("name", CONVERSIONS)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_every_transfer_syntax_looks_as_dcmtk_shows_it(name: str, bits: int, tmp_path: Path) -> None:
    if name == "JPEG baseline" and bits > 8:
        pytest.skip("JPEG baseline has 8 bits")
    if name == "JPEG extended" and bits > 12:
        pytest.skip("JPEG extended has 12 bits at most")
    pixels = draw_xray(1) if bits == 8 else deep(bits)
    half = 2 ** (bits - 1)
    plain = xray_file(pixels, bits, WindowCenter=half, WindowWidth=2 * half)
    data = converted(plain, tmp_path, *CONVERSIONS[name])
    assert_alike(data, rendered(data, tmp_path, *FIRST_WINDOW), 2)


@pytest.mark.parametrize(("level", "levels"), [(0, 1), (60, 3)])
@pytest.mark.parametrize("bits", [8, 12])
def test_jpeg_2000_looks_as_dcmtk_shows_what_it_was_made_from(
    bits: int, level: int, levels: int, tmp_path: Path
) -> None:
    pixels = draw_xray(1) if bits == 8 else deep(bits)
    half = 2 ** (bits - 1)
    dataset = xray_dataset(pixels, bits, WindowCenter=half, WindowWidth=2 * half)
    expected = rendered(to_bytes(dataset), tmp_path, *FIRST_WINDOW)
    assert_alike(as_jpeg_2000(dataset, pixels, level), expected, levels)


@pytest.mark.parametrize(
    ("attributes", "options"),
    [
        ({"WindowCenter": 1500, "WindowWidth": 1800}, FIRST_WINDOW),
        ({"WindowCenter": [1500, 900], "WindowWidth": [1800, 300]}, FIRST_WINDOW),
        (
            {"WindowCenter": 1500, "WindowWidth": 1800, "PhotometricInterpretation": "MONOCHROME1"},
            FIRST_WINDOW,
        ),
        (
            {"WindowCenter": 500, "WindowWidth": 900, "RescaleSlope": "0.5", "RescaleIntercept": "-100"},
            FIRST_WINDOW,
        ),
        ({"WindowCenter": 1500, "WindowWidth": 1800, "VOILUTFunction": "SIGMOID"}, FIRST_WINDOW),
        ({"VOILUTSequence": lut(100, list(range(0, 4096, 2)), 12)}, FIRST_LUT),
        (
            {"VOILUTSequence": lut(100, list(range(0, 4096, 2)), 12), "WindowCenter": 9, "WindowWidth": 9},
            FIRST_LUT,
        ),
        (
            {
                "ModalityLUTSequence": lut(0, [4095 - n for n in range(4096)], 12),
                "WindowCenter": 2000,
                "WindowWidth": 3000,
            },
            FIRST_WINDOW,
        ),
    ],
    ids=[
        *("window", "first of two", "MONOCHROME1", "rescaled", "sigmoid", "LUT", "LUT before window"),
        "modality LUT",
    ],
)
@pytest.mark.parametrize("syntax", ["+te", "+ti"])
def test_window_and_tables_look_as_dcmtk_shows_them(
    attributes: dict[str, Any], options: tuple[str, ...], syntax: str, tmp_path: Path
) -> None:
    data = converted(xray_file(deep(12), 12, **attributes), tmp_path, "dcmconv", syntax)
    assert_alike(data, rendered(data, tmp_path, *options), 2)


def test_signed_values_look_as_dcmtk_shows_them(tmp_path: Path) -> None:
    signed = (deep(12).astype(np.int32) - 2048).astype(np.int16)
    data = xray_file(signed, 12, WindowCenter=0, WindowWidth=4096)
    assert_alike(data, rendered(data, tmp_path, *FIRST_WINDOW))


def test_eight_bits_without_a_window_are_shown_as_stored(tmp_path: Path) -> None:
    data = xray_file(draw_xray(1))
    np.testing.assert_array_equal(decode(data).pixels, draw_xray(1))
    assert_alike(data, rendered(data, tmp_path, *ALL_LEVELS))


def test_bits_above_those_stored_are_no_part_of_the_picture(tmp_path: Path) -> None:
    with_overlay = deep(12)
    with_overlay[::3] |= 0x8000
    data = xray_file(with_overlay, 12, WindowCenter=2048, WindowWidth=4096)
    expected = xray_file(deep(12), 12, WindowCenter=2048, WindowWidth=4096)
    np.testing.assert_array_equal(decode(data).pixels, decode(expected).pixels)
    assert_alike(data, rendered(data, tmp_path, *FIRST_WINDOW))


def test_real_xrays_look_as_dcmtk_shows_them(xray_dir: Path, tmp_path: Path) -> None:
    for path in sorted((xray_dir / "images").iterdir())[:200:40]:
        grey = decode_image(path.read_bytes())
        data = converted(xray_file(grey), tmp_path, "dcmcjpls", "+el")
        np.testing.assert_array_equal(decode(data).pixels, grey, path.name)
        assert_alike(data, rendered(data, tmp_path, *ALL_LEVELS))
        twelve = xray_file(grey.astype(np.uint16) * 16, 12, WindowCenter=2040.5, WindowWidth=4081)
        data = converted(twelve, tmp_path, "dcmcjpeg", "+e1")
        assert_alike(data, rendered(data, tmp_path, *FIRST_WINDOW))
        assert_alike(data, grey)


def test_dicom_is_judged_as_the_png_it_was_made_from(default_predictor: Predictor, tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        grey = draw_xray(seed, fractured=seed != 2)
        expected = default_predictor.predict(encode_png(grey)).probability
        twelve = xray_file(grey.astype(np.uint16) * 16, 12, WindowCenter=2040.5, WindowWidth=4081)
        inverted = xray_file(255 - grey, PhotometricInterpretation="MONOCHROME1")
        for data in (xray_file(grey), twelve, inverted):
            assert default_predictor.predict(data).probability == pytest.approx(expected, abs=1e-3)
