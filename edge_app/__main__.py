"""Start the app: `python -m edge_app`."""

from __future__ import annotations

import logging
import signal
import sys
import webbrowser
from collections.abc import Sequence
from contextlib import ExitStack, closing
from types import FrameType

from edge_app import heap, logs, secrecy
from edge_app.errors import EdgeError
from edge_app.imaging.child import ChildDecoder
from edge_app.imaging.sandbox.wire import Isolation
from edge_app.model.room import FIRST_ANSWER_S, bounded_time
from edge_app.predictor import Predictor
from edge_app.settings import Settings, parse_settings
from edge_app.web import neighbour
from edge_app.web.app import create_app
from edge_app.web.lanes import Lanes
from edge_app.web.server import make_server
from edge_app.web.store import ResultStore

logger = logging.getLogger("edge_app")


def main(arguments: Sequence[str] | None = None, start_limit_s: float = FIRST_ANSWER_S) -> int:
    """Serve until interrupted.

    Args:
        arguments: The words after the program's name.
        start_limit_s: The longest that the model may take to give its first answers.

    Returns:
        The exit code: 0 after an orderly end, 2 when the app must not or cannot start.
    """
    logs.start()
    for each in (signal.SIGINT, signal.SIGTERM):  # a script's background programs begin with SIGINT ignored
        signal.signal(each, _interrupt)
    secrecy.forbid_core_dumps()
    secrecy.keep_out_of_swap()
    heap.share_one_heap()
    try:
        return _serve(arguments, start_limit_s)
    except EdgeError as error:
        _cannot_start(error)
        return 2
    except KeyboardInterrupt:
        return 0


def _serve(arguments: Sequence[str] | None, start_limit_s: float) -> int:
    settings = parse_settings(arguments)
    if settings.log_file is not None:
        logs.write_to(settings.log_file)
    if neighbour.is_fracture_edge(settings):
        logger.info("Fracture Edge runs already: its page %s is opened.", settings.address)
        webbrowser.open(settings.address)
        return 0
    lanes = Lanes()
    store = ResultStore(settings.results_bytes, settings.result_minutes * 60)
    with ExitStack() as open_parts:
        decoder = open_parts.enter_context(closing(ChildDecoder(settings.max_pixels)))
        with bounded_time(start_limit_s, _cannot_start, exit_code=2):
            predictor = Predictor(
                settings.bundle_dir, settings.device, settings.threads, settings.trusted_key, decoder
            )
        isolation = decoder.isolation
        node = None
        if settings.node is not None:
            # Loaded where it is asked for only: it would lengthen every start.
            from edge_app.dicom_node.node import Node

            node = Node(settings, settings.node, predictor, store, lanes.add_turn)
            open_parts.enter_context(closing(node))
        app = create_app(settings, predictor, isolation, lanes, store, node)
        server = make_server(app, settings, lanes)
        heap.give_back()
        _tell_ready(settings, predictor, isolation)
        sys.dont_write_bytecode = True  # from here on nothing is written, not even compiled code
        server.run()
    return 0


def _cannot_start(reason: object) -> None:
    logger.error("Fracture Edge cannot start. %s", reason)


def _tell_ready(settings: Settings, predictor: Predictor, isolation: Isolation) -> None:
    logger.info(
        "Fracture Edge is ready at %s (model %s %s, %s, device %s). Stop it with Ctrl-C.",
        settings.address,
        predictor.manifest.name,
        predictor.manifest.version,
        predictor.variant,
        predictor.device,
    )
    if settings.node is not None and settings.node.port is not None:
        logger.info(
            "It receives DICOM pictures as %s on port %d.", settings.node.ae_title, settings.node.port
        )
    if settings.password_file is not None and settings.certificate is None:
        logger.warning(
            "Without --certificate, X-rays and the password cross the network for anyone on it to read."
        )
    for missing in isolation.missing:
        logger.warning("Pictures are decoded with less isolation than Linux gives at best. %s.", missing)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
