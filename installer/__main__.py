"""Build the one offline file for the USB stick: `python -m installer build`; a model alone: `... model`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_app.errors import EdgeError
from edge_app.installed.release import sha256_of_file
from installer.build import build
from installer.pack import pack_model
from installer.recipe import AUTO, EPOCH_S, PYTHON, ROOT, Recipe, find_target, project_version

logger = logging.getLogger("installer")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 an error that is explained."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        files = options.run(options)
    except EdgeError as error:
        logger.error("%s", error)
        return 1
    logger.info("\n%-60s %9s  %s", "file", "MB", "SHA-256")
    for path in files:
        logger.info("%-60s %9.1f  %s", path.name, path.stat().st_size / 1e6, sha256_of_file(path))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m installer", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    whole = commands.add_parser("build", help="the app with its Python and a model, for one kind of PC")
    whole.add_argument("--target", required=True, help="linux-x86_64 or windows-x86_64")
    whole.add_argument("--device", required=True, help="cpu or gpu")
    whole.add_argument(
        "--runtime",
        default=AUTO,
        metavar="auto|DIR|ARCHIVE",
        help=f"a relocatable CPython {PYTHON}; auto: python-build-standalone, else on Linux this machine's",
    )
    whole.add_argument("--sign-key", type=Path, metavar="K", help="sign with this private key")
    whole.set_defaults(run=_build)
    model = commands.add_parser("model", help="a model alone, for fracture-edge update-model")
    model.set_defaults(run=_model)
    for command in (whole, model):
        command.add_argument("--bundle", type=Path, default=ROOT / "models" / "default", metavar="DIR")
        command.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR")
    return parser


def _build(options: argparse.Namespace) -> list[Path]:
    recipe = Recipe(
        target=find_target(options.target, options.device),
        bundle_dir=options.bundle,
        out_dir=options.out,
        version=project_version(),
        runtime=options.runtime,
        sign_key=options.sign_key,
        epoch_s=_epoch_s(),
    )
    return build(recipe)


def _model(options: argparse.Namespace) -> list[Path]:
    return [pack_model(options.bundle, options.out, _epoch_s())]


def _epoch_s() -> int:
    return int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH_S))


if __name__ == "__main__":
    sys.exit(main())
