"""What a report says, before it is laid out."""

from __future__ import annotations

from dataclasses import dataclass

from edge_app.predictor import Prediction


@dataclass(frozen=True)
class Words:
    """A report's fixed texts, in the language in which it is written."""

    language: str
    is_right_to_left: bool
    title: str
    xray: str
    heatmap: str
    judgement: str
    signature: str
    notice: str


@dataclass(frozen=True)
class View:
    """One view and what is said of it: `facts` pair a label with a text, `remarks` are sentences."""

    prediction: Prediction
    answer: str
    facts: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...] = ()
