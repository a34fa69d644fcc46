from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from export.graph import steps
from export.graph.steps import Step

GENERATOR = np.random.default_rng(0)
SHAPE = (4, 5, 3)
KERNEL = GENERATOR.normal(size=(3, 2)).astype(np.float32)
BIAS = np.array([0.5, -1.0], np.float32)

STEPS = {
    "identity": steps.identity(),
    "relu": steps.relu(),
    "affine": steps.affine(np.array([2.0, -1.0, 0.5], np.float32), np.array([1.0, 0.0, -3.0], np.float32)),
    "dense": steps.dense(KERNEL, BIAS),
    "average": steps.average(SHAPE, [1, 2], False),
    "average of the last axis": steps.average(SHAPE, [3], False),
    "maximum": steps.maximum(SHAPE, [1, 2], False),
    "kept maximum": steps.maximum(SHAPE, [1, 2], True),
    "log-sum-exp": steps.log_sum_exp(SHAPE, [1, 2], False),
    "kept log-sum-exp": steps.log_sum_exp(SHAPE, [1, 2], True),
    "top-k": steps.top_k(3, 2),
    "reshape": steps.reshape(SHAPE, (20, 3)),
    "permute": steps.permute((0, 3, 1, 2)),
}
EVERY_STEP = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())


def given(dtype: str = "float64") -> tf.Tensor:
    return tf.constant(np.random.default_rng(1).normal(0, 4, (2, *SHAPE)), dtype)


@EVERY_STEP
def test_derivative_is_tensorflows(step: Step) -> None:
    values = given()
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = step.forward(values)
    upstream = tf.constant(np.random.default_rng(2).normal(size=result.shape))
    expected = tape.gradient(result, values, upstream)
    np.testing.assert_allclose(step.backward(values, result, upstream), expected, rtol=1e-6, atol=1e-7)


@EVERY_STEP
def test_derivative_is_the_slope(step: Step) -> None:
    values = given()
    direction = np.random.default_rng(3).normal(size=values.shape)
    result = step.forward(values)
    upstream = np.random.default_rng(4).normal(size=result.shape)
    ahead, behind = (step.forward(values + sign * 1e-6 * direction).numpy() for sign in (1, -1))
    slope = (upstream * (ahead - behind)).sum() / 2e-6
    found = (step.backward(values, result, tf.constant(upstream)).numpy() * direction).sum()
    assert found == pytest.approx(slope, rel=1e-5)


@EVERY_STEP
def test_dtype_is_kept(step: Step) -> None:
    values = given("float32")
    result = step.forward(values)
    assert result.dtype == tf.float32
    assert step.backward(values, result, tf.ones_like(result)).dtype == tf.float32


def test_equal_largest_values_share_the_gradient() -> None:
    step = steps.maximum((1, 4, 1), [1, 2], False)
    values = tf.constant([7.0, 1.0, 7.0, 2.0], shape=(1, 1, 4, 1))
    gradient = step.backward(values, step.forward(values), tf.constant([[1.0]]))
    np.testing.assert_array_equal(np.ravel(gradient), [0.5, 0, 0.5, 0])


def test_log_sum_exp_of_large_values_is_finite() -> None:
    step = steps.log_sum_exp((1, 2, 1), [1, 2], False)
    values = tf.constant([1000.0, 1000.0], shape=(1, 1, 2, 1))
    result = step.forward(values)
    assert result.numpy().item() == pytest.approx(1000 + np.log(2))
    gradient = step.backward(values, result, tf.constant([[1.0]]))
    np.testing.assert_array_equal(np.ravel(gradient), [0.5, 0.5])


def test_gradient_of_relu_passes_only_above_zero() -> None:
    step = steps.relu()
    values = tf.constant([-1.0, 0.0, 3.0])
    gradient = step.backward(values, step.forward(values), tf.ones(3))
    np.testing.assert_array_equal(gradient, [0, 0, 1])


def test_gradient_of_the_mean_of_the_strongest_goes_to_them_alone() -> None:
    largest, mean = steps.top_k(4, 2), steps.average((2,), [1], True)
    values = tf.constant([[3.0, 1.0, 4.0, 2.0]])
    chosen = largest.forward(values)
    upstream = mean.backward(chosen, mean.forward(chosen), tf.constant([[1.0]]))
    np.testing.assert_array_equal(largest.backward(values, chosen, upstream), [[0.5, 0, 0.5, 0]])
