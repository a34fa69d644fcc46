"""Export a run: `python -m export --run RUN --out models/NAME`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf

from edge_app.bundle import CLASSIFIER, FEATURES, MODEL
from edge_app.errors import EdgeError
from export.convert import to_onnx
from export.pack import describe, write_bundle
from export.parity import compare
from export.runs import read_run
from export.split import Pair, split_model

logger = logging.getLogger("export")


def export_run(run_dir: Path, out_dir: Path) -> None:
    """Convert a finished run, prove that it agrees with Keras, and write the bundle.

    Args:
        run_dir: What `python -m training.train` left.
        out_dir: The bundle's directory.

    Raises:
        EdgeError: the run is unfinished, the model cannot be exported exactly, or the runtimes
            disagree. Nothing is written then.
    """
    run = read_run(run_dir)
    pair = split_model(run.model)
    logger.info("The model is cut at %s %s.", pair.features.output.name, pair.features.output_shape)
    graphs = convert(run.model, pair)
    differences = compare(pair, graphs[FEATURES], graphs[CLASSIFIER], graphs[MODEL])
    for difference in differences:
        logger.info(
            "%-26s differs by %.1e, allowed is %.0e",
            difference.tensor,
            difference.value,
            difference.tolerance,
        )
    size_px = pair.features.input_shape[1]
    write_bundle(out_dir, describe(run, size_px, graphs, differences), graphs)
    logger.info("The bundle is in %s.", out_dir)


def convert(model: keras.Model, pair: Pair) -> dict[str, bytes]:
    """Convert a model and its two halves.

    Args:
        model: The whole model.
        pair: The same model, split.

    Returns:
        The three ONNX graphs by file name.
    """
    image_shape, feature_shape = pair.features.input_shape, pair.features.output_shape

    def features(image: tf.Tensor) -> tf.Tensor:
        return pair.features(image, training=False)

    def whole(image: tf.Tensor) -> tf.Tensor:
        return model(image, training=False)

    outputs = ("logit", "probability", "gradient")
    return {
        FEATURES: to_onnx(features, "image", image_shape, ("features",)),
        CLASSIFIER: to_onnx(pair.classify, "features", feature_shape, outputs),
        MODEL: to_onnx(whole, "image", image_shape, ("probability",)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 written, 1 an error that is explained."""
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="a finished run directory")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's directory")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger.setLevel(logging.INFO)
    try:
        export_run(options.run, options.out)
    except EdgeError as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
