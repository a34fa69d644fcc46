"""A training from its data to a finished run directory."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edge_app.errors import DataError, DeviceError, WeightsError
from training.data.prepare import TrainingData, log_sides, prepare, split_rows
from training.data.samples import Dataset
from training.data.scan import Cache, Scan
from training.data.splits import TRAIN, VALIDATION
from training.evaluation import metrics, out_of_fold
from training.evaluation.assessment import evaluate_scores
from training.evaluation.evaluation_report import estimate_text
from training.evaluation.explain import Peaks, choose_method, peaks_in_boxes
from training.evaluation.out_of_fold import OutOfFold, peak_columns
from training.evaluation.scorers import KerasScorer, fold_calibration
from training.evaluation.shortcuts import audit_shortcuts
from training.learning import strategies
from training.learning.fit import fit
from training.learning.keeper import chosen_epoch, values_of
from training.learning.learner import assign
from training.networks.architectures import build_model
from training.networks.weights import RANDOM, load_weights
from training.runs import rundir
from training.runs.config import FLOAT32, Config
from training.runs.provenance import describe_run

logger = logging.getLogger(__name__)


def train(
    config: Config,
    dataset: Dataset,
    run_dir: Path,
    strategy: tf.distribute.Strategy,
    cache: Cache = "memory",
    split: Path | None = None,
    scored: OutOfFold | None = None,
    audits: bool = True,
) -> None:
    """Train, or go on with a training that was broken off, and evaluate the kept epoch.

    Args:
        config: What to train.
        dataset: Labelled X-rays.
        run_dir: Where results go; the same configuration and directory resume.
        strategy: Who trains.
        cache: Where the decoded squares stay.
        split: The `split.csv` of an earlier run, to be used again.
        scored: What networks of the same recipe said of X-rays that they were not trained on; calibration,
            threshold and figures come from these, not from this run's validation.
        audits: Whether to look for shortcuts, which scores the validation X-rays several times.

    Raises:
        EdgeError: the data, the weights, the run directory or another worker do not allow it.
        MemoryError: a processor's memory is full.
    """
    chief = strategies.is_chief(strategy)
    with _explained(dataset), rundir.open_run(run_dir, asdict(config)) if chief else nullcontext():
        if rundir.is_finished(run_dir):
            logger.info("%s is finished already; nothing to do.", run_dir)
            return
        begun = rundir.has_begun(run_dir)
        data, rows = split_data(config, dataset, run_dir, cache, split)
        sides = log_sides(rows)
        _check_batch(config.batch_size, sides[TRAIN], strategy.num_replicas_in_sync)
        keras.utils.set_random_seed(config.seed)
        keras.config.set_dtype_policy(config.precision)
        with strategy.scope():
            model = build_model(config.model, config.window or config.image_size, config.dropout)
            start = load_weights(model, config.model, config.weights)
        if begun:
            _check_start(start, run_dir)
        elif chief:
            rundir.write_json(run_dir / rundir.PROVENANCE, describe_run(dataset, start, sides))
            rundir.write_csv(run_dir / rundir.SPLIT, rows)
        _fit_members(config, data, model, start != RANDOM, run_dir, strategy)
        if chief:
            finish(config, data, run_dir, scored, audits)
        strategies.wait_for_all(strategy)


def _fit_members(
    config: Config,
    data: TrainingData,
    model: keras.Model,
    pretrained: bool,
    run_dir: Path,
    strategy: tf.distribute.Strategy,
) -> None:
    """Train a run's members one after the other, each from the model's start."""
    if config.members > 1 and not pretrained:
        logger.warning(
            "From random weights, networks often learn what cannot be averaged. The evaluation will tell."
        )
    start = values_of(model.variables)
    for member in range(config.members):
        if config.members > 1:
            logger.info("Member %d of %d.", member + 1, config.members)
        assign(model.variables, start)
        fit(config, data, model, pretrained, run_dir, strategy, member)


def finish(
    config: Config,
    data: TrainingData,
    run_dir: Path,
    scored: OutOfFold | None = None,
    audits: bool = True,
) -> None:
    """Calibrate the kept epoch, choose its threshold, and write down how good it is on validation.

    The calibration is folded into the last layer, so the model itself gives calibrated probabilities. It
    computes in 32-bit, whatever it was trained in.

    Args:
        config: What was trained.
        data: What was validated on.
        run_dir: The run directory, which receives the model, the predictions and the evaluation.
        scored: X-rays scored out of fold, as `train` says.
        audits: Whether to look for shortcuts.

    Raises:
        DataError: the model gives no numbers, or scores normal X-rays higher than others.
        RunError: its state cannot be read.
    """
    keras.config.set_dtype_policy(FLOAT32)
    model = _kept_model(config, run_dir)
    chosen = data.chosen(VALIDATION)
    scan, labels, groups = data.scan.only(chosen), data.labels[chosen], data.groups[chosen]
    scorer = KerasScorer(model, config.batch_size)
    raw = scorer.logits(scan.squares)
    calibration = out_of_fold.calibration(scored) if scored else metrics.fit_calibration(labels, raw)
    fold_calibration(model, calibration)
    logits = calibration.slope * raw + calibration.intercept
    peaks = peaks_in_boxes(scorer, scan)
    rundir.write_csv(run_dir / rundir.PREDICTIONS, _predictions(scan, groups, raw, logits, peaks))
    rundir.save_model(run_dir / rundir.BEST_MODEL, model)
    evaluation = {
        **evaluate_scores(labels, metrics.to_probability(logits), groups),
        "calibration": {"method": "platt", **asdict(calibration)},
        **choose_method(peaks, groups),
    }
    if scored:
        strata = out_of_fold.assess_strata(scored, data.scan.samples)
        evaluation = out_of_fold.evaluate(scored) | {"strata": strata, "held_out": evaluation}
    evaluation["shortcuts"] = audit_shortcuts(scorer.logits, scan, labels, groups) if audits else None
    rundir.write_json(run_dir / rundir.EVALUATION, evaluation)
    _log_evaluation(evaluation, run_dir)


def _kept_model(config: Config, run_dir: Path) -> keras.Model:
    """Build the run's model for whole squares, with the mean of what was kept of its members.

    Source:
        Wortsman et al., Model soups, ICML 2022: fine-tuned from one start, networks can be averaged.
    """
    model = build_model(config.model, config.image_size, config.dropout)
    kept = [_kept_values(rundir.member_dir(run_dir, member), model) for member in range(config.members)]
    assign(
        model.variables, [np.mean(each, axis=0).astype(each[0].dtype) for each in zip(*kept, strict=True)]
    )
    return model


def _kept_values(member_dir: Path, model: keras.Model) -> list[NDArray[Any]]:
    """Read the epoch that was kept of a member; the model has its values afterwards."""
    epoch = chosen_epoch(rundir.read_csv(member_dir / rundir.HISTORY))
    kept = rundir.chosen_checkpoint(member_dir, epoch)
    rundir.assign_state(kept, rundir.read_state(kept), "weight", model.variables)
    return values_of(model.variables)


def _predictions(
    scan: Scan,
    groups: NDArray[np.int64],
    raw: NDArray[np.float64],
    logits: NDArray[np.float64],
    peaks: Peaks,
) -> list[dict[str, Any]]:
    """Put the rows of `predictions.csv` together, one for each X-ray."""
    return [
        {
            "image_id": sample.image_id,
            "fractured": int(sample.fractured),
            "group": int(groups[index]),
            "raw_logit": f"{raw[index]:.6f}",
            "logit": f"{logits[index]:.6f}",
            "probability": f"{metrics.to_probability(logits[index]):.6f}",
            **peak_columns({name: float(hits[index]) for name, hits in peaks.items()}),
        }
        for index, sample in enumerate(scan.samples)
    ]


def split_data(
    config: Config, dataset: Dataset, run_dir: Path, cache: Cache = "memory", earlier: Path | None = None
) -> tuple[TrainingData, list[dict[str, Any]]]:
    """Decode and split the X-rays, as the run's `split.csv` says once an epoch has ended.

    Before that, the file may be of other settings: the chief replaces it while other workers come here.

    Args:
        config: What is trained.
        dataset: Labelled X-rays.
        run_dir: The run directory.
        cache: Where the decoded squares stay.
        earlier: The `split.csv` of an earlier run, to be used again.

    Returns:
        The samples with their sides, and the rows of `split.csv`.

    Raises:
        DataError: the data leak, or read otherwise than when the run was begun.
    """
    begun = rundir.has_begun(run_dir)
    written = run_dir / rundir.SPLIT
    data = prepare(
        dataset.samples,
        config.image_size,
        cache,
        config.seed,
        written if begun else earlier,
        leave_out_leaks=config.leaks == "leave_out",
        hold_out_test=config.hold_out_test,
    )
    rows = split_rows(data, dataset.data_dir)
    if begun:
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
    begun = json.loads((run_dir / rundir.PROVENANCE).read_text(encoding="utf-8"))["weights"]
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


@contextmanager
def _explained(dataset: Dataset) -> Iterator[None]:
    """Tell what stopped TensorFlow, where that is known."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise MemoryError from error
    except tf.errors.UnavailableError as error:
        raise DeviceError(
            "Another worker stopped. Start the same command on all of them again to go on."
        ) from error
    except tf.errors.UnknownError:
        _check_images(dataset)
        raise


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
