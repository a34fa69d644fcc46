"""The log: lines for a person on the terminal, and JSON in rotating files where that is asked for."""

from __future__ import annotations

import json
import logging
import traceback
from logging.handlers import RotatingFileHandler
from pathlib import Path

from edge_app.errors import SettingsError

MAX_FILE_BYTES = 1024 * 1024
FILES_KEPT = 5


class _Json(logging.Formatter):
    """One JSON object a line: time, level, source and message; a traceback holds code, and no values."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "source": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1]:
            entry["traceback"] = frames_of(record.exc_info[1])
        return json.dumps(entry, ensure_ascii=False)


def frames_of(error: BaseException) -> str:
    """Tell where an error arose and of what kind it is; its words may quote what somebody sent.

    Args:
        error: The error.

    Returns:
        The lines of code from the outermost to the one that failed, those of its cause before.
    """
    cause = error.__cause__ or error.__context__
    before = "" if cause is None else f"{frames_of(cause)}\n"
    return f"{before}{''.join(traceback.format_tb(error.__traceback__))}{type(error).__name__}"


def start() -> None:
    """Show lines on the terminal; nothing goes to a disk."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("waitress").setLevel(logging.ERROR)  # its lesser lines name the addresses of results


def write_to(path: Path) -> None:
    """Write the log to a file as well; when it is full a new one is begun, and the oldest is deleted.

    Args:
        path: The newest file.

    Raises:
        SettingsError: it cannot be written.
    """
    try:
        handler = RotatingFileHandler(
            path, maxBytes=MAX_FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8"
        )
    except OSError as error:
        raise SettingsError(f"--log-file {path} cannot be written: {error.strerror}.") from error
    handler.setFormatter(_Json())
    logging.getLogger().addHandler(handler)
