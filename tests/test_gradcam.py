from __future__ import annotations

import numpy as np

from edge_app.gradcam import grad_cam, scale_to_peak


def test_channels_are_weighed_by_their_mean_gradient() -> None:
    features = np.zeros((2, 2, 2), np.float32)
    features[0, 0] = [3, 1]
    features[1, 1] = [1, 0]
    gradient = np.zeros((2, 2, 2), np.float32)
    gradient[..., 0] = [[4, 0], [0, 0]]  # mean 1
    gradient[..., 1] = -1
    # evidence: (0, 0) 3 - 1 = 2, (1, 1) 1; divided by the peak 2
    np.testing.assert_allclose(grad_cam(features, gradient), [[1, 0], [0, 0.5]])


def test_negative_evidence_alone_gives_an_empty_map() -> None:
    features = np.ones((3, 3, 1), np.float32)
    assert not grad_cam(features, -features).any()


def test_scaling_puts_the_peak_at_one_and_keeps_an_empty_map() -> None:
    np.testing.assert_array_equal(scale_to_peak(np.array([[0.0, 0.1, 0.2]], np.float32)), [[0, 0.5, 1]])
    assert not scale_to_peak(np.zeros((2, 2), np.float32)).any()


def test_arguments_stay_unchanged() -> None:
    features = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    before = features.copy()
    grad_cam(features, features)
    np.testing.assert_array_equal(features, before)
