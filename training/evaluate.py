"""Judge a model on X-rays: `python -m training.evaluate --model RUN/best_model.keras --data DIR`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from training.cli import (
    above_0_to_1,
    add_option,
    image_size,
    load_tensorflow,
    run_explained,
    whole_number,
)
from training.data.datasets import read_dataset
from training.data.samples import Dataset
from training.evaluation.selection import AUTO, CHOICES
from training.runs.config import ARCHITECTURES, BATCH_SIZE

if TYPE_CHECKING:
    from training.evaluation.candidates import Candidate

_WHEN_MEMORY_IS_FULL = "Try a smaller --batch_size, or a model for smaller images."

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 an error that is explained."""
    options = _parse(arguments)
    return run_explained(lambda: _evaluate(options), _WHEN_MEMORY_IS_FULL)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description="Judge a model on labelled X-rays; leave a JSON file and an HTML report.",
    )
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        help="best_model.keras of a run, a bundle or a .h5 weights file",
    )
    parser.add_argument("--data", type=Path, required=True, help="X-rays: MURA, FracAtlas, class folders")
    parser.add_argument("--out", type=Path, help="directory for the report; beside a run if not given")
    parser.add_argument(
        "--side", choices=CHOICES, default=AUTO, help="auto: test, else validation, else all"
    )
    parser.add_argument("--split", type=Path, help="split.csv of the run that a bundle was made from")
    parser.add_argument(
        "--sensitivity", type=above_0_to_1, help="choose the threshold for it, on validation X-rays"
    )
    parser.add_argument("--architecture", choices=ARCHITECTURES, help="of a weights file")
    add_option(parser, "image_size", type=image_size, help="of a weights file")
    add_option(parser, "batch_size", type=whole_number(1), default=BATCH_SIZE, help="X-rays judged at once")
    return parser.parse_args(arguments)


def _evaluate(options: argparse.Namespace) -> None:
    """Carry the command out; TensorFlow, which takes seconds, comes after the words are understood."""
    load_tensorflow()
    import tensorflow as tf

    from training.evaluation.candidates import open_candidate
    from training.evaluation.evaluation_report import summary_lines, write_evaluation_report
    from training.evaluation.protocol import evaluate
    from training.runs import rundir

    dataset = read_dataset(options.data)
    candidate = open_candidate(options.model, options.architecture, options.image_size, options.batch_size)
    try:
        evaluation = evaluate(candidate, dataset, options.side, options.sensitivity, options.split)
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError from error
    side = evaluation["side"]
    out_dir = options.out or _default_dir(options, candidate, dataset, side)
    out_dir.mkdir(parents=True, exist_ok=True)
    rundir.write_json(out_dir / f"evaluation_{side}.json", evaluation)
    write_evaluation_report(out_dir / f"evaluation_{side}.html", evaluation)
    for line in summary_lines(evaluation):
        logger.info("%s", line)
    logger.info("The report is %s.", out_dir / f"evaluation_{side}.html")


def _default_dir(options: argparse.Namespace, candidate: Candidate, dataset: Dataset, side: str) -> Path:
    """Return a folder of its own for each model, state of the data, side and wanted sensitivity."""
    judged = f"{dataset.name}-{dataset.sha256[:8]}-{side}"
    if options.sensitivity is not None:
        judged += f"-sensitivity-{options.sensitivity:g}"
    if candidate.kind == "run":
        run_dir = options.model if options.model.is_dir() else options.model.parent
        return Path(run_dir / f"evaluation-{judged}")
    model = f"{candidate.name}-{candidate.sha256[:8]}"
    return Path("evaluations") / f"{date.today():%Y-%m-%d}-{model}-{judged}"


if __name__ == "__main__":
    sys.exit(main())
