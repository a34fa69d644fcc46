"""The error stream without what native libraries write to it."""

from __future__ import annotations

import faulthandler
import importlib
import os
import sys

_STDERR = 2


def import_silently(*names: str) -> None:
    """Import modules; what their libraries write to the error stream on the way is dropped.

    Should one of them crash the process, Python tells where.

    Args:
        names: Modules that no other module has imported yet; of the others nothing is to be heard.
    """
    if all(name in sys.modules for name in names):
        return
    terminal, nowhere = os.dup(_STDERR), os.open(os.devnull, os.O_WRONLY)
    faulthandler.enable(terminal)
    os.dup2(nowhere, _STDERR)
    try:
        for name in names:
            importlib.import_module(name)
    finally:
        os.dup2(terminal, _STDERR)
        faulthandler.disable()
        os.close(nowhere)
        os.close(terminal)
