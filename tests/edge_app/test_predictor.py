from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_app.choose import choose
from edge_app.errors import BundleError, ModelError, UnsupportedImage
from edge_app.imaging.images import encode_png
from edge_app.model.choice import write_choice
from edge_app.predictor import FRACTURE, NORMAL, PICTURE_PX, Prediction, Predictor
from tests import toy


def test_white_square_is_a_fracture_to_the_toy_model(toy_predictor: Predictor) -> None:
    prediction = toy_predictor.predict(encode_png(np.full((64, 64), 255, np.uint8)))
    assert prediction.probability == pytest.approx(0.982014, abs=1e-6)  # sigmoid(4)
    assert prediction.prediction == FRACTURE
    assert prediction.confidence == prediction.probability
    assert prediction.heatmap.min() == pytest.approx(1.0)


def test_black_square_is_normal_and_shows_nothing(toy_predictor: Predictor) -> None:
    prediction = toy_predictor.predict(encode_png(np.zeros((64, 64), np.uint8)))
    assert prediction.probability == pytest.approx(0.119203, abs=1e-6)  # sigmoid(-2)
    assert prediction.prediction == NORMAL
    assert prediction.confidence == pytest.approx(0.880797, abs=1e-6)
    assert not prediction.has_evidence


def test_heat_map_lies_over_the_bright_half(toy_predictor: Predictor) -> None:
    image = np.zeros((100, 50), np.uint8)
    image[:50] = 255
    heatmap = toy_predictor.predict(encode_png(image)).heatmap
    assert heatmap.shape == (32, 16)
    # a bicubic map overshoots beside an edge, here by 0.22 of what the plateau has
    assert heatmap[:15, 1:-1].min() == pytest.approx(1 / 1.222, abs=1e-3)
    assert heatmap[20:].max() < 0.01


def test_peak_of_the_heat_map_lies_in_the_picture(toy_predictor: Predictor) -> None:
    grey = np.full((100, 50), 120, np.uint8)  # evidence 4 * 0.47 - 2 * 0.53, less beside the padding
    assert toy_predictor.predict(encode_png(grey)).heatmap.max() == 1.0


def test_large_picture_is_shown_reduced(toy_predictor: Predictor) -> None:
    image = np.zeros((1000, 2 * PICTURE_PX), np.uint8)
    assert toy_predictor.predict(encode_png(image)).picture.shape == (500, PICTURE_PX)


def test_same_file_gives_the_same_answer(toy_predictor: Predictor, drawn_png: bytes) -> None:
    first, second = (toy_predictor.predict(drawn_png) for _ in range(2))
    assert first.probability == second.probability
    np.testing.assert_array_equal(first.heatmap, second.heatmap)


def test_each_of_many_threads_gets_the_answer_to_its_own_picture(toy_predictor: Predictor) -> None:
    greys = [0, 60, 120, 180, 240] * 8
    pictures = [encode_png(np.full((40, 40), grey, np.uint8)) for grey in greys]
    with ThreadPoolExecutor(8) as threads:
        predictions = list(threads.map(toy_predictor.predict, pictures))
    for grey, prediction in zip(greys, predictions, strict=True):
        assert prediction.probability == pytest.approx(1 / (1 + np.exp(2 - 6 * grey / 255)), abs=1e-5)
        assert prediction.picture[0, 0] == grey


def test_no_picture_is_an_error(toy_predictor: Predictor) -> None:
    with pytest.raises(UnsupportedImage):
        toy_predictor.predict(b"hello")


def test_tensor_is_explained_over_the_square(toy_predictor: Predictor) -> None:
    tensor = np.zeros((1, 32, 32, 1), np.float32)
    tensor[:, :16] = 255  # the upper half is bright: logit 6 / 2 - 2 = 1
    explanation = toy_predictor.explain(tensor)
    assert explanation.logit == pytest.approx(1.0)
    assert explanation.probability == pytest.approx(1 / (1 + np.exp(-1)))
    np.testing.assert_array_equal(explanation.heatmap, np.repeat([[1.0], [0.0]], 8, 0).repeat(16, 1))


