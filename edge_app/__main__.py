"""Start the app: `python -m edge_app`."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Sequence
from functools import partial
from types import FrameType

try:
    import resource
except ImportError:  # Windows writes no core files
    resource = None  # type: ignore[assignment]

from edge_app import heap
from edge_app.errors import EdgeError
from edge_app.imaging.decode import decode
from edge_app.predictor import Predictor
from edge_app.settings import parse_settings
from edge_app.web.app import create_app
from edge_app.web.server import make_server

logger = logging.getLogger("edge_app")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted.

    Args:
        arguments: The words after the program's name.

    Returns:
        The exit code: 0 after an orderly end, 2 when the app must not or cannot start.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    signal.signal(signal.SIGTERM, _interrupt)
    _forbid_core_dumps()
    heap.share_one_heap()
    try:
        return _serve(arguments)
    except EdgeError as error:
        logger.error("Fracture Edge cannot start. %s", error)
        return 2
    except KeyboardInterrupt:
        return 0


def _serve(arguments: Sequence[str] | None) -> int:
    settings = parse_settings(arguments)
    predictor = Predictor(
        settings.bundle_dir,
        settings.device,
        settings.threads,
        settings.trusted_key,
        partial(decode, max_pixels=settings.max_pixels),
    )
    server = make_server(create_app(settings, predictor), settings)
    heap.give_back()
    logger.info(
        "Fracture Edge is ready at http://localhost:%d (model %s %s, %s, device %s). Stop it with Ctrl-C.",
        settings.port,
        predictor.manifest.name,
        predictor.manifest.version,
        predictor.variant,
        predictor.device,
    )
    server.run()
    return 0


def _forbid_core_dumps() -> None:
    """Keep a crash from writing this process' memory, and so an X-ray, to a disk."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
