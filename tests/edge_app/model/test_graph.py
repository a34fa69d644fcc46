from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_app.errors import BundleError
from edge_app.model.graph import require_standard
from tests import toy


def graph_of(*nodes: onnx.NodeProto, initializers: tuple[onnx.TensorProto, ...] = ()) -> onnx.GraphProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    return helper.make_graph(nodes, "g", [value], [value], initializers)


def model_of(graph: onnx.GraphProto) -> onnx.ModelProto:
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def gelu() -> onnx.NodeProto:
    return helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")


def outside_tensor() -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.ones(1, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    return tensor


def outside_sparse_tensor() -> onnx.SparseTensorProto:
    index = numpy_helper.from_array(np.zeros(1, np.int64))
    return helper.make_sparse_tensor(outside_tensor(), index, [3])


@pytest.mark.parametrize("graph", [toy.features_graph(), toy.classifier_graph()])
def test_standard_graph_passes(graph: bytes) -> None:
    require_standard(graph)


def test_domain_by_its_long_name_passes() -> None:
    node = helper.make_node("Relu", ["x"], ["y"], domain="ai.onnx")
    require_standard(model_of(graph_of(node)).SerializeToString())


def test_operator_of_another_domain_is_refused() -> None:
    with pytest.raises(BundleError, match=r"operators of com\.microsoft; expected only ONNX's own"):
        require_standard(model_of(graph_of(gelu())).SerializeToString())


def loop() -> onnx.NodeProto:
    return helper.make_node("Loop", ["n", "t", "x"], ["y"], body=graph_of())


def branch() -> onnx.NodeProto:
    return helper.make_node("If", ["x"], ["y"], then_branch=graph_of(), else_branch=graph_of())


def several_graphs() -> onnx.NodeProto:
    node = helper.make_node("Relu", ["x"], ["y"])
    node.attribute.add(name="bodies", type=onnx.AttributeProto.GRAPHS).graphs.append(graph_of())
    return node


@pytest.mark.parametrize("node", [loop(), branch(), several_graphs()], ids=["loop", "branch", "several"])
def test_loops_and_branches_are_refused(node: onnx.NodeProto) -> None:
    with pytest.raises(BundleError, match="loops or branches; expected one straight computation"):
        require_standard(model_of(graph_of(node)).SerializeToString())


def test_functions_are_refused() -> None:
    model = model_of(graph_of())
    node, imports = helper.make_node("Relu", ["x"], ["y"]), [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("", "F", ["x"], ["y"], [node], imports))
    with pytest.raises(BundleError, match="functions of its own"):
        require_standard(model.SerializeToString())


@pytest.mark.parametrize(
    "graph",
    [
        graph_of(initializers=(outside_tensor(),)),
        graph_of(helper.make_node("Constant", [], ["y"], sparse_value=outside_sparse_tensor())),
        graph_of(helper.make_node("Constant", [], ["y"], value=outside_tensor())),
    ],
    ids=["weights", "sparse constant", "constant"],
)
def test_data_in_another_file_is_refused(graph: onnx.GraphProto) -> None:
    with pytest.raises(BundleError, match="data in another file"):
        require_standard(model_of(graph).SerializeToString())


@pytest.mark.parametrize("data", [b"not a graph", b"\xff" * 40, toy.features_graph() + b"\xff"])
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="no ONNX file"):
        require_standard(data)