def test_tensor_that_gives_no_number_is_refused(toy_predictor: Predictor) -> None:
    with pytest.raises(ModelError):
        toy_predictor.explain(np.full((1, 32, 32, 1), np.nan, np.float32))


def test_heat_map_is_made_by_the_method_of_the_manifest(tmp_path: Path) -> None:
    toy.write_toy_bundle(tmp_path, heatmap={"method": "layercam", "grid": [16, 16]})
    grey = np.full((1, 32, 32, 1), 51, np.float32)  # features 0.2 and 0.8
    grey[0, 0:2, 0:2] = 255
    # relu(g): 4/256 and 0, so the evidence is the brightness; by Grad-CAM 4 * 0.2 - 2 * 0.8 is negative
    heatmap = Predictor(tmp_path, device="cpu").explain(grey).heatmap
    assert heatmap[0, 0] == 1
    assert heatmap[5, 5] == pytest.approx(0.2)


def test_chosen_variant_runs_with_its_figures(tmp_path: Path) -> None:
    toy.write_two_variants(tmp_path)
    write_choice(tmp_path, replace(choose(tmp_path, device="cpu"), variant="int8"))
    predictor = Predictor(tmp_path, device="cpu")
    assert predictor.variant == "int8"
    assert figures_of(predictor) == (0.4, 0.9, 0.7)


def test_float32_runs_without_a_choice(tmp_path: Path) -> None:
    predictor = Predictor(toy.write_two_variants(tmp_path), device="cpu")
    assert predictor.variant == "float32"
    assert figures_of(predictor) == (0.5, 0.91, 0.73)


def test_model_that_gives_other_answers_than_at_export_does_not_start(tmp_path: Path) -> None:
    toy.write_toy_bundle(tmp_path, {"features.onnx": toy.features_graph(white=300)})
    with pytest.raises(BundleError, match=r"golden-1.png the probability differs by 0.025"):
        Predictor(tmp_path, device="cpu")


def test_model_of_another_finding_is_refused(tmp_path: Path) -> None:
    toy.write_toy_bundle(tmp_path, classes=["abnormality"], finding="abnormality")
    with pytest.raises(BundleError, match="tells of abnormality; this app tells of fractures only"):
        Predictor(tmp_path, device="cpu")


def figures_of(predictor: Predictor) -> tuple[float, float, float]:
    point, game = predictor.manifest.operating_point, predictor.manifest.validation.pointing_game
    assert game is not None
    return point.threshold, point.sensitivity.value, game.value


def test_model_that_is_swapped_on_disk_is_not_picked_up_half_way(tmp_path: Path, white_png: bytes) -> None:
    predictor = Predictor(toy.write_toy_bundle(tmp_path), device="cpu")
    before = predictor.predict(white_png)
    for path in tmp_path.iterdir():
        path.write_bytes(b"another model")
    after = predictor.predict(white_png)
    assert after.probability == before.probability
    np.testing.assert_array_equal(after.heatmap, before.heatmap)


def test_prediction_holds_the_cells_of_its_heat_map_only(
    toy_predictor: Predictor, drawn_png: bytes
) -> None:
    prediction = toy_predictor.predict(drawn_png)
    assert prediction.cells.shape == (16, 16)
    assert prediction.held_bytes == prediction.picture.size + 16 * 16 * 4
    assert prediction.heatmap.size > prediction.cells.size


@given(
    cells=arrays(np.float32, (8, 8), elements=st.sampled_from([0.0, 0.0, 0.0, 0.25, 1.0])),
    size_px=st.tuples(st.integers(32, 300), st.integers(32, 300)),
)
def test_evidence_is_told_as_the_drawn_heat_map_shows_it(
    cells: np.ndarray, size_px: tuple[int, int]
) -> None:
    prediction = Prediction(0.5, 0.5, cells, np.zeros((1, 1), np.uint8), size_px, 64)
    assert prediction.has_evidence == prediction.heatmap.any()


def test_evidence_beside_the_picture_is_none() -> None:
    cells = np.zeros((8, 8), np.float32)
    cells[4, 0] = 1.0  # the picture is a tenth as wide as the square
    assert not Prediction(0.5, 0.5, cells, np.zeros((1, 1), np.uint8), (640, 64), 64).has_evidence
