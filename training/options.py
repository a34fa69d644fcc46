"""What a training and a cross-validation are told alike: the options of a recipe, and its configuration."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.cli import (
    above_0_to_1,
    add_option,
    from_0,
    from_0_below_1,
    image_size,
    load_tensorflow,
    whole_number,
    window,
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
    MIXED,
    SCHEDULES,
    STRATEGIES,
    Config,
)

if TYPE_CHECKING:
    import tensorflow as tf

WHEN_MEMORY_IS_FULL = (
    "Try a smaller --batch_size or --image_size, on a GPU --mixed_precision on, and for many X-rays "
    "--cache FILE."
)
_PATIENTS_UNKNOWN = (
    "The patients are not known: X-rays of one patient may stand on both sides of the split, and then the "
    "figures on validation are too good."
)

logger = logging.getLogger(__name__)


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add the options that tell what is trained, how, and on what."""
    parser.add_argument("--data", type=Path, required=True, help="X-rays: MURA, FracAtlas, class folders")
    parser.add_argument("--model", choices=ARCHITECTURES, default="efficientnet_lite0")
    parser.add_argument(
        "--weights",
        default="auto",
        metavar="auto|none|imagenet|FILE",
        help="auto: ImageNet weights that are installed, else random ones; imagenet: download them",
    )
    add_option(parser, "image_size", type=image_size, default=224, help="side in pixels")
    add_option(parser, "epochs", type=whole_number(1), default=50, help="at most")
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
    add_option(
        parser,
        "window",
        type=window,
        default=0,
        help="side in pixels of what a training step sees of each X-ray; 0 for all of it",
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
    add_option(parser, "seed", type=whole_number(0), default=0, help="of split, order and randomness")


def begin(options: argparse.Namespace) -> tuple[tf.distribute.Strategy, Dataset]:
    """Choose who trains, and read the data; TensorFlow, which takes seconds, comes first here.

    Raises:
        EdgeError: the data or the processors do not allow it.
    """
    load_tensorflow()
    from training.learning import strategies

    strategy = strategies.make_strategy(options.strategy)
    logger.info("Training on %s.", strategies.describe_devices(strategy))
    dataset = read_dataset(options.data)
    for remark in dataset.remarks:
        logger.warning("%s", remark)
    if not dataset.tells_patients():
        logger.warning("%s", _PATIENTS_UNKNOWN)
    return strategy, dataset


def configure(options: argparse.Namespace, dataset: Dataset, **chosen: Any) -> Config:
    """Put a configuration together.

    Args:
        options: What `add_recipe` parsed.
        dataset: What is trained on; without boxes, nothing can be learned from them.
        chosen: The settings that are not in a recipe, by their names in `Config`.

    Returns:
        The configuration.
    """
    from training.learning import strategies

    mixed = options.mixed_precision == "on" or (
        options.mixed_precision == "auto" and strategies.has_bfloat16()
    )
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
        window=options.window,
        zoom=options.zoom,
        smoothing=options.smoothing,
        localisation=options.localisation if boxed else 0.0,
        averaging=options.averaging,
        schedule=options.schedule,
        frozen_stride=options.frozen_stride,
        balance=options.balance,
        precision=MIXED if mixed else FLOAT32,
        seed=options.seed,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        **chosen,
    )


def _cache(text: str) -> Cache:
    kinds: dict[str, Cache] = {"memory": "memory", "none": "none"}
    return kinds.get(text, Path(text))
