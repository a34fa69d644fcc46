"""What the command lines of this package share: options in both spellings, and errors in one sentence."""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
from collections.abc import Callable
from typing import Any

from edge_app.errors import EdgeError
from edge_app.streams import import_silently

TENSORFLOW_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_FATAL_ONLY = "3"

logger = logging.getLogger(__name__)


def add_option(parser: argparse._ActionsContainer, name: str, **settings: Any) -> None:
    """Add an option that takes underscores and hyphens alike; `name` has underscores."""
    spellings = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
    parser.add_argument(*spellings, **settings)


def whole_number(least: int) -> Callable[[str], int]:
    """Make an option's type: a whole number of `least` or more, below 2**32.

    >>> whole_number(1)("32")
    32
    """

    def convert(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) < 2**32:
            raise argparse.ArgumentTypeError(f"expected a whole number of {least} or more, got {text}")
        return int(text)

    return convert


def number(expected: str, fits: Callable[[float], bool]) -> Callable[[str], float]:
    """Make an option's type: a number that fits.

    Args:
        expected: Which numbers do, for the message.
        fits: Tells whether one does.

    Returns:
        The type.
    """

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not fits(value):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text}")
        return value

    return convert


above_0_to_1 = number("a number above 0, at most 1", lambda value: 0 < value <= 1)
from_0_below_1 = number("a number of 0 or more, below 1", lambda value: 0 <= value < 1)
from_0 = number("a number of 0 or more", lambda value: 0 <= value < math.inf)


def image_size(text: str) -> int:
    """Convert an option's value: the side of the model's input in pixels, a multiple of 32.

    >>> image_size("224")
    224
    >>> image_size("200")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: expected a multiple of 32, got 200
    """
    if not text.isdecimal() or int(text) % 32 or not int(text):
        raise argparse.ArgumentTypeError(f"expected a multiple of 32, got {text}")
    return int(text)


def window(text: str) -> int:
    """Convert an option's value: an image size, or 0 for none.

    >>> window("0"), window("288")
    (0, 288)
    """
    return 0 if text == "0" else image_size(text)


def load_tensorflow() -> None:
    """Import TensorFlow; its own log stays silent unless TF_CPP_MIN_LOG_LEVEL is set."""
    if TENSORFLOW_LOG_LEVEL not in os.environ:
        os.environ[TENSORFLOW_LOG_LEVEL] = _FATAL_ONLY
        import_silently("tensorflow", "keras")  # TensorFlow writes before it has read the level


def run_explained(command: Callable[[], None], when_memory_is_full: str = "") -> int:
    """Run a command with its log on the terminal.

    Args:
        command: What to do.
        when_memory_is_full: What the user can do then, a sentence.

    Returns:
        The exit code: 0 done, 1 an error that was explained in one sentence.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    try:
        command()
    except EdgeError as error:
        logger.error("%s", error)
    except OSError as error:
        logger.error("%s", f"{error.filename}: {error.strerror}" if error.filename else error)
    except MemoryError:
        logger.error("The memory is not enough. %s", when_memory_is_full)
    else:
        return 0
    return 1
