from __future__ import annotations

import io

import pytest
from PIL import Image

from edge_app.imaging.jpeg import is_sequential


def test_frame_header_tells_how_a_picture_is_coded() -> None:
    assert is_sequential(drawn_jpeg())
    assert not is_sequential(drawn_jpeg(progressive=True))


@pytest.mark.parametrize("marker", [b"\xff\xc9", b"\xff\xca"])
def test_arithmetic_coding_is_another_one(marker: bytes) -> None:
    assert not is_sequential(drawn_jpeg().replace(b"\xff\xc0", marker))


def test_thumbnail_s_frame_header_is_not_the_picture_s() -> None:
    thumbnail = drawn_jpeg(progressive=True)
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = drawn_jpeg()
    assert is_sequential(data[:2] + segment + data[2:])


def test_without_a_frame_header_nothing_is_told_of_the_coding() -> None:
    assert not is_sequential(b"\xff\xd8\xff\xd9")


def drawn_jpeg(progressive: bool = False) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").save(file, "JPEG", progressive=progressive)
    return file.getvalue()
