"""The command as a whole, on a run that can be worked out by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_app.imaging.images import encode_png
from edge_app.imaging.preprocess import to_tensor
from edge_app.model.bundle import load_bundle
from edge_app.model.golden import replay
from edge_app.model.inference import ModelPair
from edge_app.predictor import FRACTURE, NORMAL, Predictor
from export.__main__ import main
from tests.drawn_run import (
    CELL_PX,
    GRID,
    THRESHOLD,
    cell_of,
    change_json,
    draw_square,
    evidence_model,
    write_data,
    write_run,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

NAMES = {
    "features.onnx",
    "classifier.onnx",
    "model.onnx",
    "golden-1.png",
    "golden-2.png",
    "golden-3.png",
    "manifest.json",
    "MODEL_CARD.md",
}
SMALLER = {"features.int8.onnx"}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run", evidence_model())


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "drawn")


@pytest.fixture(scope="module")
def bundle_dir(run_dir: Path, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out_dir = tmp_path_factory.mktemp("bundles") / "bundle"
    assert export(run_dir, out_dir, "--data", data_dir) == 0
    return out_dir


@pytest.fixture
def own_run(run_dir: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may change."""
    return shutil.copytree(run_dir, tmp_path / "runs" / "run")


def export(run_dir: Path, out_dir: Path, *options: object) -> int:
    return main(["--run", str(run_dir), "--out", str(out_dir), *map(str, options)])


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def files_of(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_run_becomes_a_bundle_that_serves(bundle_dir: Path) -> None:
    predictor = Predictor(bundle_dir, device="cpu")
    fractured, normal = (predictor.predict(encode_png(draw_square(9, broken))) for broken in (True, False))
    assert (fractured.prediction, normal.prediction) == (FRACTURE, NORMAL)
    # By hand: a grey of 49 everywhere, evidence 4 b - 3 in 16 cells.
    logit = 4 * 49 / 255 - 3 + np.log(16)
    assert normal.probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    row, column = np.unravel_index(fractured.heatmap.argmax(), fractured.heatmap.shape)
    assert (row // CELL_PX, column // CELL_PX) == cell_of(9)


def test_every_variant_is_written_with_its_figures(bundle_dir: Path) -> None:
    assert names_in(bundle_dir) == NAMES | SMALLER
    manifest = json.loads((bundle_dir / "manifest.json").read_text())
    figures = {
        "samples": 8,
        "fractured": 4,
        "auroc": 1.0,
        "sensitivity": 1.0,
        "specificity": 1.0,
        "pointing_game": 1.0,
    }
    measured = manifest["variants"]["int8"]["validation"]
    whole = measured.pop("float32")
    assert whole == {**figures, "threshold": THRESHOLD}
    # Its own threshold, chosen as training chooses: between the lowest fractured and the highest normal.
    assert 0.70 < measured.pop("threshold") < 0.75
    assert measured == figures


def test_int8_runs_in_the_app_and_reproduces_its_golden_cases(bundle_dir: Path) -> None:
    bundle = load_bundle(bundle_dir, "int8")
    model = ModelPair(bundle.graphs, "cpu")
    replay(bundle, model)
    square = draw_square(9, fractured=True)
    exact = ModelPair(load_bundle(bundle_dir).graphs, "cpu").explain(to_tensor(square[np.newaxis]))
    rounded = model.explain(to_tensor(square[np.newaxis]))
    assert 0 < abs(rounded.probability - exact.probability) < 0.01


def test_two_exports_are_the_same_bytes(
    run_dir: Path, data_dir: Path, bundle_dir: Path, tmp_path: Path
) -> None:
    assert export(run_dir, tmp_path / "again", "--data", data_dir) == 0
    assert files_of(tmp_path / "again") == files_of(bundle_dir)


def test_without_data_there_are_no_variants_and_a_line_says_so(
    run_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert export(run_dir, tmp_path / "bundle") == 0
    assert names_in(tmp_path / "bundle") == NAMES
    assert "No smaller variants: only X-rays tell how good they are. Name the data with --data." in (
        caplog.messages
    )


def test_no_variant_can_be_asked_for(run_dir: Path, data_dir: Path, tmp_path: Path) -> None:
    assert export(run_dir, tmp_path / "bundle", "--data", data_dir, "--variants", "none") == 0
    assert names_in(tmp_path / "bundle") == NAMES


def test_run_without_files_in_its_split_still_exports_without_data(own_run: Path, tmp_path: Path) -> None:
    (own_run / "split.csv").write_text("image_id,fractured,group,side,reason\nX,1,0,train,\n")
    assert export(own_run, tmp_path / "bundle") == 0


def test_model_is_cut_where_it_is_asked_to(run_dir: Path, tmp_path: Path) -> None:
    assert export(run_dir, tmp_path / "bundle", "--feature-layer", "evidence") == 0
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["heatmap"]["layer"] == "evidence"
    assert manifest["heatmap"]["grid"] == [GRID, GRID]
    # What training measured was the map of another layer.
    assert manifest["heatmap"]["pointing_game"] is manifest["validation"]["pointing_game"] is None


def test_model_of_several_classes_is_told_of_by_its_finding(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", evidence_model(classes=2), ("normal", "fracture"))
    data_dir = write_data(tmp_path / "data")
    change_json(run_dir / "evaluation.json", operating_point=raised_threshold(run_dir))
    assert export(run_dir, tmp_path / "bundle", "--data", data_dir, "--variants", "int8") == 0
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert (manifest["classes"], manifest["finding"]) == (["normal", "fracture"], "fracture")
    assert manifest["variants"]["int8"]["validation"]["auroc"] == 1.0
    predictor = Predictor(tmp_path / "bundle", device="cpu")
    found = predictor.predict(encode_png(draw_square(9, fractured=True)))
    # By hand: 16 cells without evidence against one of 239 and 15 of 49.
    cells = np.array([239, *15 * [49]]) / 255
    evidence = np.log(np.exp(4 * cells - 3).sum()) - (np.log(16) - 3)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-evidence)), abs=1e-6)


def raised_threshold(run_dir: Path) -> dict[str, object]:
    point = json.loads((run_dir / "evaluation.json").read_text())["operating_point"]
    return {**point, "threshold": 0.8}


def refusal(caplog: pytest.LogCaptureFixture, run_dir: Path, *options: object) -> str:
    """Return what is said; nothing may be written."""
    out_dir = run_dir.parent.parent / "bundles" / "bundle"
    assert export(run_dir, out_dir, *options) == 1
    assert not out_dir.parent.exists()
    return caplog.messages[-1]


def test_model_whose_classes_are_not_named_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_dir = write_run(tmp_path / "runs" / "run", evidence_model(classes=2))
    assert "The model has 2 classes, but the run's provenance.json names fracture" in refusal(
        caplog, run_dir
    )


def test_wrong_feature_layer_is_refused_with_the_valid_ones(
    own_run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = refusal(caplog, own_run, "--feature-layer", "nowhere")
    assert said.startswith("The model cannot be cut at 'nowhere'. Choose one of ")
    assert "features" in said


def test_runtimes_that_disagree_are_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = evidence_model()
    layer = model.get_layer("evidence")
    layer.set_weights([np.full_like(weight, np.nan) for weight in layer.get_weights()])
    run_dir = write_run(tmp_path / "runs" / "run", model)
    assert "Nothing was written" in refusal(caplog, run_dir)


def test_unfinished_run_is_refused(own_run: Path, caplog: pytest.LogCaptureFixture) -> None:
    (own_run / "evaluation.json").unlink()
    assert "is not a finished run" in refusal(caplog, own_run)


def test_missing_xray_is_refused(own_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data_dir = write_data(tmp_path / "data")
    (data_dir / "9.png").unlink()
    assert "9.png cannot be read" in refusal(caplog, own_run, "--data", data_dir)


def test_changed_xray_is_refused(own_run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data_dir = write_data(tmp_path / "data")
    shutil.copy(data_dir / "9.png", data_dir / "10.png")
    assert "10.png had a probability" in refusal(caplog, own_run, "--data", data_dir)


def test_occupied_place_is_refused_before_anything_is_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "letter.txt").write_text("keep me")
    assert export(tmp_path / "no run", tmp_path) == 1
    assert "holds something that is no model bundle" in caplog.messages[-1]
    assert names_in(tmp_path) == {"letter.txt"}


@pytest.mark.parametrize(
    "arguments",
    [[], ["--run", "x"], ["--run", "x", "--out", "y", "--variants", "float16"], ["sign"]],
)
def test_incomplete_commands_are_explained(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert "usage: python -m export" in capsys.readouterr().err
