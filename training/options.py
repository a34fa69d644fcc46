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

_CACHES = "memory|none|FILE"

logger = logging.getLogger(__name__)


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add the options that tell what is trained, how, and on what."""
    _add_data(parser.add_argument_group("data"))
    _add_network(parser.add_argument_group("network"))
    _add_epochs(parser.add_argument_group("epochs"))
    _add_loss(parser.add_argument_group("loss and regularisation"))
    _add_computer(parser.add_argument_group("computer"))


def _add_data(group: argparse._ActionsContainer) -> None:
    group.add_argument("--data", type=Path, required=True, help="X-rays: MURA, FracAtlas, class folders")
    add_option(group, "image_size", type=image_size, default=224, help="side in pixels")
    window_help = "side in pixels of what a training step sees of each X-ray; 0 for all of it"
    add_option(group, "window", type=window, default=0, help=window_help)
    add_option(group, "zoom", type=from_0_below_1, default=1 / 3, help="share of zoomed windows")
    group.add_argument("--cache", type=_cache, default="memory", metavar=_CACHES, help="of decoded images")


def _add_network(group: argparse._ActionsContainer) -> None:
    weights_help = "auto: ImageNet weights that are installed, else random ones; imagenet: download them"
    layers_help = "pretrained layers with a cell for at most so many pixels do not learn"
    group.add_argument("--model", choices=ARCHITECTURES, default="efficientnet_lite0")
    group.add_argument("--weights", default="auto", metavar="auto|none|imagenet|FILE", help=weights_help)
    add_option(group, "schedule", choices=SCHEDULES, default="stages", help="of pretrained weights")
    add_option(group, "frozen_stride", type=whole_number(0), default=0, help=layers_help)


def _add_epochs(group: argparse._ActionsContainer) -> None:
    share_help = "of the X-rays of an --epoch_size; 0 for what the data have"
    members_help = "networks that begin alike and learn in different orders; their weights are averaged"
    add_option(group, "epochs", type=whole_number(1), default=50, help="at most")
    add_option(group, "members", type=whole_number(1), default=1, help=members_help)
    add_option(group, "epoch_size", type=whole_number(0), default=0, help="X-rays; 0 for each one once")
    add_option(group, "fractured_share", type=from_0_below_1, default=0.0, help=share_help)
    add_option(group, "batch_size", type=whole_number(1), default=BATCH_SIZE, help="over all processors")
    add_option(group, "learning_rate", type=above_0_to_1, default=0.001, help="the highest")
    add_option(group, "seed", type=whole_number(0), default=0, help="of split, order and randomness")


def _add_loss(group: argparse._ActionsContainer) -> None:
    boxes_help = "weight of the loss on boxes, where the data have them; 0 for none"
    averaging_help = "share of the averaged weights that a step keeps; 0 for none"
    add_option(group, "localisation", type=from_0, default=CELL_LOSS_WEIGHT, help=boxes_help)
    add_option(group, "smoothing", type=from_0_below_1, default=0.02, help="labels towards one half")
    add_option(group, "balance", choices=BALANCES, default="none", help="let both classes weigh alike")
    add_option(group, "dropout", type=from_0_below_1, default=0.2, help="share of features left out")
    add_option(group, "averaging", type=from_0_below_1, default=0.998, help=averaging_help)


def _add_computer(group: argparse._ActionsContainer) -> None:
    precision_help = "bfloat16; auto: on GPUs that have it (compute capability 8.0 or higher)"
    add_option(group, "mixed_precision", choices=("auto", "on", "off"), default="auto", help=precision_help)
    add_option(group, "strategy", choices=STRATEGIES, default="auto", help="who trains")


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
        members=options.members,
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
