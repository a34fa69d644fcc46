"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a place to write to, which becomes the file when all of it is on the disk.

    Whoever reads, after a power cut too, finds the earlier file or the new one, never a part.

    Args:
        path: The file; an earlier one is replaced.

    Yields:
        The place, beside the file and with the same ending; nothing is left there.

    Raises:
        OSError: the file cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     letter = Path(folder) / "letter.txt"
    ...     with write_whole(letter) as place:
    ...         _ = place.write_text("Dear reader")
    ...     letter.read_text()
    'Dear reader'
    """
    place = path.with_name(f".{os.getpid()}-{path.name}")  # another process may write the same file
    try:
        yield place
        with place.open("rb+") as file:
            os.fsync(file.fileno())  # else a power cut could leave an empty file under the final name
        os.replace(place, path)
    except BaseException:
        with suppress(OSError):
            place.unlink()
        raise
