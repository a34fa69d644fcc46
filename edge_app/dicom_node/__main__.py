"""Find the fault on the way to an archive: `python -m edge_app.dicom_node echo AE@HOST:PORT`, or a URL."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_app.dicom_node.archive import open_archive
from edge_app.dicom_node.conformance import statement
from edge_app.errors import EdgeError
from edge_app.node_settings import (
    AE_TITLE,
    add_tls_arguments,
    check_ae_title,
    read_archive,
    read_login,
    read_tls,
)
from edge_app.settings import Settings

logger = logging.getLogger("edge_app.dicom_node")


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask an archive whether it answers and say what comes of it, or print the conformance statement.

    Args:
        arguments: The words after the program's name.

    Returns:
        The exit code: 0 when the archive answers, 1 when it does not, 2 when the words make no sense.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="python -m edge_app.dicom_node", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    asking = commands.add_parser("echo", help="ask an archive whether it is there and lets this one in")
    asking.add_argument("archive", metavar="AE@HOST:PORT", help="or the URL of its DICOMweb service")
    asking.add_argument("--ae-title", default=AE_TITLE, help="this node's AE title")
    asking.add_argument("--web-login", type=Path, metavar="FILE", help="holds NAME:PASSWORD for a URL")
    asking.add_argument(
        "--web-authority", type=Path, metavar="PEM", help="trust its certificate by this one"
    )
    add_tls_arguments(asking)
    commands.add_parser("conformance", help="print the conformance statement")
    options = parser.parse_args(arguments)
    if options.command == "conformance":
        sys.stdout.write(statement())
        return 0
    return _ask(options)


def _ask(options: argparse.Namespace) -> int:
    try:
        check_ae_title("--ae-title", options.ae_title)
        login = None if options.web_login is None else read_login(options.web_login)
        place = read_archive("echo", options.archive, login, options.web_authority)
        archive = open_archive(options.ae_title, place, Settings(), read_tls(vars(options)))
    except EdgeError as error:
        logger.error("%s", error)
        return 2
    try:
        archive.check()
    except EdgeError as error:
        logger.error("%s", error)
        return 1
    logger.info("%s answers, and lets this computer in.", archive)
    return 0


if __name__ == "__main__":
    sys.exit(main())
