"""Fit a model and leave a run directory: `python -m training.train --data DIR --out RUN`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from numpy.typing import NDArray

from edge_app.errors import DataError, EdgeError
from training import metrics, rundir, splits
from training.architectures import BACKBONES, build_model
from training.datasets import Sample, check_layout, read_dataset
from training.evaluate import LogitModel, evaluate_scores, fold_calibration, pointing_game
from training.losses import classifier, trainable
from training.pipeline import Decoded, decode_samples, training_batches
from training.provenance import describe_run, fingerprint
from training.weights import LITE0, RANDOM, load_imagenet_weights

WEIGHT_DECAY = 1e-4
DRAWS_PER_EPOCH = 1_000_000
SIDES = {
    "train": "to train on",
    "validation": "to validate on",
    "left out": "left out, nearly the same as one to validate on",
    "unreadable": "broken files, which the clinic's app refuses too",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Config:
    """Everything that a run's result depends on."""

    model: str
    weights: str
    image_size: int
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    dataset: str
    dataset_sha256: str


@dataclass(frozen=True)
class TrainingData:
    """Decoded samples and their split.

    `labels` is float32 (N,), `groups` int64 (N,), `training` and `validation` bool (N,).
    """

    decoded: Decoded
    labels: NDArray[np.float32]
    groups: NDArray[np.int64]
    training: NDArray[np.bool_]
    validation: NDArray[np.bool_]


def train(config: Config, data_dir: Path, run_dir: Path) -> None:
    """Train, or go on with a training that was broken off, and evaluate the best epoch.

    Args:
        config: What to train.
        data_dir: X-rays in the FracAtlas layout.
        run_dir: Where results go; the same configuration and directory resume.

    Raises:
        EdgeError: the data, the weights or the run directory do not allow it.
    """
    rundir.open_run(run_dir, asdict(config))
    if rundir.is_finished(run_dir):
        logger.info("%s is finished already; nothing to do.", run_dir)
        return
    data = prepare(config, data_dir, run_dir)
    fit(config, data, run_dir)
    finish(data, run_dir)


def prepare(config: Config, data_dir: Path, run_dir: Path) -> TrainingData:
    """Decode the samples, split them and write the split down.

    Args:
        config: The run's configuration.
        data_dir: X-rays in the FracAtlas layout.
        run_dir: The run directory, which receives `split.csv`.

    Returns:
        What to train and validate on.
    """
    decoded = decode_samples(read_dataset(data_dir), config.image_size)
    samples = decoded.samples
    labels = np.array([sample.fractured for sample in samples], np.float32)
    groups = splits.block_groups(samples)
    validation = splits.split_validation(labels, groups, config.seed)
    leaking = splits.leaking(samples, validation, splits.duplicate_pairs(decoded.squares))
    sides = np.where(validation, "validation", np.where(leaking, "left out", "train"))
    rows = [_split_row(*row) for row in zip(samples, groups, sides, strict=True)]
    rows += [_split_row(sample, "", "unreadable", why) for sample, why in decoded.unreadable]
    rundir.write_csv(run_dir / rundir.SPLIT, rows)
    if not (run_dir / rundir.PROVENANCE).exists():
        weights = LITE0 if config.weights == "auto" else RANDOM
        counts = {side: sum(row["side"] == side for row in rows) for side in SIDES}
        rundir.write_json(
            run_dir / rundir.PROVENANCE,
            describe_run(config.dataset, config.dataset_sha256, weights, counts),
        )
    _report(rows)
    training = sides == "train"
    if config.batch_size > training.sum():
        raise DataError(
            f"--batch_size {config.batch_size} exceeds the {training.sum()} X-rays to train on."
        )
    if not any(sample.boxes for sample, chosen in zip(samples, validation, strict=True) if chosen):
        raise DataError("No X-ray to validate on has a fracture box, so the heat map could not be judged.")
    return TrainingData(decoded, labels, groups, training, validation)


