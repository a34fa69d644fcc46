"""Measure a recipe out of fold: `python -m training.cross_validate --data DIR --out OUT --folds 3`."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_app.errors import RunError
from training.cli import add_option, run_explained, whole_number
from training.data import splits
from training.data.samples import Dataset, Sample
from training.data.scan import scan_samples
from training.options import WHEN_MEMORY_IS_FULL, add_recipe, begin, configure
from training.runs.config import LAST, PATIENCE, Config

if TYPE_CHECKING:
    import tensorflow as tf

    from training.evaluation.out_of_fold import OutOfFold

PLAN = "plan.json"
PREDICTIONS = "predictions.csv"
EVALUATION = "evaluation.json"
FINAL = "final"
# The final network leaves one of so many folds out, to prove its export and its input gate by; fewer where
# there are fewer groups.
FINAL_FOLDS = 10

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 an error that is explained."""
    options = _parse(arguments)
    return run_explained(lambda: _cross_validate(options), WHEN_MEMORY_IS_FULL)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.cross_validate",
        description="Train one network for each fold on the others, and tell how good they are on what "
        "they were not trained on. The same command goes on where it stopped.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_recipe(parser)
    parser.add_argument("--out", type=Path, required=True, help="directory of the folds")
    add_option(parser, "folds", type=whole_number(2), default=3, help="whole groups each")
    add_option(
        parser,
        "first",
        type=whole_number(1),
        help="train only so many of the folds; the X-rays of the others are not scored",
    )
    parser.add_argument(
        "--final",
        action="store_true",
        help="then train the network to ship, on all but a tenth, with what the folds say of the recipe",
    )
    return parser.parse_args(arguments)


def _cross_validate(options: argparse.Namespace) -> None:
    strategy, dataset = begin(options)
    config = configure(
        options,
        dataset,
        keep=LAST,  # an epoch that the fold chose would be too good on it
        patience=PATIENCE,  # so it has none to lose
        leaks="leave_out",
        hold_out_test=False,
        split_sha256="",
    )
    _open(options.out, asdict(config) | {"folds": options.folds})
    folds, final = _deal(dataset, options)
    scored = _score(config, dataset, strategy, options, folds[: options.first])
    _write(options.out, scored)
    if options.final:
        _train(config, dataset, strategy, options, final, scored)


def _open(out: Path, plan: dict[str, Any]) -> None:
    """Begin a directory of folds, or go on with one of the same settings.

    Raises:
        RunError: it holds folds of other settings or data, or something else.
    """
    from training.runs import rundir

    path = out / PLAN
    out.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        if any(out.iterdir()):
            raise RunError(f"{out} holds other files and no {PLAN}. Name a new directory with --out.")
        rundir.write_json(path, plan)
    try:
        begun = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read. Name a new directory with --out.") from error
    differing = sorted(key for key in {*begun, *plan} if begun.get(key) != plan.get(key))
    if differing:
        changes = ", ".join(f"{key} was {begun.get(key)}, now {plan.get(key)}" for key in differing)
        raise RunError(
            f"The folds in {out} were made with other settings or data ({changes}). Use the same, or name "
            "a new directory with --out."
        )


def _deal(dataset: Dataset, options: argparse.Namespace) -> tuple[list[Path], Path]:
    """Write down which X-rays each fold holds out, and which the final network."""
    scan = scan_samples(dataset.samples, options.image_size, options.cache)
    groups = splits.group_samples(scan.samples, splits.duplicate_pairs(scan.thumbnails))
    labels = np.array([sample.fractured for sample in scan.samples], np.float32)
    final = options.out / f"{FINAL}.csv"
    if options.final:
        tenths = min(FINAL_FOLDS, len(np.unique(groups)))
        _write_sides(final, scan.samples, splits.fold_sides(labels, groups, tenths, options.seed)[0])
    folds = []
    for number, sides in enumerate(splits.fold_sides(labels, groups, options.folds, options.seed), start=1):
        folds.append(options.out / f"fold-{number}.csv")
        _write_sides(folds[-1], scan.samples, sides)
    return folds, final


def _write_sides(path: Path, samples: Sequence[Sample], sides: splits.Sides) -> None:
    from training.runs import rundir

    told = zip(samples, sides, strict=True)
    rundir.write_csv(path, [{"image_id": sample.image_id, "side": str(side)} for sample, side in told])


def _score(
    config: Config,
    dataset: Dataset,
    strategy: tf.distribute.Strategy,
    options: argparse.Namespace,
    folds: Sequence[Path],
) -> OutOfFold:
    """Train a network for each fold, and collect what they say of what they were not trained on."""
    from training.evaluation import out_of_fold

    parts = []
    for number, split in enumerate(folds, start=1):
        logger.info("Fold %d of %d.", number, options.folds)
        run_dir = _train(config, dataset, strategy, options, split)
        parts.append(out_of_fold.read_fold(run_dir, number, options.folds))
    return out_of_fold.join(parts)


def _train(
    config: Config,
    dataset: Dataset,
    strategy: tf.distribute.Strategy,
    options: argparse.Namespace,
    split: Path,
    scored: OutOfFold | None = None,
) -> Path:
    """Train on the sides that a table tells; return the run directory beside it."""
    from training.learning.training import train

    run_dir = split.with_suffix("")
    digest = hashlib.sha256(split.read_bytes()).hexdigest()
    train(
        replace(config, split_sha256=digest),
        dataset,
        run_dir,
        strategy,
        options.cache,
        split,
        scored,
        audits=scored is not None,
    )
    return run_dir


def _write(out: Path, scored: OutOfFold) -> None:
    """Write down what the folds said, X-ray by X-ray, and how good that is."""
    from training.evaluation import out_of_fold
    from training.evaluation.evaluation_report import estimate_text
    from training.runs import rundir

    rundir.write_csv(out / PREDICTIONS, out_of_fold.rows(scored))
    evaluation = out_of_fold.evaluate(scored)
    rundir.write_json(out / EVALUATION, evaluation)
    point = evaluation["operating_point"]
    figures = {
        "AUROC": evaluation["auroc"],
        "sensitivity": point["sensitivity"],
        "specificity": point["specificity"],
        "peak in a box": evaluation["pointing_game"],
    }
    logger.info("Out of fold, %d X-rays, %d fractured:", evaluation["samples"], evaluation["fractured"])
    for name, estimate in figures.items():
        if estimate:
            logger.info("%-14s %s", name, estimate_text(estimate))
    logger.info("All figures are in %s.", out / EVALUATION)


if __name__ == "__main__":
    sys.exit(main())
