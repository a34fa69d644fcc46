"""The input gate: whether a picture is an X-ray that the model can judge, from what is computed anyway."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import BundleError

XRAY = "xray"
PHOTOGRAPH, DOCUMENT, OTHER_IMAGING = "photograph", "document", "other_imaging"
INVERTED, PHOTO_OF_SCREEN, UNFAMILIAR = "inverted", "photo_of_screen", "unfamiliar"
BLANK, TOO_BRIGHT, TOO_DARK, COLOURED = "blank", "too_bright", "too_dark", "coloured"
REASONS = (
    PHOTOGRAPH,
    DOCUMENT,
    OTHER_IMAGING,
    INVERTED,
    PHOTO_OF_SCREEN,
    BLANK,
    TOO_BRIGHT,
    TOO_DARK,
    UNFAMILIAR,
    COLOURED,
)
# What these are is certainly no X-ray; the others may show one, though not as it should be shown.
_NEVER_XRAY = (PHOTOGRAPH, DOCUMENT, BLANK)
# X-rays spread over more grey levels, and have fewer pixels that are quite white or black. Of 3,147 X-rays
# of FracAtlas the extremes were 69 levels, 0.2 % white and 65 % black.
_SMALLEST_SPREAD = 40
_NOTHING_SHOWS = 12
_LARGEST_WHITE_SHARE = 0.10
_LARGEST_BLACK_SHARE = 0.85
_WHITE, _BLACK = 254, 1
_LOOK_PX = 192
_ADVICE = "Install the model bundle again."


class Quality(NamedTuple):
    """What the gate says of a picture.

    `accepted` tells whether it is what the model was made for; `reasons` are the codes why not. `is_xray`
    is false where the picture is certainly none.
    """

    accepted: bool
    reasons: tuple[str, ...]
    is_xray: bool


@dataclass(frozen=True)
class Distance:
    """How far an average lies from those of X-rays.

    `mean` is float32 (C,), `whitening` float32 (C, C): a normalised average, less the mean, times the
    whitening has the Mahalanobis distance as its length. Up to `limit` it is accepted.

    Source:
        Mueller & Hein, Mahalanobis++: Improving OOD Detection via Feature Normalization, ICML 2025.
    """

    mean: NDArray[np.float32]
    whitening: NDArray[np.float32]
    limit: float

    def __call__(self, averages: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the distances of averages, float32 (..., C) to float32 (...)."""
        return np.asarray(np.linalg.norm((normalised(averages) - self.mean) @ self.whitening, axis=-1))


@dataclass(frozen=True)
class InputGate:
    """A logistic head and a distance at each depth.

    `kinds` names the classes of the head, X-rays first, the others by the code of a reason; `weights` is
    float32 (C, K) for the normalised averages of all depths side by side, `bias` float32 (K,). The head
    accepts from the log-odds `acceptance` of an X-ray up, and is certain that it is none below `refusal`.
    """

    kinds: Sequence[str]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    distances: Sequence[Distance]
    acceptance: float
    refusal: float

    def judge(
        self, averages: Sequence[NDArray[np.float32]], seen: NDArray[np.number], is_coloured: bool = False
    ) -> Quality:
        """Judge one picture.

        Args:
            averages: At each depth float32 (C,).
            seen: (h, w), 0..255, the picture as the model sees it, without padding.
            is_coloured: Whether its file showed colours.

        Returns:
            What the gate says.
        """
        spread, faults = exposure(seen)
        scores = self.scores(averages)
        odds = float(log_odds(scores))
        is_far = any(
            distance(average) > distance.limit
            for distance, average in zip(self.distances, averages, strict=True)
        )
        likeliest = self.kinds[1 + int(scores[1:].argmax())]
        reasons = list(faults)
        if odds < self.acceptance and likeliest not in reasons:
            reasons.append(likeliest)
        if is_far and not reasons:
            reasons.append(UNFAMILIAR)
        if is_coloured:
            reasons.append(COLOURED)
        is_other = odds < self.refusal and is_far and likeliest in _NEVER_XRAY
        return Quality(not reasons, tuple(reasons), spread >= _NOTHING_SHOWS and not is_other)

    def scores(self, averages: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Score each kind, float32 (..., K), from averages float32 (..., C) at each depth."""
        return np.concatenate([normalised(each) for each in averages], axis=-1) @ self.weights + self.bias


def log_odds(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the log-odds of the first kind against all others, float32 (..., K) to float32 (...)."""
    others = scores[..., 1:]
    largest = others.max(axis=-1)
    return np.asarray(scores[..., 0] - largest - np.log(np.exp(others - largest[..., None]).sum(axis=-1)))


def normalised(averages: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale averages, float32 (..., C), to length 1; what is all zero stays."""
    length = np.linalg.norm(averages, axis=-1, keepdims=True)
    return np.asarray(averages / np.maximum(length, np.float32(1e-12)))


def exposure(seen: NDArray[np.number]) -> tuple[int, tuple[str, ...]]:
    """Count grey levels.

    Args:
        seen: (h, w), 0..255.

    Returns:
        Over how many levels the middle 98 % of the pixels spread, and the codes of what is wrong.
    """
    step = max(1, max(seen.shape) // _LOOK_PX)
    pixels = seen[::step, ::step].astype(np.uint8).ravel()
    below = np.bincount(pixels, minlength=256).cumsum() / pixels.size
    darkest, brightest = np.searchsorted(below, (0.01, 0.99))
    spread = int(brightest - darkest)
    if spread < _SMALLEST_SPREAD:
        return spread, (BLANK,)
    faults = {
        TOO_BRIGHT: 1 - below[_WHITE - 1] > _LARGEST_WHITE_SHARE,
        TOO_DARK: below[_BLACK] > _LARGEST_BLACK_SHARE,
    }
    return spread, tuple(code for code, applies in faults.items() if applies)


def pack_gate(gate: InputGate) -> bytes:
    """Write the arrays of a gate, as NumPy's own archive of numbers.

    Args:
        gate: The gate; its kinds and limits go into the manifest.

    Returns:
        The file's bytes, the same for the same gate.
    """
    arrays = {"weights": gate.weights, "bias": gate.bias}
    for depth, distance in enumerate(gate.distances):
        arrays |= {f"mean_{depth}": distance.mean, f"whitening_{depth}": distance.whitening}
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # its stubs take the names for other arguments
    return file.getvalue()


def unpack_gate(
    data: bytes, kinds: Sequence[str], acceptance: float, refusal: float, limits: Sequence[float]
) -> InputGate:
    """Read a gate.

    Args:
        data: What `pack_gate` wrote.
        kinds: The classes of its head, X-rays first.
        acceptance: The log-odds from which the head accepts.
        refusal: The log-odds below which the head is certain that the picture is no X-ray.
        limits: Up to which distance each depth accepts.

    Returns:
        The gate.

    Raises:
        BundleError: the bytes are no such file, or its arrays do not fit together.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            weights, bias = arrays["weights"], arrays["bias"]
            distances = tuple(
                Distance(arrays[f"mean_{depth}"], arrays[f"whitening_{depth}"], limit)
                for depth, limit in enumerate(limits)
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"The input gate cannot be read: {error}. {_ADVICE}") from error
    sizes = [len(distance.mean) for distance in distances]
    squares = all(each.whitening.shape == (n, n) for each, n in zip(distances, sizes, strict=True))
    if not squares or weights.shape != (sum(sizes), len(kinds)) or bias.shape != (len(kinds),):
        raise BundleError(f"The arrays of the input gate do not fit together. {_ADVICE}")
    return InputGate(kinds, weights, bias, distances, acceptance, refusal)
