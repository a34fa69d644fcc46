"""Find the fault between two nodes: `python -m edge_app.dicom_node echo AE@HOST:PORT`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from edge_app.dicom_node.conformance import statement
from edge_app.dicom_node.peers import echo
from edge_app.errors import EdgeError
from edge_app.node_settings import AE_TITLE, check_ae_title, read_peer

logger = logging.getLogger("edge_app.dicom_node")


def main(arguments: Sequence[str] | None = None) -> int:
    """Send a C-ECHO and say what comes of it, or print the conformance statement.

    Args:
        arguments: The words after the program's name.

    Returns:
        The exit code: 0 when the other node answers, 1 when it does not, 2 when the words make no sense.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="python -m edge_app.dicom_node", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    asking = commands.add_parser("echo", help="ask a node whether it is there and knows this one")
    asking.add_argument("peer", metavar="AE@HOST:PORT")
    asking.add_argument("--ae-title", default=AE_TITLE, help="this node's AE title")
    commands.add_parser("conformance", help="print the conformance statement")
    options = parser.parse_args(arguments)
    if options.command == "conformance":
        sys.stdout.write(statement())
        return 0
    return _ask(options.peer, options.ae_title)


def _ask(place: str, ae_title: str) -> int:
    try:
        check_ae_title("--ae-title", ae_title)
        peer = read_peer("echo", place, has_port=True)
    except EdgeError as error:
        logger.error("%s", error)
        return 2
    try:
        echo(ae_title, peer)
    except EdgeError as error:
        logger.error("%s", error)
        return 1
    logger.info("%s answers, and knows this node as %s.", peer, ae_title)
    return 0


if __name__ == "__main__":
    sys.exit(main())
