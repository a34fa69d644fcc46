"""The models that are measured: the default bundle, and a DenseNet121 exported for the occasion."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.imaging.preprocess import to_square
from edge_app.model.bundle import FEATURES, MANIFEST, load_bundle, sha256_of
from edge_app.model.choice import CHOICE
from export.proof.drawn import draw_xray
from tools.bench.contenders import Subject

OTHER_MODEL = "densenet121"
OTHER_SIZE_PX = 224
_INT8 = "features.int8.onnx"
_CALIBRATION = 16


def bundled(bundle_dir: Path, like: Path) -> Subject:
    """Copy a bundle without what was chosen on this PC, so that it runs in 32-bit.

    Args:
        bundle_dir: Where it is written.
        like: The bundle.

    Returns:
        The subject.

    Raises:
        BundleError: there is no bundle that can be used.
    """
    size_px = load_bundle(like).manifest.input.size_px
    shutil.copytree(like, bundle_dir, ignore=shutil.ignore_patterns(CHOICE))
    return Subject(bundle_dir, _manifest(bundle_dir)["architecture"], size_px)


def exported(bundle_dir: Path, like: Path) -> Subject:
    """Export a DenseNet121 with random weights; they do not change the time.

    Args:
        bundle_dir: Where it is written.
        like: A bundle whose manifest tells the rest.

    Returns:
        The subject.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # TensorFlow stays out of this process
        pool.submit(_export, bundle_dir, _manifest(like)).result()
    return Subject(bundle_dir, OTHER_MODEL, OTHER_SIZE_PX)


def _export(bundle_dir: Path, manifest: dict[str, Any]) -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import keras

    from export.graph.graphs import build_graphs
    from export.graph.split import split_model
    from export.proof.variants import to_int8
    from training.networks.architectures import build_model

    keras.utils.set_random_seed(0)
    pair = split_model(build_model(OTHER_MODEL, OTHER_SIZE_PX))
    graphs = build_graphs(pair)
    drawn = np.stack([to_square(draw_xray(seed), OTHER_SIZE_PX) for seed in range(_CALIBRATION)])
    graphs[_INT8] = to_int8(graphs[FEATURES], drawn)
    float32 = manifest["variants"]["float32"]
    unknown = {"threshold": 0, "sensitivity": 0, "specificity": 0, "pointing_game": None}
    changes: dict[str, Any] = {
        "name": f"{OTHER_MODEL}-{OTHER_SIZE_PX}",
        "architecture": OTHER_MODEL,
        "input": {**manifest["input"], "size_px": OTHER_SIZE_PX},
        "variants": {
            "float32": float32,
            "int8": {**float32, "features": _INT8, "devices": ["cpu"], "validation": unknown},
        },
        "heatmap": {**manifest["heatmap"], "grid": list(pair.features.output_shape[1:3])},
        "golden": [],
        "input_gate": None,
        "files": {name: sha256_of(graph) for name, graph in graphs.items()},
    }
    bundle_dir.mkdir(parents=True)
    for name, graph in graphs.items():
        (bundle_dir / name).write_bytes(graph)
    (bundle_dir / MANIFEST).write_text(json.dumps({**manifest, **changes}))


def _manifest(bundle_dir: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle_dir / MANIFEST).read_bytes())
    return content
