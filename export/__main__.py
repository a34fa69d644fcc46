"""Export a run: `python -m export --run RUN --out models/NAME`; make keys, sign and verify bundles."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from edge_app.errors import EdgeError
from edge_app.streams import import_silently

# Of TensorFlow's own log; what it writes before it has read the level is dropped.
_LOG_LEVEL, _FATAL_ONLY = "TF_CPP_MIN_LOG_LEVEL", "3"
_NONE = "none"
_INT8 = "int8"

logger = logging.getLogger("export")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 an error that is explained."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        _check_export(parser, options)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    logger.setLevel(logging.INFO)
    try:
        _run(options)
    except EdgeError as error:
        logger.error("%s", error)
        return 1
    except OSError as error:
        logger.error("%s", f"{error.filename}: {error.strerror}" if error.filename else error)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    parser.add_argument("--run", type=Path, help="a finished run directory")
    parser.add_argument("--out", type=Path, help="the bundle's directory")
    parser.add_argument(
        "--data", type=Path, help="the data that the run was trained on; needed for smaller variants"
    )
    parser.add_argument(
        "--variants",
        choices=(_INT8, _NONE),
        default=_INT8,
        help="which smaller variant to try (default: int8)",
    )
    parser.add_argument("--feature-layer", help="the layer whose map is explained (default: the last map)")
    _add_commands(parser.add_subparsers(dest="command", title="commands", required=False))
    return parser


def _add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    gate = commands.add_parser("gate", help="give a bundle an input gate, which tells X-rays from others")
    gate.add_argument("--bundle", type=Path, required=True, help="the bundle's directory")
    gate.add_argument("--run", type=Path, required=True, dest="of_run", help="the run that it was made of")
    gate.add_argument("--data", type=Path, required=True, dest="of_data", help="the data of that run")
    gate.add_argument(
        "--no-xrays", type=Path, help="a folder of further pictures to judge by; each sub-folder is a kind"
    )
    keygen = commands.add_parser("keygen", help="make a pair of keys")
    keygen.add_argument("--out", type=Path, required=True, help="writes OUT.pem and OUT.pub.pem")
    sign = commands.add_parser("sign", help="sign a bundle")
    sign.add_argument("--bundle", type=Path, required=True, help="the bundle's directory")
    sign.add_argument("--key", type=Path, required=True, help="a private key, NAME.pem")
    verify = commands.add_parser("verify", help="check a bundle's signature and files")
    verify.add_argument("--bundle", type=Path, required=True, help="the bundle's directory")
    verify.add_argument("--trusted-key", type=Path, required=True, help="a public key, NAME.pub.pem")


def _check_export(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.run is None or options.out is None:
        parser.error("name a run with --run and a bundle with --out")


def _run(options: argparse.Namespace) -> None:
    """Carry the command out; each imports what it needs, since TensorFlow takes seconds."""
    if options.command is None:
        if _LOG_LEVEL not in os.environ:
            os.environ[_LOG_LEVEL] = _FATAL_ONLY
            import_silently("tensorflow", "keras", "tf2onnx")
        from export.pipeline import export_run

        wants_variants = options.variants != _NONE
        export_run(options.run, options.out, options.data, wants_variants, options.feature_layer)
        return
    if options.command == "gate":
        from export.bundle.regate import add_gate

        add_gate(options.bundle, options.of_run, options.of_data, options.no_xrays)
        return
    from export.bundle import signing

    if options.command == "keygen":
        signing.make_keys(options.out)
    elif options.command == "sign":
        signing.sign_bundle(options.bundle, options.key)
    else:
        signing.verify_bundle(options.bundle, options.trusted_key)


if __name__ == "__main__":
    sys.exit(main())
