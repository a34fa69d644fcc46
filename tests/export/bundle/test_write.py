from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_app.errors import BundleError, ExportError
from edge_app.model.bundle import load_bundle
from edge_app.model.inference import ModelPair
from export.bundle.write import Export, describe, require_replaceable, write_bundle
from export.proof.drawn import draw_pictures, record_cases
from export.proof.gate import Figures
from export.proof.parity import Difference
from export.proof.variants import VariantGraph
from export.runs import Run
from tests.drawn_run import contents
from tests.toy import GRID, SIZE_PX, classifier_graph, features_graph, graphs_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

WHOLE = Figures(8, 4, auroc=0.9, threshold=0.5, sensitivity=0.8, specificity=0.7, pointing_game=0.5)
SMALL = Figures(8, 4, auroc=0.899, threshold=0.4, sensitivity=0.79, specificity=0.71, pointing_game=None)
NAMES = {
    "features.onnx",
    "classifier.onnx",
    "model.onnx",
    "features.int8.onnx",
    "golden-1.png",
    "golden-2.png",
    "golden-3.png",
    "manifest.json",
    "MODEL_CARD.md",
}


@pytest.fixture(scope="module")
def run() -> Run:
    files = contents(["fracture"])
    return Run(None, *(files[f"{name}.json"] for name in ("config", "provenance", "evaluation")))


@pytest.fixture(scope="module")
def exported() -> Export:
    whole = graphs_of(features_graph(), classifier_graph())
    int8 = replace(whole, features=features_graph(254), variant="int8")
    model = ModelPair(whole, "cpu")
    pictures = draw_pictures()
    return Export(
        size_px=SIZE_PX,
        classes=("fracture",),
        feature_layer="pooled",
        grid=(GRID, GRID),
        graphs={
            "features.onnx": features_graph(),
            "classifier.onnx": classifier_graph(),
            "model.onnx": b"the whole",
        },
        differences=[Difference("logit", 1e-6, 1e-4, "[0, 0] (noise)")],
        variants={"int8": VariantGraph(int8, "features.int8.onnx", SMALL, WHOLE)},
        pictures=pictures,
        golden=record_cases(pictures, {"float32": model, "int8": model}, SIZE_PX),
    )


@pytest.fixture
def bundle_dir(run: Run, exported: Export, tmp_path: Path) -> Path:
    out_dir = tmp_path / "bundle"
    write_bundle(out_dir, describe(run, exported), exported.files)
    return out_dir


def manifest_of(bundle_dir: Path) -> dict[str, Any]:
    return json.loads((bundle_dir / "manifest.json").read_text())


def test_bundle_holds_every_file_and_loads_in_every_variant(bundle_dir: Path) -> None:
    assert {path.name for path in bundle_dir.iterdir()} == NAMES
    assert load_bundle(bundle_dir).graphs.features == features_graph()
    assert load_bundle(bundle_dir, variant="int8").graphs.features == features_graph(254)


def test_manifest_tells_of_the_variants(bundle_dir: Path) -> None:
    assert manifest_of(bundle_dir)["variants"] == {
        "float32": {
            "features": "features.onnx",
            "classifier": "classifier.onnx",
            "devices": ["cpu", "cuda"],
        },
        "int8": {
            "features": "features.int8.onnx",
            "classifier": "classifier.onnx",
            "devices": ["cpu"],
            "validation": {
                "samples": 8,
                "fractured": 4,
                "auroc": 0.899,
                "threshold": 0.4,
                "sensitivity": 0.79,
                "specificity": 0.71,
                "pointing_game": None,
                "float32": {
                    "samples": 8,
                    "fractured": 4,
                    "auroc": 0.9,
                    "threshold": 0.5,
                    "sensitivity": 0.8,
                    "specificity": 0.7,
                    "pointing_game": 0.5,
                },
            },
        },
    }


def test_manifest_tells_of_the_heat_map_and_the_finding(bundle_dir: Path) -> None:
    manifest = manifest_of(bundle_dir)
    assert manifest["schema_version"] == 3
    assert (manifest["classes"], manifest["finding"]) == (["fracture"], "fracture")
    assert manifest["heatmap"]["method"] == "grad-cam"
    assert (manifest["heatmap"]["layer"], manifest["heatmap"]["grid"]) == ("pooled", [GRID, GRID])
    assert set(manifest["heatmap"]["pointing_game"]) == {"grad-cam", "grad-cam++", "hirescam", "layercam"}
    assert manifest["validation"]["pointing_game"]["value"] == 0.9
    assert "heatmap" not in manifest["validation"]


