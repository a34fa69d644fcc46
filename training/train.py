"""Fit a model and leave a run directory: `python -m training.train --data DIR --out RUN`."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf

from edge_app.errors import DataError, DeviceError, WeightsError
from training.cli import (
    above_0_to_1,
    add_option,
    from_0,
    from_0_below_1,
    image_size,
    run_explained,
    whole_number,
)
from training.data.datasets import read_dataset
from training.data.pipeline import BALANCES
from training.data.prepare import TrainingData, log_sides, prepare, split_rows
from training.data.samples import Dataset
from training.data.scan import Cache
from training.data.splits import TRAIN, VALIDATION
from training.evaluation import metrics
from training.evaluation.assessment import evaluate_scores
from training.evaluation.explain import choose_method
from training.evaluation.report import estimate_text
from training.evaluation.scorers import KerasScorer, fold_calibration
from training.learning import strategies
from training.learning.fit import fit
from training.learning.keeper import best_epoch
from training.learning.losses import CELL_LOSS_WEIGHT
from training.networks.architectures import BACKBONES, build_model
from training.networks.weights import RANDOM, load_weights
from training.runs import rundir
from training.runs.config import Config
from training.runs.provenance import describe_run

FLOAT32, MIXED = "float32", "mixed_bfloat16"
LEAKS = ("stop", "leave_out")
_WHEN_MEMORY_IS_FULL = (
    "Try a smaller --batch_size or --image_size, on a GPU --mixed_precision on, and for many X-rays "
    "--cache FILE."
)

logger = logging.getLogger(__name__)


def train(
    config: Config,
    dataset: Dataset,
    run_dir: Path,
    strategy: tf.distribute.Strategy,
    cache: Cache = "memory",
    split: Path | None = None,
) -> None:
    """Train, or go on with a training that was broken off, and evaluate the best epoch.

    Args:
        config: What to train.
        dataset: Labelled X-rays.
        run_dir: Where results go; the same configuration and directory resume.
        strategy: Who trains.
        cache: Where the decoded squares stay.
        split: The `split.csv` of an earlier run, to be used again.

    Raises:
        EdgeError: the data, the weights or the run directory do not allow it.
    """
    chief = strategies.is_chief(strategy)
    with rundir.open_run(run_dir, asdict(config)) if chief else nullcontext():
        if rundir.is_finished(run_dir):
            logger.info("%s is finished already; nothing to do.", run_dir)
            return
        data, rows = _split(config, dataset, run_dir / rundir.SPLIT, cache, split)
        sides = log_sides(rows)
        _check_batch(config.batch_size, sides[TRAIN], strategy.num_replicas_in_sync)
        keras.utils.set_random_seed(config.seed)
        keras.config.set_dtype_policy(config.precision)
        with strategy.scope():
            model = build_model(config.model, config.image_size, config.dropout)
            start = load_weights(model, config.model, config.weights)
        _check_start(start, run_dir)
        if chief and not (run_dir / rundir.SPLIT).exists():
            rundir.write_json(run_dir / rundir.PROVENANCE, describe_run(dataset, start, sides))
            rundir.write_csv(run_dir / rundir.SPLIT, rows)
        fit(config, data, model, start != RANDOM, run_dir, strategy)
        if chief:
            finish(config, data, run_dir)
        strategies.wait_for_all(strategy)


def finish(config: Config, data: TrainingData, run_dir: Path) -> None:
    """Calibrate the best epoch, choose its threshold, and write down how good it is on validation.

    The calibration is folded into the last layer, so the model itself gives calibrated probabilities. It
    computes in 32-bit, whatever it was trained in.

    Args:
        config: What was trained.
        data: What was validated on.
        run_dir: The run directory, which receives the model, the predictions and the evaluation.

    Raises:
        DataError: the model gives no numbers, or scores normal X-rays higher than others.
        RunError: the best state cannot be read.
    """
    keras.config.set_dtype_policy(FLOAT32)
    model = build_model(config.model, config.image_size, config.dropout)
    best = rundir.best_checkpoint(run_dir, best_epoch(rundir.read_csv(run_dir / rundir.HISTORY)))
    rundir.assign_state(best, rundir.read_state(best), "weight", model.variables)
    chosen = data.chosen(VALIDATION)
    scan, labels, groups = data.scan.only(chosen), data.labels[chosen], data.groups[chosen]
    scorer = KerasScorer(model, config.batch_size)
    calibration = metrics.fit_calibration(labels, scorer.logits(scan.squares))
    fold_calibration(model, calibration)
    logits = scorer.logits(scan.squares)
    probabilities = metrics.to_probability(logits)
    rundir.write_csv(
        run_dir / rundir.PREDICTIONS,
        [
            {
                "image_id": sample.image_id,
                "fractured": int(sample.fractured),
                "group": int(group),
                "logit": f"{logit:.6f}",
                "probability": f"{probability:.6f}",
            }
            for sample, group, logit, probability in zip(
                scan.samples, groups, logits, probabilities, strict=True
            )
        ],
    )
    rundir.save_model(run_dir / rundir.BEST_MODEL, model)
    evaluation = {
        **evaluate_scores(labels, probabilities, groups),
        "calibration": {"method": "platt", **asdict(calibration)},
        **choose_method(scorer, scan, groups),
    }
    rundir.write_json(run_dir / rundir.EVALUATION, evaluation)
    _log_evaluation(evaluation, run_dir)


def _split(
    config: Config, dataset: Dataset, written: Path, cache: Cache, earlier: Path | None
) -> tuple[TrainingData, list[dict[str, Any]]]:
    """Decode and split the X-rays, as the run's `split.csv` says where it is written already."""
    resumed = written.exists()
    data = prepare(
        dataset.samples,
        config.image_size,
        cache,
        config.seed,
        written if resumed else earlier,
        leave_out_leaks=config.leaks == "leave_out",
        hold_out_test=config.hold_out_test,
    )
    rows = split_rows(data, dataset.data_dir)
    if resumed:
        _check_unchanged(rows, written)
    return data, rows


