"""Fit a model and leave a run directory: `python -m training.train --data DIR --out RUN`."""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from training.cli import add_option, run_explained, whole_number
from training.options import WHEN_MEMORY_IS_FULL, add_recipe, begin, configure
from training.runs.config import KEPT_EPOCHS, LEAKS, PATIENCE

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 an error that is explained."""
    options = _parse(arguments)
    return run_explained(lambda: _train(options), WHEN_MEMORY_IS_FULL)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description="Fit a model and leave a run directory. The same command goes on where it stopped.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_recipe(parser)
    parser.add_argument("--out", type=Path, help="run directory; runs/<date>-<model> if not given")
    add_option(
        parser, "patience", type=whole_number(1), default=PATIENCE, help="epochs without a better AUROC"
    )
    add_option(
        parser, "keep", choices=KEPT_EPOCHS, default="best", help="which epoch: best on validation, or last"
    )
    add_option(parser, "split", type=Path, help="split.csv of an earlier run, to be used again")
    add_option(parser, "leaks", choices=LEAKS, default="stop", help="when given sides share X-rays")
    add_option(parser, "hold_out_test", action="store_true", help="choose a fifth to test on, once")
    return parser.parse_args(arguments)


def _train(options: argparse.Namespace) -> None:
    strategy, dataset = begin(options)
    run_dir = options.out or Path("runs") / f"{date.today():%Y-%m-%d}-{options.model}"
    logger.info("The run goes to %s; the same command with --out %s goes on with it.", run_dir, run_dir)
    config = configure(
        options,
        dataset,
        keep=options.keep,
        patience=options.patience,
        leaks=options.leaks,
        hold_out_test=options.hold_out_test,
        split_sha256=hashlib.sha256(options.split.read_bytes()).hexdigest() if options.split else "",
    )
    from training.learning.training import train

    train(config, dataset, run_dir, strategy, options.cache, options.split)


if __name__ == "__main__":
    sys.exit(main())
