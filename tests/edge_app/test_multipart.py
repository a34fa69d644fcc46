"""Multipart bodies are taken apart without trust in what they hold."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.errors import InvalidImage, UnsupportedImage
from edge_app.multipart import MAX_PARTS, split_parts

KIND = 'multipart/related; type="application/dicom"; boundary="XY"'
HEAD = b"Content-Type: application/dicom\r\n\r\n"


def wrapped(*parts: bytes, head: bytes = HEAD) -> bytes:
    return b"".join(b"--XY\r\n" + head + part + b"\r\n" for part in parts) + b"--XY--\r\n"


@given(st.lists(st.binary().filter(lambda part: b"\r\n--XY" not in b"\r\n" + part)))
def test_parts_come_out_as_they_went_in(parts: list[bytes]) -> None:
    assert list(split_parts(wrapped(*parts), KIND)) == parts


def test_part_without_headers_and_words_before_the_first_part_are_let_pass() -> None:
    assert list(split_parts(b"words\r\n" + wrapped(b"a", head=b"\r\n"), KIND)) == [b"a"]


@given(st.binary())
def test_anything_else_is_refused_or_gives_parts(body: bytes) -> None:
    with suppress(InvalidImage):
        assert all(part in body for part in split_parts(body, KIND))


@pytest.mark.parametrize("length", range(len(wrapped(b"a", b"b")) - 5))
def test_body_that_is_cut_short_is_told(length: int) -> None:
    with pytest.raises(InvalidImage, match="ends in the middle"):
        list(split_parts(wrapped(b"a", b"b")[:length], KIND))


def test_flood_of_parts_is_refused() -> None:
    with pytest.raises(InvalidImage, match="more than 1000 parts"):
        list(split_parts(wrapped(*[b""] * (MAX_PARTS + 1)), KIND))


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/dicom",
        'multipart/related; type="application/dicom"',
        'multipart/related; type="application/dicom+xml"; boundary=XY',
        "multipart/form-data; boundary=XY",
    ],
)
def test_other_kinds_of_bodies_are_refused(kind: str) -> None:
    with pytest.raises(UnsupportedImage, match="multipart/related"):
        list(split_parts(wrapped(b"a"), kind))
