"""CSV files of a data set, read with errors that name the file, the column and what was expected."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from edge_app.errors import DataError

Row = dict[str, str]


def read_rows(path: Path, columns: tuple[str, ...] = ()) -> list[Row]:
    """Read a table as one dictionary a row.

    Args:
        path: A CSV file in UTF-8.
        columns: The columns of a file without a header line; otherwise its first line names them.

    Returns:
        The rows, in order.

    Raises:
        DataError: the file is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file, columns or None))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}.") from error


def text(row: Row, column: str, path: Path) -> str:
    """Return what a row holds in a column; raises DataError where there is none."""
    value = row.get(column)
    if value is None:
        raise DataError(
            f"{path} lacks a value for {column!r} in some row; it has {', '.join(map(str, row))}."
        )
    return value


def flag(row: Row, column: str, path: Path) -> bool:
    """Return whether a column holds 1; raises DataError for anything but 0 and 1."""
    value = text(row, column, path)
    if value not in ("0", "1"):
        raise DataError(f"{path} holds {column} {value!r}; expected 0 or 1.")
    return value == "1"


def fraction(row: Row, column: str, path: Path) -> float:
    """Return a number 0..1; raises DataError for anything else."""
    value = text(row, column, path)
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise DataError(f"{path} holds {column} {value!r}; expected a fraction of the picture, 0 to 1.")
    return number