def fit(config: Config, data: TrainingData, run_dir: Path) -> None:
    """Fit the model from where the run stands, keeping its last and its best state on disk.

    Args:
        config: The run's configuration.
        data: What to train and validate on.
        run_dir: The run directory, which receives `history.csv` and the checkpoints.
    """
    keras.utils.set_random_seed(config.seed)
    steps = int(data.training.sum()) // config.batch_size
    last = run_dir / rundir.LAST_CHECKPOINT
    model = rundir.load_model(last) if last.exists() else _new_model(config, steps)
    epochs_done = int(model.optimizer.iterations) // steps
    if epochs_done:
        logger.info("Going on after epoch %d of %d.", epochs_done, config.epochs)
    if epochs_done >= config.epochs:
        return
    batches = training_batches(
        data.decoded.squares[data.training],
        data.decoded.masks[data.training],
        data.labels[data.training],
        config.batch_size,
        config.seed,
        epochs_done,
    )
    keeper = _Keeper(
        run_dir,
        data.decoded.squares[data.validation],
        data.labels[data.validation],
        config.seed,
        epochs_done,
    )
    model.fit(
        batches,
        steps_per_epoch=steps,
        initial_epoch=epochs_done,
        epochs=config.epochs,
        callbacks=[keeper],
        shuffle=False,
        verbose=1 if sys.stdout.isatty() else 2,
    )


def finish(data: TrainingData, run_dir: Path) -> None:
    """Calibrate the best epoch, choose its threshold, and write down how good it is on validation.

    The calibration is folded into the last layer, so the model itself gives calibrated probabilities.

    Args:
        data: What was validated on.
        run_dir: The run directory, which receives the model, the predictions and the evaluation.
    """
    model = rundir.load_model(run_dir / rundir.BEST_CHECKPOINT, compiled=False)
    chosen = np.flatnonzero(data.validation)
    samples = [data.decoded.samples[index] for index in chosen]
    squares, shapes = data.decoded.squares[chosen], data.decoded.shapes[chosen]
    labels, groups = data.labels[chosen], data.groups[chosen]
    calibration = metrics.fit_calibration(labels, LogitModel(model)(squares))
    fold_calibration(model, calibration)
    logits = LogitModel(model)(squares)
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
                samples, groups, logits, probabilities, strict=True
            )
        ],
    )
    rundir.save_model(run_dir / rundir.BEST_MODEL, model)
    evaluation = evaluate_scores(labels, probabilities, groups)
    evaluation["pointing_game"] = pointing_game(model, squares, samples, shapes, groups)
    evaluation["calibration"] = {"method": "platt", **asdict(calibration)}
    rundir.write_json(run_dir / rundir.EVALUATION, evaluation)
    area, point = evaluation["auroc"], evaluation["operating_point"]
    pointing = evaluation["pointing_game"]
    logger.info(
        "The warmest place lies on the fracture in %.1f %% of %d fractured X-rays.",
        100 * pointing["value"],
        pointing["samples"],
    )
    logger.info("Validation AUROC %.3f (%.3f to %.3f).", area["value"], area["low"], area["high"])
    logger.info(
        "Threshold %.4f: sensitivity %.3f, specificity %.3f. The run is in %s.",
        point["threshold"],
        point["sensitivity"]["value"],
        point["specificity"]["value"],
        run_dir,
    )


