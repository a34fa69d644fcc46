"""What an answer is about: a study whose views were judged, by which model, when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.dicom.envelope import Envelope
from edge_app.predictor import Answer, Prediction

NOTICE = "Assistive tool, not a diagnosis."


class ModelFacts(NamedTuple):
    """Which model answered; `hash` is the SHA-256 of its manifest, which names each of its files."""

    name: str
    version: str
    variant: str
    hash: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}, {self.variant} (SHA-256 {self.hash[:16]})"


@dataclass(frozen=True)
class JudgedView:
    """One picture of a study.

    `digest` is the hash of its bytes. `outline` is float32 (N, 2), x and y in pixels of the picture as it
    came, around its warmest place; None without evidence. `prediction` is None where the pictures are no
    longer held.
    """

    envelope: Envelope
    digest: bytes
    answer: Answer
    outline: NDArray[np.float32] | None
    size_px: tuple[int, int]
    spacing_mm: tuple[float, float] | None = None
    prediction: Prediction | None = None


@dataclass(frozen=True)
class JudgedStudy:
    """The judged pictures of a study, at least one; `version` counts how often it became whole."""

    views: tuple[JudgedView, ...]
    answer: Answer
    version: int
    judged_at: datetime
    model: ModelFacts


def in_words(answer: Answer) -> str:
    """Return an answer as a person reads it."""
    return "Uncertain" if answer.is_uncertain else answer.prediction
