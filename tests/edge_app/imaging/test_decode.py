from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import ImageTooLarge
from edge_app.imaging.decode import decode
from edge_app.imaging.images import encode_png
from edge_app.imaging.picture import DicomHeader, Picture
from edge_app.predictor import Predictor


def test_png_becomes_a_picture_without_a_header() -> None:
    image = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64).astype(np.uint8)
    picture = decode(encode_png(image))
    np.testing.assert_array_equal(picture.pixels, image)
    assert picture.header is None


def test_pixel_cap_holds_for_the_decoder_as_an_object() -> None:
    with pytest.raises(ImageTooLarge, match="100 x 100"):
        partial(decode, max_pixels=9_999)(encode_png(np.zeros((100, 100), np.uint8)))


def test_prediction_carries_what_the_decoder_says_about_the_picture(toy_bundle: Path) -> None:
    header = DicomHeader("1.2", "1.2.3", "1.2.4", "1.2.5", "DX", body_part="HAND", laterality="L")
    decoder = {b"one file": Picture(np.full((40, 60), 255, np.uint8), header)}.__getitem__
    prediction = Predictor(toy_bundle, device="cpu", decoder=decoder).predict(b"one file")
    assert prediction.header == header
    assert prediction.size_px == (40, 60)
    assert prediction.picture.min() == 255
