from __future__ import annotations

import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper

from edge_app.errors import ExportError
from edge_app.model.inference import open_session
from export.graph.convert import OPSET, check_graph, to_bytes, to_onnx

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def affine(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    doubled = values * 2.0
    return doubled, doubled + 1.0


def test_function_becomes_a_graph_with_the_names_that_were_asked_for() -> None:
    data = to_bytes(to_onnx(affine, "values", (None, 2), ("doubled", "raised")))
    names = ["raised", "doubled"]
    raised, doubled = open_session(data).run(names, {"values": np.array([[1, 2], [3, 4]], np.float32)})
    np.testing.assert_array_equal(doubled, [[2, 4], [6, 8]])
    np.testing.assert_array_equal(raised, [[3, 5], [7, 9]])


def test_graph_is_standard_onnx_with_a_free_batch() -> None:
    model = onnx.load_model_from_string(to_bytes(to_onnx(affine, "values", (None, 2), ("a", "b"))))
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
    batches = {v.type.tensor_type.shape.dim[0].dim_param for v in (*model.graph.input, *model.graph.output)}
    assert batches == {"batch"}


def test_same_function_gives_the_same_bytes_whatever_was_converted_before() -> None:
    first = to_bytes(to_onnx(affine, "values", (None, 2), ("a", "b")))
    to_onnx(tf.nn.relu, "values", (None, 3), ("positive",))
    assert to_bytes(to_onnx(affine, "values", (None, 2), ("a", "b"))) == first


def test_gradient_that_onnx_does_not_know_is_refused() -> None:
    def relu_with_tensorflows_gradient(values: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(values)
            result = tf.nn.relu(values)
        return tape.gradient(result, values)

    with pytest.raises(ExportError, match="ReluGrad"):
        to_onnx(relu_with_tensorflows_gradient, "values", (None, 3), ("gradient",))


def test_number_of_outputs_is_checked() -> None:
    with pytest.raises(ExportError, match=r"Expected 1 outputs \(one\), found 2"):
        to_onnx(affine, "values", (None, 2), ("one",))


def test_tensor_outside_the_file_is_refused() -> None:
    model = added(numpy_helper.from_array(np.ones(2, np.float32), "weight"))
    check_graph(model)
    (weight,) = model.graph.initializer
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights.bin")
    with pytest.raises(ExportError, match="outside its file"):
        check_graph(model)


def test_operator_of_another_domain_is_refused() -> None:
    model = added(numpy_helper.from_array(np.ones(2, np.float32), "weight"))
    model.graph.node[0].op_type, model.graph.node[0].domain = "FusedAdd", "com.example"
    with pytest.raises(ExportError, match=r"FusedAdd .* not an ONNX operator"):
        check_graph(model)


def test_graph_that_is_no_onnx_is_refused() -> None:
    model = added(numpy_helper.from_array(np.ones(3, np.float32), "weight"))
    with pytest.raises(ExportError, match="not valid ONNX"):
        check_graph(model)


def added(weight: TensorProto) -> onnx.ModelProto:
    """Return a model that adds a weight to two values."""
    given, result = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("given", "result")
    )
    node = helper.make_node("Add", ["given", "weight"], ["result"])
    graph = helper.make_graph([node], "toy", [given], [result], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
