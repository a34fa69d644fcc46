"""Fit a model and leave a run directory: `python -m training.train --data DIR --out RUN`."""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from training.cli import (
    above_0_to_1,
    add_option,
    from_0,
    from_0_below_1,
    image_size,
    load_tensorflow,
    run_explained,
    whole_number,
)
from training.data.datasets import read_dataset
from training.data.samples import Dataset
from training.data.scan import Cache
from training.runs.config import (
    ARCHITECTURES,
    BALANCES,
    BATCH_SIZE,
    CELL_LOSS_WEIGHT,
    FLOAT32,
    KEPT_EPOCHS,
    LEAKS,
    MIXED,
    SCHEDULES,
    STRATEGIES,
    Config,
)

_WHEN_MEMORY_IS_FULL = (
    "Try a smaller --batch_size or --image_size, on a GPU --mixed_precision on, and for many X-rays "
    "--cache FILE."
)

_PATIENTS_UNKNOWN = (
    "The patients are not known: X-rays of one patient may stand on both sides of the split, and then the "
    "figures on validation are too good."
)

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 an error that is explained."""
    options = _parse(arguments)
    return run_explained(lambda: _train(options), _WHEN_MEMORY_IS_FULL)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.train",
        description="Fit a model and leave a run directory. The same command goes on where it stopped.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="X-rays: MURA, FracAtlas, class folders")
    parser.add_argument("--out", type=Path, help="run directory; runs/<date>-<model> if not given")
    parser.add_argument("--model", choices=ARCHITECTURES, default="efficientnet_lite0")
    parser.add_argument(
        "--weights",
        default="auto",
        metavar="auto|none|imagenet|FILE",
        help="auto: ImageNet weights that are installed, else random ones; imagenet: download them",
    )
    add_option(parser, "image_size", type=image_size, default=224, help="side in pixels")
    add_option(parser, "epochs", type=whole_number(1), default=50, help="at most")
    add_option(parser, "patience", type=whole_number(1), default=10, help="epochs without a better AUROC")
    add_option(parser, "batch_size", type=whole_number(1), default=BATCH_SIZE, help="over all processors")
    add_option(parser, "learning_rate", type=above_0_to_1, default=0.001, help="the highest")
    add_option(parser, "dropout", type=from_0_below_1, default=0.2, help="share of features left out")
    add_option(
        parser,
        "localisation",
        type=from_0,
        default=CELL_LOSS_WEIGHT,
        help="weight of the loss on boxes, where the data have them; 0 for none",
    )
    add_option(parser, "smoothing", type=from_0_below_1, default=0.02, help="labels towards one half")
    add_option(
        parser,
        "averaging",
        type=from_0_below_1,
        default=0.998,
        help="share of the averaged weights that a step keeps; 0 for none",
    )
    add_option(parser, "zoom", type=from_0_below_1, default=1 / 3, help="share of zoomed windows")
    add_option(parser, "epoch_size", type=whole_number(0), default=0, help="X-rays; 0 for each one once")
    add_option(
        parser,
        "fractured_share",
        type=from_0_below_1,
        default=0.0,
        help="of the X-rays of an --epoch_size; 0 for what the data have",
    )
    add_option(parser, "schedule", choices=SCHEDULES, default="stages", help="of pretrained weights")
    add_option(
        parser,
        "frozen_stride",
        type=whole_number(0),
        default=0,
        help="pretrained layers with a cell for at most so many pixels do not learn",
    )
    add_option(
        parser, "keep", choices=KEPT_EPOCHS, default="best", help="which epoch: best on validation, or last"
    )
    add_option(parser, "balance", choices=BALANCES, default="none", help="let both classes weigh alike")
    add_option(
        parser,
        "mixed_precision",
        choices=("auto", "on", "off"),
        default="auto",
        help="bfloat16; auto: on GPUs that have it (compute capability 8.0 or higher)",
    )
    add_option(parser, "strategy", choices=STRATEGIES, default="auto", help="who trains")
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


def _train(options: argparse.Namespace) -> None:
    """Carry the command out; TensorFlow, which takes seconds, comes after the words are understood."""
    load_tensorflow()
    from training.learning import strategies
    from training.learning.training import train

    strategy = strategies.make_strategy(options.strategy)
    logger.info("Training on %s.", strategies.describe_devices(strategy))
    dataset = read_dataset(options.data)
    for remark in dataset.remarks:
        logger.warning("%s", remark)
    if not dataset.tells_patients():
        logger.warning("%s", _PATIENTS_UNKNOWN)
    run_dir = options.out or Path("runs") / f"{date.today():%Y-%m-%d}-{options.model}"
    logger.info("The run goes to %s; the same command with --out %s goes on with it.", run_dir, run_dir)
    mixed = options.mixed_precision == "on" or (
        options.mixed_precision == "auto" and strategies.has_bfloat16()
    )
    config = _config(options, dataset, MIXED if mixed else FLOAT32)
    train(config, dataset, run_dir, strategy, options.cache, options.split)


def _config(options: argparse.Namespace, dataset: Dataset, precision: str) -> Config:
    boxed = any(sample.boxes for sample in dataset.samples)
    return Config(
        model=options.model,
        weights=options.weights,
        image_size=options.image_size,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        dropout=options.dropout,
        epoch_size=options.epoch_size,
        fractured_share=options.fractured_share,
        zoom=options.zoom,
        smoothing=options.smoothing,
        localisation=options.localisation if boxed else 0.0,
        averaging=options.averaging,
        schedule=options.schedule,
        frozen_stride=options.frozen_stride,
        keep=options.keep,
        balance=options.balance,
        patience=options.patience,
        precision=precision,
        leaks=options.leaks,
        hold_out_test=options.hold_out_test,
        split_sha256=hashlib.sha256(options.split.read_bytes()).hexdigest() if options.split else "",
        seed=options.seed,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
    )


if __name__ == "__main__":
    sys.exit(main())
