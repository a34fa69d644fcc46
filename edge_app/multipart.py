"""The parts of a multipart body, as DICOMweb wraps files in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message

from edge_app.errors import InvalidImage, UnsupportedImage

MAX_PARTS = 1000
_LINE_END = b"\r\n"


def split_parts(body: bytes, content_type: str) -> Iterator[bytes]:
    """Take a body apart, a part at a time.

    Args:
        body: The body.
        content_type: The value of its `Content-Type` header, with the boundary.

    Yields:
        What each part holds, without its headers.

    Raises:
        UnsupportedImage: it is no multipart body of DICOM files.
        InvalidImage: it ends in the middle of a part, or has more than `MAX_PARTS`.

    Source:
        RFC 2046, section 5.1.1; RFC 2387; DICOM PS3.18, section 8.6.1.2.
    """
    opening = b"--" + _boundary(content_type)
    closing = _LINE_END + opening
    at = 0 if body.startswith(opening) else body.find(closing) + len(_LINE_END)
    for _ in range(MAX_PARTS):
        at += len(opening)
        if body.startswith(b"--", at):
            return
        head_end = body.find(2 * _LINE_END, at)
        end = body.find(closing, head_end + len(_LINE_END))
        if not at <= head_end < end:
            raise InvalidImage("The message ends in the middle of a part. Send it again.")
        yield body[head_end + 2 * len(_LINE_END) : end]
        at = end + len(_LINE_END)
    raise InvalidImage(f"The message has more than {MAX_PARTS} parts. Send fewer at once.")


def _boundary(content_type: str) -> bytes:
    header = Message()
    header["Content-Type"] = content_type.replace("\r", " ").replace("\n", " ")
    boundary = header.get_boundary()
    kinds = header.get_content_type(), str(header.get_param("type", "application/dicom")).lower()
    if kinds != ("multipart/related", "application/dicom") or not boundary:
        raise UnsupportedImage(
            'Expected multipart/related; type="application/dicom" with a boundary, as STOW-RS and WADO-RS '
            f"have it; received {kinds[0]}."
        )
    return boundary.encode("ascii", "replace")
