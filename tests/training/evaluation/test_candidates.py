from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import BundleError, EdgeError, RunError, SettingsError
from tests.toy import THRESHOLD, manifest, write_toy_bundle
from tests.toy_keras import toy_model, write_toy_run
from training.data.samples import Dataset, Sample
from training.evaluation.candidates import open_candidate
from training.networks.architectures import build_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SAMPLES = tuple(Sample(name, Path(name), name == "a", number=9) for name in "abc")
DATASET = Dataset(Path(), "FracAtlas", "drawn", "fracture", "this data", SAMPLES)
SIDES = {"a": "validation", "b": "validation", "c": "train"}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return write_toy_run(tmp_path / "run", DATASET, SIDES, 0.3)


@pytest.mark.parametrize("name", [".", "best_model.keras"])
def test_run_brings_its_data_split_threshold_and_validation_scores(run_dir: Path, name: str) -> None:
    candidate = open_candidate(run_dir / name)
    assert (candidate.kind, candidate.name, candidate.threshold) == ("run", "run", 0.3)
    assert (candidate.trained_on, candidate.finding) == ("this data", "fracture")
    assert candidate.target_sensitivity == 0.9
    assert candidate.split == run_dir / "split.csv"
    assert candidate.validation.labels.tolist() == [1, 0]
    assert candidate.validation.logits.tolist() == [1, -1]


def test_unfinished_run_is_never_taken_for_a_finished_one(run_dir: Path) -> None:
    (run_dir / "evaluation.json").unlink()
    with pytest.raises(RunError, match="not a finished run"):
        open_candidate(run_dir / "best_model.keras")


def test_run_that_lacks_a_value_is_refused(run_dir: Path) -> None:
    (run_dir / "evaluation.json").write_text('{"operating_point": {}}')
    with pytest.raises(RunError, match="not as training writes it"):
        open_candidate(run_dir)


def test_run_is_explained_by_the_method_that_its_training_chose(run_dir: Path) -> None:
    assert open_candidate(run_dir).method == "grad-cam"  # an earlier run, which tells of none
    path = run_dir / "evaluation.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "heatmap": {"method": "hirescam", "pointing_game": None}}))
    assert open_candidate(run_dir).method == "hirescam"
    path.write_text(json.dumps({**content, "heatmap": {"method": "guesswork"}}))
    with pytest.raises(RunError, match="not as training writes it"):
        open_candidate(run_dir)


def test_model_outside_a_run_brings_nothing_but_itself(tmp_path: Path) -> None:
    toy_model().save(tmp_path / "some.keras")
    candidate = open_candidate(tmp_path / "some.keras")
    assert (candidate.kind, candidate.trained_on, candidate.threshold) == ("model file", "", None)
    assert candidate.scorer.size_px == 64


def test_other_model_in_a_run_folder_is_not_the_run(run_dir: Path) -> None:
    toy_model().save(run_dir / "other.keras")
    candidate = open_candidate(run_dir / "other.keras")
    assert (candidate.kind, candidate.threshold) == ("model file", None)


def test_bundle_brings_its_threshold_and_what_it_was_trained_on(tmp_path: Path) -> None:
    bundle_dir = write_toy_bundle(tmp_path)
    path = bundle_dir / "manifest.json"
    content = json.loads(path.read_text())
    content["training"]["settings"] = {"dataset_sha256": "this data"}
    content["training"]["dataset"]["finding"] = "fracture"
    content["operating_point"]["target_sensitivity"] = 0.9
    path.write_text(json.dumps(content))
    candidate = open_candidate(bundle_dir)
    assert (candidate.kind, candidate.name, candidate.threshold) == ("bundle", "toy", THRESHOLD)
    assert (candidate.trained_on, candidate.finding) == ("this data", "fracture")
    assert candidate.target_sensitivity == 0.9
    # logit = 6 b - 2
    assert candidate.scorer.logits(np.full((1, 32, 32), 255, np.uint8)) == pytest.approx([4], abs=1e-5)


@pytest.mark.parametrize("settings", [None, ["dataset_sha256"], "text"])
def test_bundle_whose_settings_are_of_another_kind_tells_nothing_of_its_data(
    tmp_path: Path, settings: object
) -> None:
    training = {**manifest()["training"], "settings": settings}
    assert open_candidate(write_toy_bundle(tmp_path, training=training)).trained_on == ""


def test_altered_bundle_is_refused(tmp_path: Path) -> None:
    bundle_dir = write_toy_bundle(tmp_path)
    (bundle_dir / "features.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match="not the file that was released"):
        open_candidate(bundle_dir)


def test_weights_file_needs_its_architecture_and_size(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    model = build_model("custom", 64)
    model.save_weights(path)
    with pytest.raises(SettingsError, match="Name the --architecture and the --image_size"):
        open_candidate(path, "custom")
    candidate = open_candidate(path, "custom", 64)
    assert (candidate.kind, candidate.threshold) == ("weights file", None)
    squares = np.full((1, 64, 64), 90, np.uint8)
    expected = model.predict_on_batch(squares[..., np.newaxis].astype(np.float32))
    assert 1 / (1 + np.exp(-candidate.scorer.logits(squares))) == pytest.approx(expected[0], abs=1e-6)


def test_architecture_is_only_for_a_weights_file(run_dir: Path) -> None:
    with pytest.raises(SettingsError, match="only for a weights file"):
        open_candidate(run_dir, "custom", 64)


@pytest.mark.parametrize("name", ["nowhere", "notes.txt", "empty"])
def test_what_is_no_model_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EdgeError, match=r"best_model\.keras"):
        open_candidate(tmp_path / name)
