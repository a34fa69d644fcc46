"""How fast the input pipeline feeds a training: `python -m tools.bench_pipeline --data DIR`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

from edge_app.imaging.images import decode_image
from edge_app.imaging.preprocess import to_square
from training.cli import add_option, image_size, run_explained, whole_number
from training.data.batches import sample_weights, training_batches
from training.data.datasets import read_dataset
from training.data.scan import Cache, Scan, scan_samples
from training.learning.learner import Learner
from training.learning.stages import StageCosine
from training.networks.architectures import build_model
from training.runs.config import CELL_LOSS_WEIGHT

ROUNDS = 5
MODEL = "densenet121"

logger = logging.getLogger(__name__)


def bare_rate(scan: Scan, size_px: int) -> float:
    """Measure how many images a second all cores decode and resize, and do nothing else."""
    paths = [sample.path for sample in scan.samples]

    def square(path: Path) -> int:
        return to_square(decode_image(path.read_bytes()), size_px).size

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        begin = monotonic()
        list(pool.map(square, paths))
        return len(paths) / (monotonic() - begin)


def pipeline_rate(scan: Scan, batch_size: int) -> float:
    """Measure how many augmented images a second come out of the pipeline, after a first pass."""
    batches = iter(_batches(scan, batch_size))
    count = len(scan.samples) // batch_size
    for _ in islice(batches, count):
        pass
    begin = monotonic()
    for _ in islice(batches, count):
        pass
    return count * batch_size / (monotonic() - begin)


def waiting_share(scan: Scan, size_px: int, batch_size: int, steps: int) -> float:
    """Measure which share of its time a training of `MODEL` waits for data, after a first step."""
    model = build_model(MODEL, size_px)
    rate = StageCosine(1e-4, 0, steps + 1, 1)
    learner = Learner(model, rate, batch_size, CELL_LOSS_WEIGHT, 0.02, 0.998, tf.distribute.get_strategy())
    batches = iter(_batches(scan, batch_size))
    float(learner.step(next(batches)))
    begin, waited = monotonic(), 0.0
    for _ in range(steps):
        asked = monotonic()
        batch = next(batches)
        waited += monotonic() - asked
        float(learner.step(batch))
    return waited / (monotonic() - begin)


def _batches(scan: Scan, batch_size: int) -> tf.data.Dataset:
    chosen = np.arange(len(scan.samples))
    return training_batches(scan, chosen, sample_weights(scan.samples, chosen, "none"), batch_size, seed=0)


def bench(data_dir: Path, size_px: int, batch_size: int, images: int, steps: int) -> None:
    """Measure and tell: rates are medians over interleaved rounds, ratios those of the medians."""
    samples = read_dataset(data_dir).samples[:images]
    with TemporaryDirectory() as folder:
        caches: dict[str, Cache] = {
            "no cache": "none",
            "cache in memory": "memory",
            "cache in a file": Path(folder) / "squares.npy",
        }
        scans = {name: scan_samples(samples, size_px, cache) for name, cache in caches.items()}
        first = scans["no cache"]
        logger.info("%d X-rays at %d px, %d cores", len(first.samples), size_px, os.cpu_count())
        measures: dict[str, Callable[[], float]] = {"bare": partial(bare_rate, first, size_px)}
        for name, scan in scans.items():
            measures[name] = partial(pipeline_rate, scan, batch_size)
        rates: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(ROUNDS):
            for name, measure in measures.items():
                rates[name].append(measure())
        bare = median(rates.pop("bare"))
        logger.info("bare decode and resize      %7.0f images/s", bare)
        for name, measured in rates.items():
            logger.info(
                "pipeline, %-16s  %7.0f images/s (%.0f to %.0f), %5.2f of bare",
                name,
                median(measured),
                min(measured),
                max(measured),
                median(measured) / bare,
            )
        share = waiting_share(scans["cache in memory"], size_px, batch_size, steps)
        logger.info("%s waits for data in %.2f %% of its time, over %d steps", MODEL, 100 * share, steps)


def main() -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_pipeline", description=__doc__)
    default = os.environ.get("FRACTURE_DATA", "../shared/data/fracatlas")
    parser.add_argument("--data", type=Path, default=Path(default), help="X-rays in a known layout")
    add_option(parser, "image_size", type=image_size, default=224)
    add_option(parser, "batch_size", type=whole_number(1), default=32)
    parser.add_argument("--images", type=whole_number(1), default=640, help="the first so many")
    parser.add_argument("--steps", type=whole_number(1), default=8, help="of the training")
    options = parser.parse_args()
    return run_explained(
        lambda: bench(options.data, options.image_size, options.batch_size, options.images, options.steps)
    )


if __name__ == "__main__":
    sys.exit(main())
