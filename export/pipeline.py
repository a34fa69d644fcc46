"""A run directory in, a bundle out: the steps of an export in their order."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_app.errors import RunError
from edge_app.model.bundle import CLASSIFIER, FEATURES, Graphs
from edge_app.model.inference import ModelPair
from edge_app.model.manifest import FLOAT32
from export.bundle.write import TENSORS, Export, describe, require_replaceable, write_bundle
from export.graph.graphs import build_graphs
from export.graph.split import SplitModel, split_model
from export.proof.drawn import draw_pictures, record_cases
from export.proof.gate import Gate
from export.proof.parity import Difference, compare
from export.proof.variants import INT8, VariantGraph, make_int8
from export.runs import Run, read_probabilities, read_run, read_split
from export.xrays import Xrays, evenly_spread, read_xrays

_CALIBRATION_XRAYS = 128
# The layer whose heat maps training measures.
_MEASURED_LAYER = "features"

logger = logging.getLogger("export")


@dataclass(frozen=True)
class RunXrays:
    """Real X-rays of a run, and what its training said of those that it was validated on."""

    validation: Xrays
    calibration: Xrays
    probabilities: Mapping[str, float]


def export_run(
    run_dir: Path,
    out_dir: Path,
    data_dir: Path | None = None,
    wants_variants: bool = True,
    feature_layer: str | None = None,
) -> None:
    """Convert a finished run, prove that it agrees with Keras, and write the bundle.

    Args:
        run_dir: What `python -m training.train` left.
        out_dir: The bundle's directory.
        data_dir: The data that the run was trained on; without them there are no smaller variants.
        wants_variants: Whether to make smaller variants, where there are data.
        feature_layer: The layer whose map is explained; by default the last one with a feature map.

    Raises:
        EdgeError: the run is unfinished, the model cannot be exported exactly, the data are others, or
            the runtimes disagree. Nothing is written then.
    """
    require_replaceable(out_dir)
    run = read_run(run_dir)
    model = split_model(run.model, feature_layer)
    logger.info("The model is cut at %s, shaped %s.", model.layer, model.features.output_shape)
    if feature_layer not in (None, _MEASURED_LAYER):
        run = _without_pointing(run)
        logger.info(
            "Training measured the heat maps of %s, so the bundle does not tell how well these point.",
            _MEASURED_LAYER,
        )
    classes = class_names(run, model.classes)
    xrays = _read_xrays(run_dir, data_dir, model.features.input_shape[1]) if data_dir else None
    export = _export(run, model, classes, xrays, wants_variants)
    write_bundle(out_dir, describe(run, export), export.files)
    logger.info("The bundle is in %s.", out_dir)


def class_names(run: Run, count: int) -> tuple[str, ...]:
    """Name a model's classes; a run of several classes lists them beside its finding.

    Args:
        run: The run.
        count: How many classes have a logit.

    Returns:
        `count` names, the finding among them.

    Raises:
        RunError: the run names others.
    """
    dataset = run.provenance["dataset"]
    names = tuple(dataset.get("classes", [dataset["finding"]]))
    if len(names) != count or dataset["finding"] not in names:
        raise RunError(
            f"The model has {count} classes, but the run's provenance.json names {', '.join(names)} and "
            f"the finding {dataset['finding']}. List each class, in the model's order, in dataset.classes."
        )
    return names


def _without_pointing(run: Run) -> Run:
    """Leave out what was measured on the map of another layer."""
    heatmap = {**run.evaluation["heatmap"], "pointing_game": None}
    return replace(run, evaluation={**run.evaluation, "pointing_game": None, "heatmap": heatmap})


def _read_xrays(run_dir: Path, data_dir: Path, size_px: int) -> RunXrays:
    split = read_split(run_dir)
    validation = [xray for xray in split if xray.side == "validation"]
    train = [xray for xray in split if xray.side == "train"]
    return RunXrays(
        read_xrays(data_dir, validation, size_px, "validation"),
        read_xrays(data_dir, evenly_spread(train, _CALIBRATION_XRAYS), size_px, "calibration"),
        read_probabilities(run_dir),
    )


def _export(
    run: Run, model: SplitModel, classes: tuple[str, ...], xrays: RunXrays | None, wants_variants: bool
) -> Export:
    """Make all that goes into the bundle."""
    _, rows, columns, _ = model.features.output_shape
    size_px = model.features.input_shape[1]
    graphs = build_graphs(model)
    differences = compare(model, graphs, xrays.validation.squares if xrays else None)
    _log_differences(differences)
    whole = Graphs(
        features=graphs[FEATURES],
        classifier=graphs[CLASSIFIER],
        size_px=size_px,
        grid=(rows, columns),
        finding_index=classes.index(run.provenance["dataset"]["finding"]),
        method=run.evaluation["heatmap"]["method"],
        tensors=TENSORS,
        variant=FLOAT32,
        devices=("cpu",),
    )
    variants = _make_variants(run, whole, xrays) if wants_variants else {}
    models = {name: ModelPair(each.graphs, "cpu") for name, each in variants.items()}
    pictures = draw_pictures()
    return Export(
        size_px=size_px,
        classes=classes,
        feature_layer=model.layer,
        grid=(rows, columns),
        graphs=graphs,
        differences=differences,
        variants=variants,
        pictures=pictures,
        golden=record_cases(pictures, {FLOAT32: ModelPair(whole, "cpu"), **models}, size_px),
    )


def _log_differences(differences: Sequence[Difference]) -> None:
    for difference in differences:
        logger.info(
            "%-29s differs by %.1e, allowed is %.0e",
            difference.tensor,
            difference.value,
            difference.tolerance,
        )


def _make_variants(run: Run, whole: Graphs, xrays: RunXrays | None) -> dict[str, VariantGraph]:
    """Make the smaller variants, as far as there are X-rays to measure them by."""
    if xrays is None:
        logger.info("No smaller variants: only X-rays tell how good they are. Name the data with --data.")
        return {}
    point = run.evaluation["operating_point"]
    gate = Gate(
        xrays.validation,
        point["threshold"],
        point["target_sensitivity"],
        ModelPair(whole, "cpu"),
        xrays.probabilities,
    )
    int8 = make_int8(whole, xrays.calibration.squares, gate)
    return {INT8: int8} if int8 else {}
