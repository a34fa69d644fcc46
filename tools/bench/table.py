"""Rows with a goal, and the table that is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tools.bench.rounds import Spread

_HEADINGS = ("", "median", "10 % to 90 %", "goal", "")


@dataclass(frozen=True)
class Goal:
    """A limit: the most that is allowed, or the least."""

    limit: float
    least: bool = False

    def is_met(self, value: float) -> bool:
        """Tell whether a value keeps to it."""
        return value >= self.limit if self.least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.least else '<='} {self.limit:g}"


@dataclass(frozen=True)
class Row:
    """One measured thing; without a value the label says why, and without a goal it is told only."""

    label: str
    value: Spread | None
    goal: Goal | None = None
    unit: str = ""

    def cells(self) -> tuple[str, str, str, str, str]:
        """Return what stands in its columns."""
        goal = f"{self.goal} {self.unit}".rstrip() if self.goal else ""
        if self.value is None:
            return self.label, "-", "", goal, ""
        verdict = ("met" if self.goal.is_met(self.value.median) else "MISSED") if self.goal else ""
        median, low, high = self.value
        between = f"{low:.2f} to {high:.2f}" if low < high else ""
        return self.label, f"{median:.2f} {self.unit}".rstrip(), between, goal, verdict


def render(title: str, rows: Sequence[Row]) -> str:
    """Lay rows out in columns.

    Args:
        title: What they are about; it stands above the first column.
        rows: The rows.

    Returns:
        Lines of text.
    """
    cells = [(title, *_HEADINGS[1:]), *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
    )
    return "\n".join(line.rstrip() for line in lines)
