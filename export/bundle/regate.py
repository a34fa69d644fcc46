"""Give a finished bundle an input gate, or a new one."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_app.model.bundle import MANIFEST, SIGNATURE, load_bundle
from edge_app.model.inference import ModelPair
from edge_app.model.manifest import FLOAT32
from edge_app.model.quality import pack_gate
from export.bundle.card import CARD
from export.bundle.write import GATE, describe_gate, version_of, write_bundle
from export.graph.averages import AVERAGES, add_averages
from export.input_gate.making import make_gate
from export.runs import read_split

logger = logging.getLogger("export")


def add_gate(bundle_dir: Path, run_dir: Path, data_dir: Path, folder: Path | None = None) -> None:
    """Fit an input gate to a bundle's own averages, judge it, and write the bundle again with it.

    The features graphs get two small outputs and keep every other number. A signature falls away, as the
    manifest is another one.

    Args:
        bundle_dir: A bundle.
        run_dir: The run that it was made of, for who trained it and who did not.
        data_dir: The data that the run was trained on.
        folder: Further pictures that are no X-rays, to judge by; each sub-folder is a kind.

    Raises:
        EdgeError: the bundle or the run is not whole, or the data are too few. Nothing is written then.
    """
    bundle = load_bundle(bundle_dir)
    description, files = _read(bundle_dir)
    for name in {variant["features"] for variant in description["variants"].values()}:
        files[name] = add_averages(files[name])
    features = files[description["variants"][FLOAT32]["features"]]
    model = ModelPair(replace(bundle.graphs, features=features, averages=AVERAGES), "cpu")
    gate, figures = make_gate(
        lambda tensor: model.explain(tensor).averages,
        data_dir,
        read_split(run_dir),
        bundle.manifest.input.size_px,
        folder,
    )
    files[GATE] = pack_gate(gate)
    description["input_gate"] = describe_gate(gate, figures)
    description["version"] = version_of(bundle.manifest.created, files)
    write_bundle(bundle_dir, description, files)
    logger.info("%s has an input gate.", bundle_dir)


def _read(bundle_dir: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest without its files, and the files but for the card, which is written anew."""
    description = json.loads((bundle_dir / MANIFEST).read_bytes())
    names = description.pop("files").keys() - {CARD, SIGNATURE}
    return description, {name: (bundle_dir / name).read_bytes() for name in sorted(names)}