def test_version_follows_the_runs_date_and_the_files(run: Run, exported: Export) -> None:
    description = describe(run, exported)
    assert description["created"] == "2026-01-02"
    assert description["version"].startswith("2026.01.02-")
    assert describe(run, exported) == description
    other = replace(exported, graphs={**exported.graphs, "model.onnx": b"another"})
    assert describe(run, other)["version"] != description["version"]


def test_second_bundle_replaces_the_first(run: Run, exported: Export, bundle_dir: Path) -> None:
    before = {path.name: path.read_bytes() for path in bundle_dir.iterdir()}
    (bundle_dir / "features.onnx").write_bytes(b"damaged")
    with pytest.raises(BundleError):
        load_bundle(bundle_dir)
    write_bundle(bundle_dir, describe(run, exported), exported.files)
    assert {path.name: path.read_bytes() for path in bundle_dir.iterdir()} == before
    assert [path.name for path in bundle_dir.parent.iterdir()] == ["bundle"]


def test_choice_and_signature_go_with_the_bundle_that_they_were_made_for(
    run: Run, exported: Export, bundle_dir: Path
) -> None:
    for name in ("choice.json", "manifest.sig"):
        (bundle_dir / name).write_text("{}")
    write_bundle(bundle_dir, describe(run, exported), exported.files)
    assert {path.name for path in bundle_dir.iterdir()} == NAMES


def test_directory_with_more_than_a_bundle_is_not_overwritten(
    run: Run, exported: Export, bundle_dir: Path
) -> None:
    (bundle_dir / "letter.txt").write_text("keep me")
    with pytest.raises(ExportError, match="no model bundle"):
        write_bundle(bundle_dir, describe(run, exported), exported.files)
    assert (bundle_dir / "letter.txt").read_text() == "keep me"


def test_foreign_place_is_refused(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("keep me")
    for place in (tmp_path, letter):
        with pytest.raises(ExportError, match="no model bundle"):
            require_replaceable(place)


def test_empty_and_missing_directories_can_be_used(tmp_path: Path) -> None:
    require_replaceable(tmp_path)
    require_replaceable(tmp_path / "new")


@pytest.mark.parametrize("size_bytes", [0, 10_000])
def test_full_disk_leaves_the_earlier_bundle_and_nothing_else(
    run: Run, exported: Export, bundle_dir: Path, size_bytes: int
) -> None:
    before = {path.name: path.read_bytes() for path in bundle_dir.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))  # the kernel refuses larger files
    try:
        with pytest.raises(ExportError, match=r"could not be written to .*: File too large"):
            write_bundle(bundle_dir, describe(run, exported), exported.files)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in bundle_dir.iterdir()} == before
    assert [path.name for path in bundle_dir.parent.iterdir()] == ["bundle"]


def test_bundle_that_was_put_aside_by_a_broken_off_export_is_taken_up(
    run: Run, exported: Export, bundle_dir: Path
) -> None:
    bundle_dir.rename(bundle_dir.with_name(".bundle.replaced"))
    write_bundle(bundle_dir, describe(run, exported), exported.files)
    load_bundle(bundle_dir)
    assert [path.name for path in bundle_dir.parent.iterdir()] == ["bundle"]


def test_run_that_the_app_could_not_read_is_refused(run: Run, exported: Export, tmp_path: Path) -> None:
    description = describe(run, exported)
    description["operating_point"] = {**description["operating_point"], "threshold": 1.5}
    with pytest.raises(
        ExportError, match=r"Expected `float` <= 1\.0 - at `\$\.operating_point\.threshold`\. Train again"
    ):
        write_bundle(tmp_path / "bundle", description, exported.files)
    assert not list(tmp_path.iterdir())


def test_method_that_the_app_does_not_know_is_refused(run: Run, exported: Export, tmp_path: Path) -> None:
    description = describe(run, exported)
    description["heatmap"]["method"] = "guesswork"
    with pytest.raises(BundleError, match="guesswork"):
        write_bundle(tmp_path / "bundle", description, exported.files)
    assert not list(tmp_path.iterdir())
