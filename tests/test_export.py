"""Splitting, conversion, parity and packing, on a small network of the same kinds of layers."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers

from edge_app.bundle import load_bundle
from edge_app.errors import BundleError, EdgeError, ExportError, RunError
from edge_app.images import decode_image
from edge_app.inference import open_session
from edge_app.predictor import Predictor
from edge_app.preprocess import preprocess
from export.__main__ import convert, export_run
from export.convert import to_onnx
from export.drawn import draw_xray
from export.parity import compare, keras_outputs
from export.runs import read_run
from export.split import split_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def network(*head: keras.Layer, size_px: int = 64) -> keras.Model:
    """Return a random network: two convolutions, a pooled head with the given layers, a sigmoid."""
    keras.utils.set_random_seed(0)
    image = layers.Input((size_px, size_px, 1), name="image")
    x = layers.Rescaling(1 / 128, offset=-1)(image)
    x = layers.Conv2D(8, 3, 2, "same", activation="relu")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(12, 3, 4, "same", activation="relu", name="last_map")(x)
    for layer in (layers.GlobalAveragePooling2D(), *head):
        x = layer(x)
    logit = layers.Dense(1, name="logit")(x)
    return keras.Model(image, layers.Activation("sigmoid")(logit))


def deep_head() -> list[keras.Layer]:
    return [layers.Dense(16), layers.ReLU(), layers.Dropout(0.5), layers.Dense(8), layers.ReLU()]


def evidence_network() -> keras.Model:
    """Return a random network with the head that training builds: evidence for each cell, pooled."""
    keras.utils.set_random_seed(1)
    image = layers.Input((64, 64, 1), name="image")
    x = layers.Rescaling(1 / 128, offset=-1)(image)
    x = layers.Conv2D(12, 5, 4, "same", activation="relu")(x)
    x = layers.Conv2D(12, 3, 2, "same", activation="relu", name="last_map")(x)
    x = layers.Conv2D(1, 1, name="evidence")(layers.Dropout(0.3)(x))
    logit = layers.Dense(1, name="logit")(keras.ops.logsumexp(x, axis=(1, 2)))
    return keras.Model(image, layers.Activation("sigmoid")(logit))


NETWORKS = pytest.mark.parametrize(
    "model", [network(*deep_head()), evidence_network()], ids=["dense", "evidence"]
)


def write_run(run_dir: Path, model: keras.Model) -> Path:
    """Write a run directory as training leaves it."""
    run_dir.mkdir()
    model.save(run_dir / "best_model.keras")
    measured = {"value": 0.9, "low": 0.8, "high": 0.95}
    contents = {
        "config.json": {"model": "small", "epochs": 1},
        "provenance.json": {
            "dataset": {
                "name": "Drawn",
                "citation": "nobody",
                "licence": "Apache-2.0",
                "body_parts": ["hand"],
                "limits": ["Drawn pictures only."],
                "finding": "fracture",
                "groups": "drawn hands",
            },
            "weights": {"source": "random", "licence": "none needed"},
            "sides": {"train": 8, "validation": 2},
            "commit": "unknown",
        },
        "evaluation.json": {
            "samples": 10,
            "fractured": 5,
            "groups": 2,
            "auroc": measured,
            "pointing_game": measured,
            "operating_point": {
                "target_sensitivity": 0.9,
                "threshold": 0.4,
                "sensitivity": measured,
                "specificity": measured,
            },
            "calibration": {"method": "platt", "slope": 1.0, "intercept": 0.0},
        },
    }
    for name, content in contents.items():
        (run_dir / name).write_text(json.dumps(content))
    return run_dir


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run", network(*deep_head()))


@NETWORKS
def test_model_is_cut_at_its_last_feature_map(model: keras.Model) -> None:
    pair = split_model(model)
    assert pair.features.output is model.get_layer("last_map").output
    assert pair.features.output_shape == (None, 8, 8, 12)
    assert pair.head.output_shape == (None, 1)


@NETWORKS
def test_exportable_gradient_equals_tensorflows(model: keras.Model) -> None:
    pair = split_model(model)
    images = np.random.default_rng(1).uniform(0, 255, (3, 64, 64, 1)).astype(np.float32)
    expected = keras_outputs(pair, images)
    logit, probability, gradient = pair.classify(tf.constant(pair.features(images)))
    largest = np.abs(expected["gradient"]).max()
    np.testing.assert_allclose(gradient, expected["gradient"], atol=1e-6 * largest)
    np.testing.assert_allclose(logit, expected["logit"], atol=1e-6)
    np.testing.assert_allclose(probability, expected["probability"], atol=1e-6)


@NETWORKS
def test_exported_gradient_equals_finite_differences(model: keras.Model) -> None:
    pair = split_model(model)
    session = open_session(convert(model, pair)["classifier.onnx"])
    images = np.random.default_rng(2).uniform(0, 255, (1, 64, 64, 1)).astype(np.float32)
    features = pair.features(images).numpy()
    (gradient,) = session.run(["gradient"], {"features": features})
    step = 0.05  # small enough that no ReLU of this head changes side, large against rounding
    for channel in range(12):
        place = (0, 3, 5, channel)
        logits = []
        for sign in (1, -1):
            moved = features.copy()
            moved[place] += sign * step
            logits.append(session.run(["logit"], {"features": moved})[0].item())
        slope = (logits[0] - logits[1]) / (2 * step)
        assert slope == pytest.approx(gradient[place], rel=0.02, abs=2e-6)


@NETWORKS
def test_parity_holds_for_batches_of_one_and_three(model: keras.Model) -> None:
    pair = split_model(model)
    graphs = convert(model, pair)
    found = compare(pair, graphs["features.onnx"], graphs["classifier.onnx"], graphs["model.onnx"])
    assert {difference.tensor for difference in found} == {
        "logit",
        "probability",
        "gradient",
        "whole model's probability",
    }
    assert all(0 <= difference.value <= difference.tolerance for difference in found)


def test_other_weights_fail_the_parity_check_by_name() -> None:
    model, other = network(*deep_head()), network(*deep_head())
    other.get_layer("logit").set_weights([w + 0.1 for w in other.get_layer("logit").get_weights()])
    graphs = convert(other, split_model(other))
    with pytest.raises(ExportError, match=r"logit differs by .*gradient differs by .*Nothing was written"):
        compare(
            split_model(model), graphs["features.onnx"], graphs["classifier.onnx"], graphs["model.onnx"]
        )


@NETWORKS
def test_graphs_are_self_contained_standard_onnx(model: keras.Model) -> None:
    for data in convert(model, split_model(model)).values():
        graph = onnx.load_model_from_string(data)
        assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", 18)]
        assert not any(tensor.external_data for tensor in graph.graph.initializer)
        assert graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (layers.Dense(4, activation="gelu", name="fancy"), "'fancy' .Dense"),
        (layers.LayerNormalization(name="norm"), "'norm' .LayerNormalization"),
        (layers.ReLU(max_value=6, name="six"), "'six' .ReLU"),
        (layers.Softmax(name="soft"), "'soft' .Softmax"),
    ],
)
def test_head_layer_without_an_exact_gradient_is_refused_by_name(layer: keras.Layer, name: str) -> None:
    with pytest.raises(ExportError, match=name):
        split_model(network(layer))


def test_wide_convolution_in_the_head_is_refused() -> None:
    image = layers.Input((32, 32, 1))
    maps = layers.Conv2D(4, 3)(image)
    evidence = layers.Conv2D(1, 3, name="wide")(maps)
    logit = layers.Dense(1)(keras.ops.logsumexp(evidence, axis=(1, 2)))
    with pytest.raises(ExportError, match=r"'wide' .Conv2D"):
        split_model(keras.Model(image, layers.Activation("sigmoid")(logit)))


def test_head_that_is_no_chain_is_refused() -> None:
    image = layers.Input((32, 32, 1))
    maps = layers.Conv2D(4, 3)(image)
    pooled = layers.GlobalAveragePooling2D()(maps)
    doubled = layers.Add()([pooled, layers.Dense(4)(pooled)])
    model = keras.Model(image, layers.Activation("sigmoid")(layers.Dense(1)(doubled)))
    with pytest.raises(ExportError, match="chain of layers"):
        split_model(model)


def test_model_with_another_end_is_refused() -> None:
    image = layers.Input((32, 32, 1))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    with pytest.raises(ExportError, match="sigmoid Activation as the last layer"):
        split_model(keras.Model(image, layers.Dense(1, name="end")(pooled)))
    with pytest.raises(ExportError, match=r"output of shape \(None, 2\)"):
        split_model(keras.Model(image, layers.Dense(2)(pooled)))


def test_gradient_that_onnx_does_not_know_is_refused() -> None:
    def relu_with_tensorflows_gradient(values: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(values)
            result = tf.nn.relu(values)
        return tape.gradient(result, values)

    with pytest.raises(ExportError, match="ReluGrad"):
        to_onnx(relu_with_tensorflows_gradient, "values", (None, 3), ("gradient",))


def test_run_becomes_a_bundle_that_serves(run_dir: Path, tmp_path: Path, drawn_png: bytes) -> None:
    out_dir = tmp_path / "bundle"
    export_run(run_dir, out_dir)
    assert {path.name for path in out_dir.iterdir()} == {
        "features.onnx",
        "classifier.onnx",
        "model.onnx",
        "manifest.json",
        "MODEL_CARD.md",
    }
    prediction = Predictor(out_dir, device="cpu").predict(drawn_png)
    assert prediction.threshold == 0.4
    tensor = preprocess(decode_image(drawn_png), 64)
    expected = read_run(run_dir).model.predict_on_batch(tensor).item()
    assert prediction.probability == pytest.approx(expected, abs=1e-5)


def test_model_card_holds_the_measured_figures(run_dir: Path, tmp_path: Path) -> None:
    export_run(run_dir, tmp_path / "bundle")
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert "| AUROC | 0.900 | 0.800 to 0.950 |" in card
    assert "10 validation X-rays, 5 of them positive (fracture), in 2 groups" in card
    assert "- Drawn pictures only." in card
    assert "$" not in card


def test_second_export_replaces_the_first(run_dir: Path, tmp_path: Path) -> None:
    out_dir = tmp_path / "bundle"
    export_run(run_dir, out_dir)
    (out_dir / "features.onnx").write_bytes(b"damaged")
    with pytest.raises(BundleError):
        load_bundle(out_dir)
    export_run(run_dir, out_dir)
    load_bundle(out_dir)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_nothing_is_written_when_the_runtimes_disagree(tmp_path: Path) -> None:
    model = network()
    model.get_layer("logit").set_weights([np.full((12, 1), np.nan), np.zeros(1)])
    run_dir = write_run(tmp_path / "run", model)
    with pytest.raises(ExportError, match="Nothing was written"):
        export_run(run_dir, tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_directory_with_more_than_a_bundle_is_not_overwritten(run_dir: Path, tmp_path: Path) -> None:
    out_dir = tmp_path / "bundle"
    export_run(run_dir, out_dir)
    (out_dir / "letter.txt").write_text("keep me")
    with pytest.raises(ExportError, match="no model bundle"):
        export_run(run_dir, out_dir)
    assert (out_dir / "letter.txt").read_text() == "keep me"


def test_run_with_a_foreign_evaluation_is_refused(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", network())
    (run_dir / "evaluation.json").write_text("{}")
    with pytest.raises(RunError, match=r"evaluation\.json is not as training writes it"):
        export_run(run_dir, tmp_path / "bundle")


def test_foreign_directory_is_not_overwritten(run_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("keep me")
    with pytest.raises(ExportError, match="no model bundle"):
        export_run(run_dir, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("name", ["best_model.keras", "config.json", "evaluation.json"])
def test_unfinished_run_is_refused_and_nothing_written(tmp_path: Path, name: str) -> None:
    run_dir = write_run(tmp_path / "run", network())
    (run_dir / name).unlink()
    with pytest.raises(RunError, match=f"not a finished run: {name}"):
        export_run(run_dir, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_broken_model_file_is_refused(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", network())
    (run_dir / "best_model.keras").write_bytes(b"PK broken")
    with pytest.raises(EdgeError, match="cannot be read"):
        export_run(run_dir, tmp_path / "bundle")


def test_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="There is no run directory"):
        read_run(tmp_path / "nowhere")


def test_drawn_pictures_are_the_same_for_the_same_seed() -> None:
    np.testing.assert_array_equal(draw_xray(3), draw_xray(3))
    assert (draw_xray(3) != draw_xray(4)).any()
    assert (draw_xray(3) != draw_xray(3, fractured=True)).any()
