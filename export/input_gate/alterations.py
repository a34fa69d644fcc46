"""X-rays as they should not arrive: inverted, badly exposed, photographed from a screen or a light box."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from export.input_gate.negatives import document, screenshot

Picture = NDArray[np.uint8]


def inverted(xray: Picture, generator: np.random.Generator) -> Picture:
    """Turn black into white, as a viewer does on a wrong click."""
    return np.asarray(255 - xray, np.uint8)


def overexposed(xray: Picture, generator: np.random.Generator) -> Picture:
    """Raise the grey values until at least half of what shows anything is plain white."""
    return _bytes((xray.astype(np.float32) - np.percentile(xray, 10)) * _gain(xray, 10, 50))


def underexposed(xray: Picture, generator: np.random.Generator) -> Picture:
    """Lower the grey values until nine tenths are plain black."""
    return _bytes(xray.astype(np.float32) - np.percentile(xray, generator.uniform(90, 97)))


def posterised(xray: Picture, generator: np.random.Generator) -> Picture:
    """Leave black and white only, as a fax or a threshold does."""
    return np.where(xray > np.percentile(xray, generator.uniform(40, 80)), 255, 0).astype(np.uint8)


def screen_photo(xray: Picture, generator: np.random.Generator) -> Picture:
    """Photograph a screen with a phone: tilted, with its frame, stripes of its pixels, and a reflection."""
    screen = _upright(xray, 700).astype(np.float32)
    screen = 30 + screen * generator.uniform(0.55, 0.85)
    screen = _framed(screen, generator.uniform(5, 40), generator.integers(12, 70))
    screen = _framed(screen, generator.uniform(60, 220), generator.integers(20, 160))
    photo = _tilted(screen, generator, 0.10)
    photo *= 1 + generator.uniform(0.05, 0.16) * _moire(photo.shape, generator)
    return _bytes(photo + _glare(photo.shape, generator) + generator.normal(0, 4, photo.shape))


def film_photo(xray: Picture, generator: np.random.Generator) -> Picture:
    """Photograph a film on a light box or against a window: bright all around, tilted, uneven."""
    film = _framed(_upright(xray, 600).astype(np.float32) * 0.85 + 10, generator.uniform(225, 255), 90)
    photo = _tilted(film, generator, 0.12)
    return _bytes(photo + _glare(photo.shape, generator) * 0.5 + generator.normal(0, 3, photo.shape))


def in_viewer(xray: Picture, generator: np.random.Generator) -> Picture:
    """Capture a viewer's whole window with an X-ray in a part of it."""
    window = screenshot(generator).copy()
    _inlay(window, xray, generator, 0.25, 0.6)
    return window


def in_report(xray: Picture, generator: np.random.Generator) -> Picture:
    """Print a small X-ray on a page of text."""
    page = document(generator).copy()
    _inlay(page, xray, generator, 0.2, 0.45)
    return page


def collage(xray: Picture, generator: np.random.Generator) -> Picture:
    """Lay twelve small pictures of a study out on one sheet."""
    small = cv2.resize(xray, (160, 200), interpolation=cv2.INTER_AREA)
    tiles = [[np.clip(small * generator.uniform(0.6, 1.2), 0, 255) for _ in range(4)] for _ in range(3)]
    tiles = [[np.pad(tile, 10) for tile in row] for row in tiles]
    return np.block(tiles).astype(np.uint8)


def acceptable(xray: Picture, generator: np.random.Generator) -> Picture:
    """Vary an X-ray within what should still be accepted: tone, size, turn, blur, grain, side."""
    picture = 255 * (xray / np.float32(255)) ** generator.uniform(0.75, 1.35)
    picture = picture * generator.uniform(0.85, 1.1) + generator.uniform(-8, 12)
    if generator.random() < 0.5:
        picture = picture[:, ::-1]
    if generator.random() < 0.3:
        picture = np.rot90(picture, int(generator.integers(1, 4)))
    picture = np.ascontiguousarray(picture, np.float32)
    height, width = picture.shape
    turn = cv2.getRotationMatrix2D(
        (width / 2, height / 2), generator.normal(0, 7), generator.uniform(0.9, 1.15)
    )
    picture = cv2.warpAffine(picture, turn, (width, height))
    if generator.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), generator.uniform(0.4, 1.3))
    return _bytes(picture + generator.normal(0, generator.uniform(0, 4), picture.shape))


def _gain(xray: Picture, low: float, high: float) -> float:
    dark, bright = np.percentile(xray, [low, high])
    return float(255 / max(4.0, bright - dark))


def _upright(xray: Picture, height_px: int) -> Picture:
    scale = height_px / xray.shape[0]
    return cv2.resize(xray, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)


def _framed(picture: NDArray[np.float32], grey: float, width_px: int | np.integer) -> NDArray[np.float32]:
    return np.pad(picture, int(width_px), constant_values=grey)


def _tilted(
    picture: NDArray[np.float32], generator: np.random.Generator, share: float
) -> NDArray[np.float32]:
    """See a flat picture at a slant: each corner moves by up to `share` of the side."""
    height, width = picture.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + generator.uniform(-share, share, (4, 2)).astype(np.float32) * (width, height)
    warp = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return cv2.warpPerspective(picture, warp, (width, height), borderMode=cv2.BORDER_REPLICATE)


def _moire(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    waves = np.zeros(shape, np.float32)
    for _ in range(2):
        period_px, angle = generator.uniform(2.5, 14), generator.uniform(0, np.pi)
        bend = 1e-4 * generator.normal() * rows**2
        waves += np.sin(2 * np.pi * (columns * np.cos(angle) + rows * np.sin(angle) + bend) / period_px)
    return np.asarray(waves / 2, np.float32)


def _glare(shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    y, x = generator.uniform(0, 1, 2) * shape
    spread = generator.uniform(0.1, 0.3) * max(shape)
    distance = ((rows - y) ** 2 + (columns - x) ** 2) / (2 * spread**2)
    return np.asarray(generator.uniform(20, 140) * np.exp(-distance), np.float32)


def _inlay(
    page: Picture, xray: Picture, generator: np.random.Generator, smallest: float, largest: float
) -> None:
    """Put an X-ray somewhere onto a page, over a share of its height."""
    height = int(page.shape[0] * generator.uniform(smallest, largest))
    width = min(page.shape[1] - 1, max(1, round(xray.shape[1] * height / xray.shape[0])))
    top, left = generator.integers(0, page.shape[0] - height), generator.integers(0, page.shape[1] - width)
    page[top : top + height, left : left + width] = cv2.resize(xray, (width, height))


def _bytes(picture: NDArray[np.floating]) -> Picture:
    return np.clip(picture, 0, 255).astype(np.uint8)
