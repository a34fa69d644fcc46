"""Write the password file of an app that listens beyond this computer: `python -m edge_app.password`."""

from __future__ import annotations

import argparse
import getpass
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_app.errors import SettingsError
from edge_app.web.password_file import hash_password

logger = logging.getLogger("edge_app")


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask for a password, twice, and write its slow hash into a new file that only this user may read.

    Args:
        arguments: The words after the program's name.

    Returns:
        The exit code: 0, or 2 when nothing was written.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(prog="python -m edge_app.password", description=__doc__)
    parser.add_argument("file", type=Path, help="the file to write; it must not exist yet")
    path = parser.parse_args(arguments).file
    try:
        _write(path, hash_password(_asked()))
    except (SettingsError, OSError) as error:
        logger.error("No password was written. %s", error)
        return 2
    logger.info("Written. Start the app with --password-file %s", path)
    return 0


def _asked() -> str:
    """Ask on the terminal, or read a line where there is none."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise SettingsError("The two passwords differ.")
    return password


def _write(path: Path, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
