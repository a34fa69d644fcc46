"""Predictions of many files to a table, worst first, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

NOTICE = "Assistive tool, not a diagnosis."
COLUMNS = ("file", "prediction", "probability", "threshold", "error", "message", "notice")
# A spreadsheet would take what starts like this for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """One file: its prediction with probability and threshold (0..1), or its error's code and message."""

    file: str
    prediction: str = ""
    probability: float | None = None
    threshold: float | None = None
    error: str = ""
    message: str = ""


def to_csv(rows: Sequence[Row]) -> str:
    """Write a table, the highest probability first and refused files last.

    Args:
        rows: One for each file.

    Returns:
        CSV with a header line.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in sorted(rows, key=lambda row: (row.probability is None, -(row.probability or 0), row.file)):
        numbers = ["" if number is None else f"{number:.4f}" for number in (row.probability, row.threshold)]
        writer.writerow([_plain(row.file), row.prediction, *numbers, row.error, row.message, NOTICE])
    return text.getvalue()


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
