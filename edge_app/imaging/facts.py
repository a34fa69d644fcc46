"""A DICOM header's facts to JSON and back, where nothing that comes back is believed."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from edge_app.imaging.picture import DicomHeader, Patient, Window

MAX_CHARACTERS = 1024
MAX_WINDOWS = 64


def facts_of(header: DicomHeader) -> dict[str, Any]:
    """Turn a header into what JSON can hold; too many windows are left out, too long texts cut.

    Args:
        header: What a file says about its picture.

    Returns:
        Its facts by name.
    """
    facts = dataclasses.asdict(header)
    facts["windows"] = facts["windows"][:MAX_WINDOWS]
    cut: dict[str, Any] = _cut(facts)
    return cut


def header_from(untrusted: Any) -> DicomHeader:
    """Turn JSON into a header.

    Args:
        untrusted: Anything that a JSON text can hold.

    Returns:
        A header of texts and finite numbers, each of bounded length.

    Raises:
        TypeError: it has other names or types than a header.
        ValueError: a text is too long, a number not finite, a distance not positive.
        KeyError: a fact is missing.
    """
    facts = dict(untrusted)
    spacing_mm, windows, patient = facts.pop("spacing_mm"), facts.pop("windows"), facts.pop("patient")
    return DicomHeader(
        **_texts(facts),
        spacing_mm=None if spacing_mm is None else _spacing(*spacing_mm),
        windows=tuple(Window(_number(c), _number(w), _text(name)) for c, w, name in windows[:MAX_WINDOWS]),
        patient=Patient(**_texts(dict(patient))),
    )


def _cut(facts: Any) -> Any:
    if isinstance(facts, dict):
        return {name: _cut(each) for name, each in facts.items()}
    if isinstance(facts, tuple | list):
        return [_cut(each) for each in facts]
    return facts[:MAX_CHARACTERS] if isinstance(facts, str) else facts


def _texts(facts: dict[str, Any]) -> dict[str, str]:
    return {name: _text(each) for name, each in facts.items()}


def _text(untrusted: Any) -> str:
    if not isinstance(untrusted, str) or len(untrusted) > MAX_CHARACTERS:
        raise ValueError(f"expected a text of at most {MAX_CHARACTERS} characters")
    return untrusted


def _number(untrusted: Any) -> float:
    if not isinstance(untrusted, int | float) or not math.isfinite(untrusted):
        raise ValueError("expected a finite number")
    return float(untrusted)


def _spacing(untrusted_row: Any, untrusted_column: Any) -> tuple[float, float]:
    row_mm, column_mm = _number(untrusted_row), _number(untrusted_column)
    if min(row_mm, column_mm) <= 0:
        raise ValueError("expected positive distances")
    return row_mm, column_mm
