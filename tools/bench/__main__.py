"""Measure and print one table: `python -m tools.bench`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_app.settings import DEFAULT_BUNDLE_DIR
from tools.bench.contenders import THREADS
from tools.bench.measures import Effort, compare, serve
from tools.bench.subjects import bundled, exported
from tools.bench.table import render

FULL = Effort(rounds=40, predictions=5000, starts=5, idle_s=20)
QUICK = Effort(rounds=5, predictions=600, starts=2, idle_s=5)
_LIBRARIES = ("openvino", "tensorflow", "keras")

logger = logging.getLogger("tools.bench")


def bench(bundle_dir: Path, effort: Effort) -> str:
    """Measure the default model and a DenseNet121.

    Args:
        bundle_dir: The default model's bundle.
        effort: How long to measure.

    Returns:
        The table.
    """
    with TemporaryDirectory() as folder:
        copies = Path(folder)
        subjects = bundled(copies / "default", bundle_dir), exported(copies / "other", bundle_dir)
        parts = {
            subject.name: [*compare(subject, effort.rounds), *serve(subject, effort)]
            for subject in subjects
        }
    return "\n\n".join(render(name, rows) for name, rows in parts.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=DEFAULT_BUNDLE_DIR, metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="few rounds, to try it out")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    versions = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    logger.info("%d of %d cores for everyone; %s", THREADS, os.cpu_count() or 0, versions)
    table = bench(options.bundle, QUICK if options.quick else FULL)
    sys.stdout.write(f"{table}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
