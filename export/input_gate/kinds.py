"""Which pictures are no X-rays to accept: of some kinds the gate learns, by the others it is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.model.quality import (
    BLANK,
    DOCUMENT,
    INVERTED,
    OTHER_IMAGING,
    PHOTO_OF_SCREEN,
    PHOTOGRAPH,
    TOO_BRIGHT,
    TOO_DARK,
    UNFAMILIAR,
)
from export.input_gate import alterations, negatives, real_pictures

Picture = NDArray[np.uint8]


class Negative(NamedTuple):
    """A picture that the gate should not accept; `reason` is a code where the gate learns its kind."""

    kind: str
    reason: str | None
    picture: Picture


_DRAWN: Sequence[tuple[Callable[[np.random.Generator], Picture], str | None]] = (
    (negatives.document, DOCUMENT),
    (negatives.form, DOCUMENT),
    (negatives.screenshot, DOCUMENT),
    (negatives.chart, DOCUMENT),
    (negatives.scene, PHOTOGRAPH),
    (negatives.body_section, OTHER_IMAGING),
    (negatives.chest, OTHER_IMAGING),
    (negatives.noise, UNFAMILIAR),
    (negatives.blank, BLANK),
    (negatives.handwriting, None),
    (negatives.barcode, None),
    (negatives.abdomen, None),
)
_ALTERED: Sequence[tuple[Callable[[Picture, np.random.Generator], Picture], str | None]] = (
    (alterations.inverted, INVERTED),
    (alterations.screen_photo, PHOTO_OF_SCREEN),
    (alterations.in_viewer, DOCUMENT),
    (alterations.overexposed, TOO_BRIGHT),
    (alterations.underexposed, TOO_DARK),
    (alterations.film_photo, None),
    (alterations.in_report, None),
    (alterations.posterised, None),
    (alterations.collage, None),
)


def to_fit(xrays: Sequence[Picture], each: int, generator: np.random.Generator) -> Iterator[Negative]:
    """Make what the gate learns from.

    Args:
        xrays: X-rays of the train side, to be altered.
        each: How many pictures of each drawn kind, and about how many photographs.
        generator: Chooses all that varies.

    Yields:
        Pictures with their reasons.
    """
    for draw, reason in _DRAWN:
        if reason is not None:
            yield from (Negative(draw.__name__, reason, draw(generator)) for _ in range(each))
    for alter, reason in _ALTERED:
        if reason is not None:
            yield from (Negative(alter.__name__, reason, alter(xray, generator)) for xray in xrays)
    photographs = real_pictures.read_album(real_pictures.PHOTOGRAPHS_TO_FIT)
    for index in range(3 * each if photographs else 0):
        part = real_pictures.cropped(photographs[index % len(photographs)], generator)
        yield Negative("photograph", PHOTOGRAPH, part)
    for each_slice in real_pictures.head_slices():
        varied = (alterations.acceptable(each_slice, generator) for _ in range(each // 3))
        yield from (Negative("head_slice", OTHER_IMAGING, picture) for picture in varied)


def to_test(
    xrays: Sequence[Picture], each: int, generator: np.random.Generator, folder: Path | None
) -> Iterator[Negative]:
    """Make what the gate is judged by.

    Args:
        xrays: X-rays of the held-out side, to be altered.
        each: How many pictures of each drawn kind.
        generator: Chooses all that varies; seeded otherwise than for what is learnt from.
        folder: A folder of further pictures that are no X-rays, each sub-folder a kind.

    Yields:
        Pictures of the kinds that the gate learned from, newly drawn or made of other X-rays, and of
        kinds that it never saw.
    """
    for draw, reason in _DRAWN:
        yield from (Negative(draw.__name__, reason, draw(generator)) for _ in range(each))
    for alter, reason in _ALTERED:
        yield from (Negative(alter.__name__, reason, alter(xray, generator)) for xray in xrays)
    real = {
        "photograph, other packages": real_pictures.read_album(real_pictures.PHOTOGRAPHS_TO_TEST),
        "document, real": real_pictures.read_album(real_pictures.DOCUMENTS_TO_TEST),
        "section, real": real_pictures.read_album(real_pictures.SLICES_TO_TEST),
    }
    if folder is not None:
        real |= {
            each.name: real_pictures.read_folder(each) for each in sorted(folder.iterdir()) if each.is_dir()
        }
    for kind, pictures in real.items():
        yield from (Negative(kind, None, picture) for picture in pictures)