class _Keeper(keras.callbacks.Callback):
    """After each epoch: validate, write the history, keep the best and the last state.

    The last state is written at the end, and its step counter tells how far the run is: whatever a
    kill leaves half done belongs to an epoch that will be done again.
    """

    def __init__(
        self,
        run_dir: Path,
        squares: NDArray[np.uint8],
        labels: NDArray[np.float32],
        seed: int,
        epochs_done: int,
    ) -> None:
        super().__init__()
        self._run_dir = run_dir
        self._seed = seed
        self._squares = squares
        self._labels = labels
        history = run_dir / rundir.HISTORY
        self._rows: list[dict[str, Any]] = list(
            rundir.read_csv(history)[:epochs_done] if epochs_done else []
        )

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Build what computes the logits once."""
        self._classifier = classifier(self.model)
        self._logits = LogitModel(self._classifier)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Make dropout depend on the seed and the epoch alone: Keras does not save its state."""
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.seed_generator.state.assign([self._seed, epoch * DRAWS_PER_EPOCH])

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        area = metrics.auroc(self._labels, self._logits(self._squares))
        best = max((float(row["validation_auroc"]) for row in self._rows), default=0.0)
        loss = (logs or {})["loss"]
        self._rows.append({"epoch": epoch + 1, "loss": f"{loss:.6f}", "validation_auroc": f"{area:.6f}"})
        rundir.write_csv(self._run_dir / rundir.HISTORY, self._rows)
        if area > best:
            rundir.save_model(self._run_dir / rundir.BEST_CHECKPOINT, self._classifier)
        rundir.save_model(self._run_dir / rundir.LAST_CHECKPOINT, self.model)
        logger.info("Epoch %d: validation AUROC %.4f, best %.4f.", epoch + 1, area, max(area, best))


def _new_model(config: Config, steps: int) -> keras.Model:
    model = build_model(config.model, config.image_size)
    if config.weights == "auto":
        load_imagenet_weights(model)
        logger.info("%s starts from ImageNet weights.", config.model)
    else:
        logger.info("%s starts from random weights.", config.model)
    return trainable(model, config.learning_rate, WEIGHT_DECAY, steps, config.epochs)


def _split_row(sample: Sample, group: object, side: str, reason: str = "") -> dict[str, Any]:
    return {
        "image_id": sample.image_id,
        "fractured": int(sample.fractured),
        "group": group,
        "side": side,
        "reason": reason,
    }


def _report(rows: Sequence[dict[str, Any]]) -> None:
    for side, meaning in SIDES.items():
        of_side = [row["fractured"] for row in rows if row["side"] == side]
        logger.info("%5d X-rays, %4d fractured: %s", len(of_side), sum(of_side), meaning)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="X-rays in the FracAtlas layout")
    parser.add_argument("--out", type=Path, help="run directory (default: runs/<date>-<model>)")
    parser.add_argument("--model", choices=sorted(BACKBONES), default="efficientnet_lite0")
    parser.add_argument(
        "--weights",
        choices=("auto", "none"),
        default="auto",
        help="auto: ImageNet weights from the installed package; none: random",
    )
    parser.add_argument("--image_size", "--image-size", type=_image_size, default=224)
    parser.add_argument("--epochs", type=_positive(2), default=50)
    parser.add_argument("--batch_size", "--batch-size", type=_positive(1), default=32)
    parser.add_argument("--learning_rate", "--learning-rate", type=_rate, default=0.001)
    parser.add_argument("--seed", type=_positive(0), default=0)
    return parser.parse_args(arguments)


def _positive(least: int) -> Any:
    def whole_number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of {least} or more, got {text}")
        return int(text)

    return whole_number


def _image_size(text: str) -> int:
    if not text.isdecimal() or int(text) % 32 or not int(text):
        raise argparse.ArgumentTypeError(f"expected a multiple of 32, got {text}")
    return int(text)


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate <= 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0, at most 1, got {text}")
    return rate


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 an error that is explained."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    run_dir = options.out or Path("runs") / f"{date.today():%Y-%m-%d}-{options.model}"
    try:
        train(_config(options), options.data, run_dir)
    except EdgeError as error:
        logger.error("%s", error)
        return 1
    except OSError as error:
        logger.error("%s: %s", error.filename, error.strerror)
        return 1
    return 0


def _config(options: argparse.Namespace) -> Config:
    check_layout(options.data)
    return Config(
        model=options.model,
        weights=options.weights,
        image_size=options.image_size,
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=options.seed,
        dataset=options.data.resolve().name,
        dataset_sha256=fingerprint(options.data),
    )


if __name__ == "__main__":
    sys.exit(main())
