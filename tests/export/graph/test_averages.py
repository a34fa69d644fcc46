from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_app.errors import ExportError
from edge_app.model.inference import open_session
from export.graph.averages import DEEP, SHALLOW, add_averages

SIZE_PX = 32


def value(name: str, *shape: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])


def graph(strides: tuple[int, ...], element: int = TensorProto.FLOAT) -> bytes:
    """Average the picture over squares, step by step; the last step's map is the features."""
    nodes = [
        helper.make_node("Transpose", ["image"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["first"], ["map_0"], to=element),
    ]
    for step, stride in enumerate(strides, start=1):
        kernel = [stride, stride]
        given, result = f"map_{step - 1}", f"map_{step}"
        nodes.append(
            helper.make_node("AveragePool", [given], [result], kernel_shape=kernel, strides=kernel)
        )
    nodes += [
        helper.make_node("Cast", [f"map_{len(strides)}"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["wide"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Mul", ["last", "twice"], ["features"]),
    ]
    side = SIZE_PX // int(np.prod(strides))
    twice = numpy_helper.from_array(np.float32(2), "twice")
    made = helper.make_graph(
        nodes, "drawn", [value("image", SIZE_PX, SIZE_PX, 1)], [value("features", side, side, 1)], [twice]
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(made, opset_imports=opset, ir_version=8).SerializeToString()


IMAGE = np.random.default_rng(0).integers(0, 256, (1, SIZE_PX, SIZE_PX, 1)).astype(np.float32)


@pytest.mark.parametrize("element", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_averages_are_those_of_the_maps(element: int) -> None:
    session = open_session(add_averages(graph((4, 2, 2), element)))
    features, shallow, deep = session.run(["features", SHALLOW, DEEP], {"image": IMAGE})
    tolerance = 1e-5 if element == TensorProto.FLOAT else 0.2
    assert shallow == pytest.approx(np.array([[IMAGE.mean()]]), abs=tolerance)
    assert deep == pytest.approx(features.mean(axis=(1, 2)), abs=1e-4)


def test_what_the_graph_told_before_stays_the_same() -> None:
    given = graph((4, 2, 2))
    (before,) = open_session(given).run(["features"], {"image": IMAGE})
    (after,) = open_session(add_averages(given)).run(["features"], {"image": IMAGE})
    np.testing.assert_array_equal(after, before)


def test_averages_are_added_once() -> None:
    once = add_averages(graph((4, 2, 2)))
    assert add_averages(once) == once


def test_a_network_without_such_cells_is_refused() -> None:
    with pytest.raises(ExportError, match="needs a map of 4 x 4 cells"):
        add_averages(graph((4, 4)))
