"""Drawn X-rays, free of any patient, and the golden cases that are made of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.images import decode_image, encode_png
from edge_app.imaging.preprocess import preprocess
from edge_app.model.golden import CanExplain
from edge_app.model.inference import Explanation

_GOLDEN = (True, False, True)
_BACKGROUND = 18
_SOFT_TISSUE = 62
_BONE = 150
_CORTEX = 205
_CRACK = 78
_MARKER = 235


def draw_xray(seed: int, height: int = 454, width: int = 373, fractured: bool = False) -> NDArray[np.uint8]:
    """Draw a forearm-like limb: soft tissue, two long bones with joints, noise, a side marker.

    Args:
        seed: Chooses shape, tilt and noise.
        height: In pixels.
        width: In pixels.
        fractured: Whether a dark, displaced line crosses one bone.

    Returns:
        uint8 (H, W).
    """
    generator = np.random.default_rng(seed)
    picture = np.full((height, width), _BACKGROUND, np.float32)
    top, bottom = (-0.1 * height, 1.1 * height)
    centre = width * generator.uniform(0.46, 0.54)
    tilt = width * generator.uniform(-0.08, 0.08)
    limb = width * generator.uniform(0.20, 0.25)
    _draw_shaft(picture, (centre - tilt, top), (centre + tilt, bottom), limb, _SOFT_TISSUE)
    for side, share in ((-0.45, 0.30), (0.45, 0.24)):
        start, end = (centre - tilt + side * limb, top), (centre + tilt + side * limb, bottom)
        _draw_shaft(picture, start, end, share * limb, _CORTEX)
        _draw_shaft(picture, start, end, 0.6 * share * limb, _BONE)
        joint = _between(start, end, 0.93)
        cv2.ellipse(picture, joint, _axes(0.42 * limb, 0.22 * limb), 0, 0, 360, _CORTEX, -1)
        cv2.ellipse(picture, joint, _axes(0.36 * limb, 0.17 * limb), 0, 0, 360, _BONE, -1)
    if fractured:
        _draw_crack(picture, centre - 0.45 * limb, generator.uniform(0.4, 0.6) * height, 0.3 * limb)
    _draw_marker(picture)
    blurred = cv2.GaussianBlur(picture, (0, 0), 1.4)
    noisy = blurred + generator.normal(0, 3.5, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def draw_pictures() -> dict[str, bytes]:
    """Draw the pictures of the golden cases: three X-rays, two of them fractured, as PNG files by name."""
    return {
        f"golden-{number}.png": encode_png(draw_xray(number, fractured=fractured))
        for number, fractured in enumerate(_GOLDEN, start=1)
    }


def record_cases(
    pictures: Mapping[str, bytes], models: Mapping[str, CanExplain], size_px: int
) -> list[dict[str, Any]]:
    """Record how each variant explains each picture.

    Args:
        pictures: PNG files by name.
        models: The variants by name.
        size_px: The model's input side in pixels.

    Returns:
        The manifest's `golden`.

    Raises:
        ModelError: a variant gives no number.
    """
    tensors = {name: preprocess(decode_image(data), size_px) for name, data in pictures.items()}
    return [
        {
            "picture": picture,
            "expected": {variant: _as_json(model.explain(tensor)) for variant, model in models.items()},
        }
        for picture, tensor in tensors.items()
    ]


def _as_json(explanation: Explanation) -> dict[str, Any]:
    heatmap = base64.b64encode(explanation.heatmap.astype("<f4").tobytes()).decode()
    return {"probability": explanation.probability, "heatmap": heatmap}


def _draw_shaft(
    picture: NDArray[np.float32],
    start: tuple[float, float],
    end: tuple[float, float],
    half_width: float,
    grey: float,
) -> None:
    cv2.line(picture, _point(start), _point(end), grey, max(1, round(2 * half_width)))


def _draw_crack(picture: NDArray[np.float32], x: float, y: float, half_width: float) -> None:
    steps = np.linspace(-1.3, 1.3, 7)
    zigzag = [(x + step * half_width, y + 9 * step + 5 * (i % 2)) for i, step in enumerate(steps)]
    points = np.array(zigzag, np.int32).reshape(-1, 1, 2)
    cv2.polylines(picture, [points], False, _CRACK, 4)


def _draw_marker(picture: NDArray[np.float32]) -> None:
    letter_l = np.array([(14, 14), (14, 38), (28, 38)], np.int32).reshape(-1, 1, 2)
    cv2.polylines(picture, [letter_l], False, _MARKER, 3)


def _between(start: tuple[float, float], end: tuple[float, float], share: float) -> tuple[int, int]:
    return _point(tuple(a + share * (b - a) for a, b in zip(start, end, strict=True)))


def _point(point: tuple[float, ...]) -> tuple[int, int]:
    return round(point[0]), round(point[1])


def _axes(width: float, height: float) -> tuple[int, int]:
    return max(1, round(width)), max(1, round(height))