def _check_unchanged(rows: Sequence[Mapping[str, Any]], written: Path) -> None:
    """Refuse to go on when X-rays read otherwise than when the run was begun."""
    then = {row["image_id"]: row["side"] for row in rundir.read_csv(written)}
    now = {row["image_id"]: row["side"] for row in rows}
    changed = sorted(image_id for image_id in {*then, *now} if then.get(image_id) != now.get(image_id))
    if changed:
        raise DataError(
            f"{changed[0]} was {then.get(changed[0], 'absent')} when this run was begun, and is "
            f"{now.get(changed[0], 'absent')} now. Restore the data, or name a new directory with --out."
        )


def _check_start(start: Mapping[str, str], run_dir: Path) -> None:
    """Refuse to go on from other start weights than the run was begun with."""
    path = run_dir / rundir.PROVENANCE
    begun = json.loads(path.read_text(encoding="utf-8"))["weights"] if path.is_file() else start
    if begun != start:
        raise WeightsError(
            f"This run was begun from {begun['source']}, and {start['source']} would be used now. Name the "
            "same with --weights, or a new directory with --out."
        )


def _check_batch(batch_size: int, samples: int, replicas: int) -> None:
    if batch_size > samples:
        raise DataError(f"--batch_size {batch_size} exceeds the {samples} X-rays to train on.")
    if batch_size % replicas:
        raise DataError(
            f"--batch_size {batch_size} cannot be shared equally by {replicas} processors. Use a multiple "
            f"of {replicas}."
        )


def _check_images(dataset: Dataset) -> None:
    """Refuse to go on without an image; TensorFlow only tells that a Python function failed."""
    gone = [sample.path for sample in dataset.samples if not sample.path.is_file()]
    if gone:
        raise DataError(f"{gone[0]} disappeared during the training. Restore it; the same command goes on.")


