from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import msgspec
import numpy as np
import onnx.parser
import pytest
from keras import layers

from edge_app.errors import DataError, RunError, WeightsError
from edge_app.imaging.images import decode_image
from edge_app.imaging.preprocess import to_square
from edge_app.model.bundle import load_bundle
from edge_app.predictor import Predictor
from tests.toy_keras import LOG_CELLS, SIZE_PX, toy_model
from training.evaluation.metrics import Calibration
from training.evaluation.scorers import (
    BundleScorer,
    KerasScorer,
    LogitModel,
    fold_calibration,
    read_model,
    read_weights,
)
from training.networks.architectures import build_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

# Two classes behind the toy bundle's features, brightness and darkness: the logits 1 and 4 * brightness.
TWO_CLASSES = """
<ir_version: 10, opset_import: ["": 18]>
classes (float[N, 16, 16, 2] features)
    => (float[N, 2] logit, float[N, 2] probability, float[N, 2, 16, 16, 2] gradient)
<int64[2] axes = {1, 2}, int64[1] one = {1}, float[2, 2] weights = {1, 4, 1, 0},
 float[1, 2, 1, 1, 2] slopes = {1, 1, 4, 0}>
{
    pooled = ReduceMean <keepdims = 0> (features, axes)
    logit = MatMul (pooled, weights)
    probability = Softmax <axis = 1> (logit)
    each = Unsqueeze (features, one)
    nothing = Sub (each, each)
    gradient = Add (nothing, slopes)
}
"""
BLACK = np.zeros((5, SIZE_PX, SIZE_PX), np.uint8)


def test_logits_are_those_of_the_layer_over_several_batches() -> None:
    squares = np.full((5, SIZE_PX, SIZE_PX), 51, np.uint8)  # brightness 0.2
    expected = np.full(5, 4 * 0.2 - 3 + LOG_CELLS)
    assert LogitModel(toy_model(), batch_size=2)(squares) == pytest.approx(expected, abs=1e-5)
    assert KerasScorer(toy_model(), batch_size=2).logits(squares) == pytest.approx(expected, abs=1e-5)


def test_evidence_is_the_features_with_their_exact_gradient() -> None:
    squares = BLACK.copy()
    squares[:, 16:32, 32:48] = 200
    squares[:, 48:, :16] = 50
    evidence = list(KerasScorer(toy_model(), batch_size=2).evidence(squares))
    features = np.zeros((4, 4, 1))
    features[1, 2], features[3, 0] = 200 / 255, 50 / 255
    # the logit is the log-sum-exp of 4 b - 3, and its gradient 4 times each cell's share of that sum
    gradient = 4 * np.exp(4 * features) / np.exp(4 * features).sum()
    assert len(evidence) == 5
    assert evidence[4].features == pytest.approx(features, abs=1e-5)
    assert evidence[4].gradient == pytest.approx(gradient, abs=1e-5)


def test_evidence_needs_no_trainable_weight() -> None:
    model = toy_model()
    model.trainable = False
    [evidence] = KerasScorer(model).evidence(BLACK[:1] + 9)
    assert evidence.gradient == pytest.approx(np.full((4, 4, 1), 4 / 16), abs=1e-6)


def test_diverged_model_is_told() -> None:
    model = toy_model()
    model.get_layer("logit").set_weights([np.full((1, 1), np.nan), np.zeros(1)])
    with pytest.raises(DataError, match="diverged"):
        LogitModel(model)(BLACK)


def test_model_without_features_is_refused_by_name() -> None:
    image = layers.Input((SIZE_PX, SIZE_PX, 1))
    model = keras.Model(image, layers.Dense(1, name="logit")(layers.Flatten()(image)))
    with pytest.raises(RunError, match="no layer named features"):
        KerasScorer(model)


def test_calibration_is_part_of_the_model_afterwards() -> None:
    model = toy_model()
    before = LogitModel(model)(BLACK)
    fold_calibration(model, Calibration(0.5, 2.0))
    assert LogitModel(model)(BLACK) == pytest.approx(0.5 * before + 2.0, abs=1e-5)


