"""Drawn pictures that are no X-rays of a limb: free of any licence, the same for the same generator."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIKLMNOPRSTUVW0123456789.,:-"


def document(generator: np.random.Generator) -> Picture:
    """Draw a page of text with a heading, paragraphs, and sometimes a table."""
    height, width = _size(generator, 500, 1200)
    page = _page(height, width, generator.uniform(200, 255))
    ink = generator.uniform(0, 90)
    line_px = int(generator.integers(14, 34))
    for top in range(line_px * 2, height - line_px, line_px):
        if generator.random() < 0.85:
            _write(page, generator, top, int(0.08 * width), line_px / 40, ink)
    if generator.random() < 0.4:
        _rule(page, generator, ink)
    return _printed(page, generator)


def form(generator: np.random.Generator) -> Picture:
    """Draw a form: ruled boxes, some of them filled with a word or with a scribble."""
    height, width = _size(generator, 400, 1000)
    page = _page(height, width, generator.uniform(215, 255))
    rows, columns = generator.integers(4, 12), generator.integers(2, 5)
    ys, xs = (
        np.linspace(20, height - 20, rows).astype(int),
        np.linspace(20, width - 20, columns).astype(int),
    )
    for top, bottom in pairwise(ys):
        for left, right in pairwise(xs):
            cv2.rectangle(page, (int(left), int(top)), (int(right), int(bottom)), 60, 2)
            if generator.random() < 0.6:
                text = "".join(generator.choice(list(_LETTERS), generator.integers(3, 9)))
                cv2.putText(page, text, (int(left) + 8, int(bottom) - 10), 0, 0.6, 30, 1, cv2.LINE_AA)
            else:
                _scribble(page, generator, (int(left), int(top), int(right), int(bottom)))
    return _printed(page, generator)


def handwriting(generator: np.random.Generator) -> Picture:
    """Draw lines of pen strokes on paper."""
    height, width = _size(generator, 400, 900)
    page = _page(height, width, generator.uniform(190, 250))
    step = int(generator.integers(40, 80))
    for top in range(step, height - step, step):
        for left in range(30, width - step * 2, step * 2):
            _scribble(page, generator, (left, top, left + step * 2, top + step))
    return _printed(page, generator)


def screenshot(generator: np.random.Generator) -> Picture:
    """Draw a computer's screen: bars, panels, buttons and text, light or dark."""
    height, width = 768, int(generator.choice([1024, 1280, 1366]))
    dark = generator.random() < 0.5
    screen = _page(height, width, generator.uniform(20, 60) if dark else generator.uniform(200, 250))
    for _ in range(generator.integers(3, 9)):
        left, top = generator.integers(0, width - 200), generator.integers(0, height - 150)
        right, bottom = left + generator.integers(120, 700), top + generator.integers(60, 500)
        shade = generator.uniform(0, 255)
        cv2.rectangle(screen, (int(left), int(top)), (int(right), int(bottom)), shade, -1)
        ink = 230 if shade < 128 else 25
        for y in range(int(top) + 24, min(int(bottom), height) - 8, 26):
            _write(screen, generator, y, int(left) + 10, 0.5, ink, int(right - left) // 14)
    cv2.rectangle(screen, (0, 0), (width, 28), generator.uniform(0, 255), -1)
    return _to_bytes(screen)


def chart(generator: np.random.Generator) -> Picture:
    """Draw a chart: axes with bars or with lines."""
    height, width = _size(generator, 400, 800)
    page = _page(height, width, 255)
    left, bottom = int(0.1 * width), int(0.88 * height)
    cv2.line(page, (left, bottom), (width - 20, bottom), 0, 2)
    cv2.line(page, (left, bottom), (left, 20), 0, 2)
    values = generator.uniform(0.1, 0.95, generator.integers(5, 30))
    xs = np.linspace(left + 15, width - 35, len(values)).astype(int)
    ys = (bottom - values * (bottom - 30)).astype(int)
    if generator.random() < 0.5:
        for x, y in zip(xs, ys, strict=True):
            cv2.rectangle(page, (int(x), int(y)), (int(x) + 10, bottom), generator.uniform(40, 200), -1)
    else:
        points = np.stack([xs, ys], axis=1).reshape(-1, 1, 2).astype(np.int32)
        cv2.polylines(page, [points], False, generator.uniform(0, 120), 2, cv2.LINE_AA)
    return _to_bytes(page)


def barcode(generator: np.random.Generator) -> Picture:
    """Draw a bar code or a square code on a label."""
    side = int(generator.integers(300, 700))
    cells = generator.integers(21, 41)
    grid = generator.integers(0, 2, (cells, cells) if generator.random() < 0.5 else (1, cells * 2))
    code = cv2.resize((grid * 255).astype(np.float32), (side, side), interpolation=cv2.INTER_NEAREST)
    margin = int(generator.integers(20, 120))
    return _printed(np.pad(code, margin, constant_values=255), generator)


def noise(generator: np.random.Generator) -> Picture:
    """Draw noise: rough or smooth, even or normally distributed."""
    height, width = _size(generator, 200, 700)
    rough = generator.normal(0, 1, (height, width)).astype(np.float32)
    blur = float(generator.choice([0, 1.5, 6, 25]))
    field = cv2.GaussianBlur(rough, (0, 0), blur) if blur else rough
    return _to_bytes(128 + generator.uniform(20, 70) * field / max(float(field.std()), 1e-6))


def blank(generator: np.random.Generator) -> Picture:
    """Draw a frame that shows nothing: one grey, or a slope, with faint noise."""
    height, width = _size(generator, 200, 700)
    slope = np.linspace(0, generator.uniform(0, 60), width, dtype=np.float32)
    frame = _canvas(height, width, generator.uniform(0, 255)) + slope
    return _to_bytes(frame + generator.normal(0, generator.uniform(0, 3), frame.shape))


def scene(generator: np.random.Generator) -> Picture:
    """Draw a scene: a sky, a ground, and many overlapping shapes with edges."""
    height, width = _size(generator, 300, 900)
    picture = _canvas(height, width, generator.uniform(60, 220))
    picture += np.linspace(-60, 60, height, dtype=np.float32)[:, None] * generator.choice([-1, 1])
    for _ in range(generator.integers(20, 120)):
        centre = generator.uniform(0, 1, 2) * (width, height)
        corners = centre + generator.normal(0, generator.uniform(10, 120), (generator.integers(3, 8), 2))
        cv2.fillPoly(picture, [corners.astype(np.int32).reshape(-1, 1, 2)], generator.uniform(0, 255))
    return _to_bytes(
        cv2.GaussianBlur(picture, (0, 0), generator.uniform(0.5, 2)) + _grain(generator, picture)
    )


def body_section(generator: np.random.Generator) -> Picture:
    """Draw a slice through a trunk or a head as computed tomography shows it."""
    side = int(generator.integers(256, 513))
    picture = _canvas(side, side, 0)
    middle = np.array([side / 2, side / 2]) + generator.normal(0, 8, 2)
    wide, high = side * generator.uniform(0.3, 0.46), side * generator.uniform(0.24, 0.4)
    _ellipse(picture, middle, wide, high, generator.uniform(70, 120))
    _ellipse(picture, middle, wide * 0.92, high * 0.9, generator.uniform(110, 160))
    if generator.random() < 0.4:
        _ellipse(picture, middle, wide, high, 250, thickness=int(generator.integers(6, 16)))
    for _ in range(generator.integers(4, 14)):
        at = middle + generator.normal(0, 0.4, 2) * (wide, high)
        size = generator.uniform(0.05, 0.32) * wide
        _ellipse(picture, at, size, size * generator.uniform(0.5, 1), generator.uniform(20, 190))
    spine = middle + np.array([0, high * 0.62])
    _ellipse(picture, spine, wide * 0.13, wide * 0.12, 240)
    _ellipse(picture, spine + np.array([0, wide * 0.02]), wide * 0.05, wide * 0.05, 120)
    for angle in np.linspace(0.3, 2 * np.pi - 0.3, generator.integers(6, 12)):
        at = middle + 0.85 * np.array([wide * np.sin(angle), -high * np.cos(angle)])
        _ellipse(picture, at, wide * 0.07, wide * 0.03, 235, np.degrees(angle))
    return _to_bytes(cv2.GaussianBlur(picture, (0, 0), 1.2) + _grain(generator, picture))


def chest(generator: np.random.Generator) -> Picture:
    """Draw a chest as a radiograph shows it: two dark lungs, ribs, spine, heart, shoulders."""
    height, width = int(generator.integers(450, 900)), int(generator.integers(450, 900))
    picture = _canvas(height, width, generator.uniform(120, 170))
    for side in (-1, 1):
        lung = np.array([width * (0.5 + side * generator.uniform(0.18, 0.24)), height * 0.46])
        _ellipse(picture, lung, width * generator.uniform(0.14, 0.19), height * 0.33, 45, side * 6)
        for top in np.linspace(0.14, 0.72, generator.integers(7, 11)) * height:
            at = (round(width * (0.5 + side * 0.2)), round(top))
            axes = (round(width * 0.21), round(height * 0.08))
            cv2.ellipse(
                picture, at, axes, side * 18, 180, 360, generator.uniform(95, 130), round(height * 0.017)
            )
    _ellipse(picture, np.array([width * 0.5, height * 0.5]), width * 0.045, height * 0.6, 195)
    _ellipse(picture, np.array([width * 0.56, height * 0.62]), width * 0.14, height * 0.15, 185, 35)
    _ellipse(picture, np.array([width * 0.5, height * 0.95]), width * 0.46, height * 0.2, 200)
    return _to_bytes(cv2.GaussianBlur(picture, (0, 0), height / 120) + _grain(generator, picture))


def abdomen(generator: np.random.Generator) -> Picture:
    """Draw an abdomen as a radiograph shows it: spine, lower ribs, pelvis, gas."""
    height, width = int(generator.integers(500, 900)), int(generator.integers(400, 800))
    picture = _canvas(height, width, generator.uniform(90, 140))
    for y in np.linspace(0.02, 0.7, 8) * height:
        _ellipse(picture, np.array([width / 2, y]), width * 0.07, height * 0.036, 190)
    for side in (-1, 1):
        hip = np.array([width * (0.5 + side * 0.26), height * 0.82])
        _ellipse(picture, hip, width * 0.2, height * 0.15, 175, side * 35)
        _ellipse(picture, hip + np.array([side * -8, 70]), width * 0.06, height * 0.05, 80)
        for y in np.linspace(0.03, 0.25, 4) * height:
            start, end = (width * (0.5 + side * 0.08), y), (width * (0.5 + side * 0.42), y + height * 0.1)
            cv2.line(picture, _point(start), _point(end), 150, round(height * 0.018))
    for _ in range(generator.integers(6, 20)):
        at = generator.uniform(0.2, 0.8, 2) * (width, height)
        _ellipse(picture, at, width * 0.06, height * 0.03, 45, generator.uniform(0, 180))
    return _to_bytes(cv2.GaussianBlur(picture, (0, 0), height / 130) + _grain(generator, picture))


def _size(generator: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    return int(generator.integers(low, high)), int(generator.integers(low, high))


def _canvas(height: int, width: int, grey: float) -> NDArray[np.float32]:
    return np.full((height, width), grey, np.float32)


def _page(height: int, width: int, grey: float) -> Picture:
    return np.full((height, width), int(grey), np.uint8)


def _write(
    page: Picture,
    generator: np.random.Generator,
    baseline: int,
    left: int,
    scale: float,
    ink: float,
    longest: int = 70,
) -> None:
    words = ["".join(generator.choice(list(_LETTERS), generator.integers(1, 10))) for _ in range(12)]
    text = " ".join(words)[: int(generator.integers(2, max(4, longest)))]
    font = int(generator.choice(_FONTS))
    cv2.putText(page, text, (left, baseline), font, scale, ink, 1 + (scale > 0.7), cv2.LINE_AA)


def _rule(page: Picture, generator: np.random.Generator, ink: float) -> None:
    height, width = page.shape
    top, bottom = int(height * generator.uniform(0.3, 0.5)), int(height * generator.uniform(0.6, 0.9))
    for y in np.linspace(top, bottom, 7).astype(int):
        cv2.line(page, (int(0.08 * width), int(y)), (int(0.9 * width), int(y)), ink, 1)
    for x in np.linspace(0.08 * width, 0.9 * width, 4).astype(int):
        cv2.line(page, (int(x), top), (int(x), bottom), ink, 1)


def _scribble(page: Picture, generator: np.random.Generator, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    steps = np.linspace(0, 1, 60)
    wave = sum(
        generator.normal() * np.sin(2 * np.pi * k * steps + generator.uniform(0, 6)) for k in range(1, 9)
    )
    xs = left + (right - left) * (0.1 + 0.8 * steps)
    ys = (top + bottom) / 2 + (bottom - top) * 0.12 * np.asarray(wave)
    points = np.stack([xs, ys], axis=1).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(
        page, [points], False, generator.uniform(0, 110), int(generator.integers(1, 4)), cv2.LINE_AA
    )


def _ellipse(
    picture: NDArray[np.float32],
    at: NDArray[np.float64],
    wide: float,
    high: float,
    grey: float,
    angle: float = 0.0,
    thickness: int = -1,
) -> None:
    axes = (max(1, round(wide)), max(1, round(high)))
    cv2.ellipse(picture, _point(tuple(at)), axes, float(angle), 0, 360, float(grey), thickness, cv2.LINE_AA)


def _point(point: tuple[float, ...]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _grain(generator: np.random.Generator, picture: NDArray[np.float32]) -> NDArray[np.float64]:
    return generator.normal(0, generator.uniform(1, 8), picture.shape)


def _printed(page: NDArray[np.float32] | Picture, generator: np.random.Generator) -> Picture:
    """Let paper look scanned or photographed: a little turned, unevenly lit, with grain."""
    height, width = page.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), generator.normal(0, 2), 1)
    turned = cv2.warpAffine(page.astype(np.float32), turn, (width, height), borderValue=float(page[0, 0]))
    light = np.linspace(1, generator.uniform(0.75, 1), height, dtype=np.float32)[:, None]
    return _to_bytes(turned * light + generator.normal(0, generator.uniform(0, 5), page.shape))


def _to_bytes(picture: NDArray[np.floating] | Picture) -> Picture:
    return np.clip(picture, 0, 255).astype(np.uint8)