def _log_evaluation(evaluation: dict[str, Any], run_dir: Path) -> None:
    area, point, pointing = (evaluation[key] for key in ("auroc", "operating_point", "pointing_game"))
    logger.info("Validation AUROC %s.", estimate_text(area))
    logger.info(
        "Threshold %.4f: sensitivity %.3f, specificity %.3f.",
        point["threshold"],
        point["sensitivity"]["value"],
        point["specificity"]["value"],
    )
    if pointing:
        logger.info(
            "The warmest place of %s lies in a box in %.1f %% of %d X-rays that have one.",
            evaluation["heatmap"]["method"],
            100 * pointing["value"],
            pointing["samples"],
        )
    logger.info("The run is in %s. For all figures: python -m training.evaluate --model ...", run_dir)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description="Fit a model and leave a run directory. The same command goes on where it stopped.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="X-rays: MURA, FracAtlas, class folders")
    parser.add_argument("--out", type=Path, help="run directory; runs/<date>-<model> if not given")
    parser.add_argument("--model", choices=list(BACKBONES), default="efficientnet_lite0")
    parser.add_argument(
        "--weights",
        default="auto",
        metavar="auto|none|imagenet|FILE",
        help="auto: ImageNet weights that are installed, else random ones; imagenet: download them",
    )
    add_option(parser, "image_size", type=image_size, default=224, help="side in pixels")
    add_option(parser, "epochs", type=whole_number(1), default=50, help="at most")
    add_option(parser, "patience", type=whole_number(1), default=10, help="epochs without a better AUROC")
    add_option(parser, "batch_size", type=whole_number(1), default=32, help="over all processors")
    add_option(parser, "learning_rate", type=above_0_to_1, default=0.001, help="the highest")
    add_option(parser, "dropout", type=from_0_below_1, default=0.2, help="share of features left out")
    add_option(
        parser,
        "localisation",
        type=from_0,
        default=CELL_LOSS_WEIGHT,
        help="weight of the loss on boxes, where the data have them; 0 for none",
    )
    add_option(parser, "balance", choices=BALANCES, default="none", help="let both classes weigh alike")
    add_option(
        parser,
        "mixed_precision",
        choices=("auto", "on", "off"),
        default="auto",
        help="bfloat16; auto: on GPUs that have it (compute capability 8.0 or higher)",
    )
    add_option(parser, "strategy", choices=strategies.STRATEGIES, default="auto", help="who trains")
    add_option(
        parser, "cache", type=_cache, default="memory", metavar="memory|none|FILE", help="of decoded images"
    )
    add_option(parser, "split", type=Path, help="split.csv of an earlier run, to be used again")
    add_option(parser, "leaks", choices=LEAKS, default="stop", help="when given sides share X-rays")
    add_option(parser, "hold_out_test", action="store_true", help="choose a fifth to test on, once")
    add_option(parser, "seed", type=whole_number(0), default=0, help="of split, order and randomness")
    return parser.parse_args(arguments)


def _cache(text: str) -> Cache:
    kinds: dict[str, Cache] = {"memory": "memory", "none": "none"}
    return kinds.get(text, Path(text))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 an error that is explained."""
    options = _parse(arguments)

    def command() -> None:
        strategy = strategies.make_strategy(options.strategy)
        logger.info("Training on %s.", strategies.describe_devices(strategy))
        dataset = read_dataset(options.data)
        for remark in dataset.remarks:
            logger.warning("%s", remark)
        run_dir = options.out or Path("runs") / f"{date.today():%Y-%m-%d}-{options.model}"
        logger.info("The run goes to %s; the same command with --out %s goes on with it.", run_dir, run_dir)
        try:
            train(_config(options, dataset), dataset, run_dir, strategy, options.cache, options.split)
        except tf.errors.ResourceExhaustedError as error:
            raise MemoryError from error
        except tf.errors.UnavailableError as error:
            raise DeviceError(
                "Another worker stopped. Start the same command on all of them again to go on."
            ) from error
        except tf.errors.UnknownError:
            _check_images(dataset)
            raise

    return run_explained(command, _WHEN_MEMORY_IS_FULL)


def _config(options: argparse.Namespace, dataset: Dataset) -> Config:
    boxed = any(sample.boxes for sample in dataset.samples)
    mixed = (
        strategies.has_bfloat16() if options.mixed_precision == "auto" else options.mixed_precision == "on"
    )
    return Config(
        model=options.model,
        weights=options.weights,
        image_size=options.image_size,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        dropout=options.dropout,
        localisation=options.localisation if boxed else 0.0,
        balance=options.balance,
        patience=options.patience,
        precision=MIXED if mixed else FLOAT32,
        leaks=options.leaks,
        hold_out_test=options.hold_out_test,
        split_sha256=hashlib.sha256(options.split.read_bytes()).hexdigest() if options.split else "",
        seed=options.seed,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
    )


if __name__ == "__main__":
    sys.exit(main())
