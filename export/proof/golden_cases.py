"""Golden cases: drawn pictures, and what each variant must answer to them in the clinic."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from edge_app.imaging.images import decode_image, encode_png
from edge_app.imaging.preprocess import to_square
from export.proof.drawn import draw_xray
from export.proof.judge import Answer, Judge

_FRACTURED = (True, False, True)


def draw_pictures() -> dict[str, bytes]:
    """Draw three X-rays, two of them fractured, as PNG files by name."""
    return {
        f"golden-{number}.png": encode_png(draw_xray(number, fractured=fractured))
        for number, fractured in enumerate(_FRACTURED, start=1)
    }


def record_cases(
    pictures: Mapping[str, bytes], judges: Mapping[str, Judge], size_px: int
) -> list[dict[str, Any]]:
    """Record what each variant answers to each picture.

    Args:
        pictures: PNG files by name.
        judges: The variants by name.
        size_px: The model's input side in pixels.

    Returns:
        The manifest's `golden`.

    Raises:
        ModelError: a variant gives no number.
    """
    squares = {name: to_square(decode_image(data), size_px) for name, data in pictures.items()}
    return [
        {
            "picture": picture,
            "expected": {variant: _told(judge(square)) for variant, judge in judges.items()},
        }
        for picture, square in squares.items()
    ]


def _told(answer: Answer) -> dict[str, Any]:
    heatmap = base64.b64encode(answer.heatmap.astype("<f4").tobytes()).decode()
    return {"probability": answer.probability, "heatmap": heatmap}