def test_bundle_scores_and_explains_as_the_app_does(
    toy_bundle: Path, toy_predictor: Predictor, drawn_png: bytes
) -> None:
    bundle = load_bundle(toy_bundle)
    scorer = BundleScorer(bundle)
    squares = to_square(decode_image(drawn_png), bundle.manifest.input.size_px)[np.newaxis]
    prediction = toy_predictor.predict(drawn_png)
    probability = 1 / (1 + np.exp(-scorer.logits(squares)))
    assert probability == pytest.approx([prediction.probability], abs=1e-6)
    [evidence] = scorer.evidence(squares)
    brightness = squares.reshape(16, 2, 16, 2).mean(axis=(1, 3)) / 255
    assert evidence.features == pytest.approx(np.stack([brightness, 1 - brightness], -1), abs=1e-6)
    assert evidence.gradient == pytest.approx(np.tile([4 / 256, -2 / 256], (16, 16, 1)), abs=1e-6)


def test_several_classes_are_scored_by_the_log_odds_of_the_finding(toy_bundle: Path) -> None:
    bundle = load_bundle(toy_bundle)
    classifier = onnx.parser.parse_model(TWO_CLASSES).SerializeToString()
    manifest = msgspec.structs.replace(bundle.manifest, classes=("normal", "fracture"))
    graphs = replace(bundle.graphs, classifier=classifier, finding_index=1)
    scorer = BundleScorer(replace(bundle, manifest=manifest, graphs=graphs))
    # softmax over the logits 1 and 4 b makes the log odds of the second 4 b - 1
    squares = np.full((1, 32, 32), 255, np.uint8)
    assert scorer.logits(squares) == pytest.approx([3], abs=1e-5)
    [evidence] = scorer.evidence(squares)
    assert evidence.gradient[0, 0].tolist() == [4, 0]


@pytest.mark.parametrize("name", ["model.weights.h5", "legacy.h5"])
def test_weights_file_fills_its_architecture(tmp_path: Path, name: str) -> None:
    model = build_model("custom", 64)
    path = tmp_path / name
    model.save_weights(path) if name.endswith(".weights.h5") else model.save(path)
    filled = read_weights(path, "custom", 64)
    for found, expected in zip(filled.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["other.weights.h5", "other.h5"])
def test_weights_of_another_model_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    model = toy_model()
    model.save_weights(path) if name.endswith(".weights.h5") else model.save(path)
    with pytest.raises(WeightsError, match="does not hold the weights of custom"):
        read_weights(path, "custom", 64)


def test_file_that_holds_no_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.h5"
    path.write_bytes(b"not HDF5")
    with pytest.raises(WeightsError, match="does not hold the weights of custom"):
        read_weights(path, "custom", 64)


def test_damaged_weights_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    build_model("custom", 64).save_weights(path)
    content = bytearray(path.read_bytes())
    place = content.index(b"TREE")
    content[place : place + 4] = b"FREE"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="does not hold the weights of custom"):
        read_weights(path, "custom", 64)


def test_model_file_that_names_an_absent_output_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "absent.keras"
    toy_model().save(path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(files["config.json"])
    config["config"]["output_layers"] = [["nowhere", 0, 0]]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (files | {"config.json": json.dumps(config)}).items():
            archive.writestr(name, content)
    with pytest.raises(RunError, match="cannot be read as a model"):
        read_model(path)


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_model_file_without_an_input_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "unbuilt.keras"
    keras.Sequential([layers.Dense(1, name="logit")]).save(path)
    with pytest.raises(RunError, match="cannot be read as a model"):
        read_model(path)


def test_model_file_with_code_in_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "code.keras"
    image = layers.Input((4,))
    keras.Model(image, layers.Lambda(lambda x: x)(image)).save(path)
    with pytest.raises(RunError, match="cannot be read as a model"):
        read_model(path)
