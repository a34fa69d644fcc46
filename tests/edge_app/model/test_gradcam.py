"""Each method on one small case, against its paper's formula worked out by hand.

One row of two places and two channels:

    features A   place 1: (3, 1)   place 2: (1, 0)      sums over places: (4, 1)
    gradient g   place 1: (1, -1)  place 2: (-0.5, 2)
"""

from __future__ import annotations

import numpy as np
import pytest

from edge_app.model.gradcam import GRAD_CAM, METHODS, grad_cam, scale_to_peak

FEATURES = np.array([[[3, 1], [1, 0]]], np.float32)
GRADIENT = np.array([[[1, -1], [-0.5, 2]]], np.float32)


def explain(method: str, features: np.ndarray = FEATURES, gradient: np.ndarray = GRADIENT) -> np.ndarray:
    return METHODS[method](features, gradient)


def test_grad_cam_weighs_channels_by_their_mean_gradient() -> None:
    # weights: mean g = (0.25, 0.5); evidence: 3 * 0.25 + 1 * 0.5 = 1.25 and 1 * 0.25 = 0.25
    np.testing.assert_allclose(explain("grad-cam"), [[1, 0.2]])


def test_grad_cam_plus_plus_weighs_positive_gradients_by_alpha() -> None:
    # alpha = g^2 / (2 g^2 + sum(A) g^3)
    # channel 1: g = 1 gives 1 / (2 + 4) = 1/6; g = -0.5 gives 0.25 / (0.5 - 0.5): zero below, so 0
    # channel 2: g = -1 is cut by the ReLU; g = 2 gives 4 / (8 + 8) = 1/4
    # weights: 1/6 * 1 = 1/6 and 1/4 * 2 = 1/2; evidence: 3/6 + 1/2 = 1 and 1/6
    np.testing.assert_allclose(explain("grad-cam++"), [[1, 1 / 6]], rtol=1e-6)


def test_hirescam_multiplies_place_by_place() -> None:
    # 3 * 1 - 1 * 1 = 2, and 1 * -0.5 + 0 * 2 = -0.5, cut by the ReLU
    np.testing.assert_allclose(explain("hirescam"), [[1, 0]])


def test_layercam_multiplies_place_by_place_by_positive_gradients_only() -> None:
    # relu(g): place 1 (1, 0), place 2 (0, 2); evidence: 3 * 1 = 3, and 1 * 0 + 0 * 2 = 0
    np.testing.assert_allclose(explain("layercam"), [[1, 0]])
    # with 1.5 in place of the 0: 1.5 * 2 = 3, as much as the other place
    features = np.array([[[3, 1], [1, 1.5]]], np.float32)
    np.testing.assert_allclose(explain("layercam", features), [[1, 1]])


def test_methods_differ_from_each_other_on_the_same_case() -> None:
    features = np.array([[[3, 1], [1, 1]]], np.float32)
    second_places = {name: round(float(explain(name, features)[0, 1]), 3) for name in METHODS}
    # grad-cam 0.75 / 1.25; grad-cam++ weights 1/6 and 2 * 1/(2 + 2 * 2) = 1/3: (1/6 + 1/3) / (3/6 + 1/3);
    # hirescam (2 - 0.5) / (3 - 1); layercam 2 / 3
    expected = {"grad-cam": 0.6, "grad-cam++": 0.6, "hirescam": 0.75, "layercam": 0.667}
    assert second_places == expected


def test_methods_are_named_and_grad_cam_is_one() -> None:
    assert list(METHODS) == ["grad-cam", "grad-cam++", "hirescam", "layercam"]
    assert METHODS[GRAD_CAM] is grad_cam


@pytest.mark.parametrize("method", METHODS)
def test_negative_evidence_alone_gives_an_empty_map(method: str) -> None:
    features = np.ones((3, 3, 2), np.float32)
    assert not explain(method, features, -features).any()


@pytest.mark.parametrize("method", METHODS)
def test_zero_gradient_gives_an_empty_map_of_numbers(method: str) -> None:
    features = np.ones((3, 4, 2), np.float32)
    np.testing.assert_array_equal(explain(method, features, 0 * features), np.zeros((3, 4)))


@pytest.mark.parametrize("method", METHODS)
def test_map_is_float32_from_0_to_1_and_arguments_stay_unchanged(method: str) -> None:
    generator = np.random.default_rng(0)
    features, gradient = generator.normal(size=(2, 4, 5, 6)).astype(np.float32)
    before = features.copy(), gradient.copy()
    heatmap = explain(method, features, gradient)
    assert (heatmap.dtype, heatmap.shape) == (np.float32, (4, 5))
    assert (heatmap.min(), heatmap.max()) == (0, 1)
    np.testing.assert_array_equal(features, before[0])
    np.testing.assert_array_equal(gradient, before[1])


@pytest.mark.parametrize("method", ["grad-cam", "hirescam", "layercam"])
def test_map_does_not_depend_on_the_gradients_scale(method: str) -> None:
    np.testing.assert_allclose(explain(method, FEATURES, 1e-6 * GRADIENT), explain(method), rtol=1e-5)


def test_scaling_puts_the_peak_at_one_and_keeps_an_empty_map() -> None:
    np.testing.assert_array_equal(scale_to_peak(np.array([[0.0, 0.1, 0.2]], np.float32)), [[0, 0.5, 1]])
    assert not scale_to_peak(np.zeros((2, 2), np.float32)).any()
