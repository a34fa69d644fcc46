"""The committed model: whole, exact, and as good as its card says."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from edge_app.imaging.images import decode_image
from edge_app.imaging.preprocess import preprocess
from edge_app.model.bundle import load_bundle
from edge_app.model.inference import open_session
from edge_app.model.pointing import covered, points_inside
from edge_app.predictor import Predictor
from tests.conftest import DEFAULT_BUNDLE


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    return json.loads((DEFAULT_BUNDLE / "manifest.json").read_text())


def features_of(data: bytes) -> np.ndarray:
    bundle = load_bundle(DEFAULT_BUNDLE)
    tensor = preprocess(decode_image(data), bundle.manifest.input.size_px)
    return open_session(bundle.graphs.features).run(["features"], {"image": tensor})[0]


def test_bundle_is_whole_small_and_carries_its_attribution(manifest: dict[str, Any]) -> None:
    load_bundle(DEFAULT_BUNDLE)
    assert sum(path.stat().st_size for path in DEFAULT_BUNDLE.iterdir()) <= 60_000_000
    card = (DEFAULT_BUNDLE / "MODEL_CARD.md").read_text()
    assert "doi 10.1038/s41597-023-02432-4" in card
    assert "CC BY 4.0" in card
    assert f"| AUROC | {manifest['validation']['auroc']['value']:.3f} |" in card


def test_whole_model_and_pair_give_the_same_probability(
    default_predictor: Predictor, drawn_png: bytes
) -> None:
    tensor = preprocess(decode_image(drawn_png), default_predictor.manifest.input.size_px)
    session = open_session((DEFAULT_BUNDLE / "model.onnx").read_bytes())
    (probability,) = session.run(["probability"], {"image": tensor})
    assert default_predictor.predict(drawn_png).probability == pytest.approx(probability.item(), abs=1e-6)


def test_gradient_equals_finite_differences(drawn_png: bytes) -> None:
    session = open_session((DEFAULT_BUNDLE / "classifier.onnx").read_bytes())
    features = features_of(drawn_png)
    (gradient,) = session.run(["gradient"], {"features": features})
    generator = np.random.default_rng(0)
    for _ in range(20):
        # Uphill, so that the slope is never near zero; a step that moves the logit by about 0.01.
        direction = generator.uniform(0, 2, features.shape) * gradient
        step = (0.01 * direction / (gradient * direction).sum()).astype(np.float32)
        above, below = (
            session.run(["logit"], {"features": features + sign * step})[0].item() for sign in (1, -1)
        )
        assert (above - below) / 2 == pytest.approx(0.01, rel=0.005)


def test_real_fractured_xray_is_explained(default_predictor: Predictor, xray_dir: Path) -> None:
    data = (xray_dir / "images" / "IMG0000019.jpg").read_bytes()
    prediction = default_predictor.predict(data)
    with Image.open(BytesIO(data)) as picture:
        assert prediction.picture.shape == (picture.height, picture.width)
    tensor = preprocess(decode_image(data), default_predictor.manifest.input.size_px)
    session = open_session((DEFAULT_BUNDLE / "model.onnx").read_bytes())
    (probability,) = session.run(["probability"], {"image": tensor})
    assert prediction.probability == pytest.approx(probability.item(), abs=1e-6)
    assert prediction.heatmap.dtype == np.float32
    assert (prediction.heatmap.min(), prediction.heatmap.max()) == (0, 1)


@pytest.mark.slow
def test_figures_of_the_xrays_left_out_come_out_again_through_the_app(
    default_predictor: Predictor, xray_dir: Path, manifest: dict[str, Any]
) -> None:
    """Deal the folds again, and judge what the shipped network left out as the clinic would."""
    from training.cross_validate import FINAL_FOLDS
    from training.data.datasets import read_dataset
    from training.data.scan import scan_samples
    from training.data.splits import duplicate_pairs, fold_sides, group_samples

    scan = scan_samples(read_dataset(xray_dir).samples, 32, "memory")
    groups = group_samples(scan.samples, duplicate_pairs(scan.thumbnails))
    labels = np.array([sample.fractured for sample in scan.samples], np.float32)
    sides = fold_sides(labels, groups, FINAL_FOLDS, manifest["training"]["settings"]["seed"])[0]
    chosen = [scan.samples[index] for index in np.flatnonzero(sides == "validation")]
    predictions = [default_predictor.predict(sample.path.read_bytes()) for sample in chosen]
    probabilities = np.array([prediction.probability for prediction in predictions])
    hits = [
        points_inside(prediction.heatmap, covered(sample.boxes, *prediction.heatmap.shape))
        for sample, prediction in zip(chosen, predictions, strict=True)
        if sample.boxes
    ]
    flagged = np.array([prediction.prediction == "Fracture Detected" for prediction in predictions])
    truth = np.array([sample.fractured for sample in chosen])
    measured = manifest["validation"]["held_out"]
    answered = manifest["variants"]["int8"]["validation"]["float32"]
    assert len(chosen) == measured["samples"]
    assert roc_auc_score(truth, probabilities) == pytest.approx(measured["auroc"]["value"], abs=5e-4)
    assert len(hits) == measured["pointing_game"]["samples"]
    assert np.mean(hits) == pytest.approx(measured["pointing_game"]["value"], abs=1e-6)
    assert flagged[truth].mean() == pytest.approx(answered["sensitivity"], abs=1e-6)
    assert (~flagged[~truth]).mean() == pytest.approx(answered["specificity"], abs=1e-6)
