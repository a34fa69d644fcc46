from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from edge_app.errors import BundleError
from edge_app.model.manifest import VariantFigures, parse_manifest
from tests import toy


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the toy manifest with two variants and one value replaced; `path` like `input.size_px`."""
    content = copy.deepcopy(toy.manifest({"float32": toy.FLOAT32, "int8": toy.INT8}))
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    inner: Any = content
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return content


def test_values_are_read() -> None:
    manifest = parse_manifest(toy.manifest())
    assert (manifest.name, manifest.size_px, manifest.threshold) == ("toy", 32, 0.5)
    assert (manifest.classes, manifest.finding) == (("fracture",), "fracture")
    assert (manifest.method, manifest.grid) == ("grad-cam", (16, 16))
    assert manifest.tensors.gradient == "gradient"
    assert manifest.variants["float32"].features == "features.onnx"


def test_golden_cases_hold_numbers() -> None:
    white, black = parse_manifest(toy.manifest()).golden
    assert (white.picture, black.picture) == ("golden-1.png", "golden-2.png")
    assert white.expected["float32"].probability == pytest.approx(0.982014, abs=1e-6)
    np.testing.assert_array_equal(white.expected["float32"].heatmap, np.ones((16, 16)))
    np.testing.assert_array_equal(black.expected["float32"].heatmap, np.zeros((16, 16)))


def test_map_is_read_row_by_row() -> None:
    grid = np.zeros((16, 16))
    grid[0, 1] = 1
    expected = {"probability": 0.5, "heatmap": toy.encode_map(grid)}
    content = {
        **toy.manifest(),
        "golden": [{"picture": "golden-1.png", "expected": {"float32": expected}}],
    }
    np.testing.assert_array_equal(parse_manifest(content).golden[0].expected["float32"].heatmap, grid)


def test_figures_are_those_of_the_variant_that_runs() -> None:
    manifest = parse_manifest(toy.manifest({"float32": toy.FLOAT32, "int8": toy.INT8}))
    assert (manifest.sensitivity, manifest.specificity, manifest.pointing) == (0.91, 0.62, 0.73)
    assert manifest.variants["float32"].figures == VariantFigures(0.91, 0.62, 0.73)
    told = manifest.with_figures_of("int8")
    assert (told.sensitivity, told.specificity, told.pointing) == (0.9, 0.61, 0.7)
    assert told.with_figures_of("float32") == manifest


def test_model_of_data_without_boxes_claims_nothing_about_where() -> None:
    assert parse_manifest(changed("validation.pointing_game", None)).pointing is None
    unknown = parse_manifest(changed("variants.int8.validation.pointing_game", None))
    assert unknown.variants["int8"].figures.pointing is None


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("schema_version", 1, "schema version 1; this app reads version 2"),
        ("schema_version", 3, "schema version 3; this app reads version 2"),
        ("input.padding", "edge", "padding 'edge'; this app knows centre"),
        ("input.interpolation", "cubic", "interpolation 'cubic'; this app knows area"),
        ("heatmap.method", "score-cam", "heat map 'score-cam'; this app knows grad-cam, grad-cam"),
    ],
)
def test_what_another_release_may_bring_is_told_as_such(path: str, value: Any, words: str) -> None:
    with pytest.raises(BundleError, match=rf"{words}.*same release"):
        parse_manifest(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("name", "", "name"),
        ("name", 5, "name"),
        ("input.size_px", 1e9, "input.size_px: expected a number from 32 to 2048"),
        ("input.size_px", 32.5, "input.size_px: expected a whole number"),
        ("input.size_px", True, "input.size_px"),
        ("operating_point.threshold", "high", "operating_point.threshold"),
        ("operating_point.threshold", 2, "operating_point.threshold"),
        ("operating_point.threshold", float("nan"), "operating_point.threshold"),
        ("classes", [], "classes"),
        ("classes", "fracture", "classes"),
        ("classes", ["fracture", "fracture"], "classes: expected a list of different values"),
        ("finding", "abnormality", "finding: expected one of fracture, found 'abnormality'"),
        ("tensors.logit", "probability", "tensors: expected a name for each"),
        ("tensors.image", None, "tensors.image"),
        ("tensors", {}, "'image'"),
        ("variants", {"int8": toy.INT8}, "'float32'"),
        ("variants", [], "'float32'"),
        ("variants.float32.devices", [], "float32.devices"),
        ("variants.int8.devices", ["tpu"], "int8.devices: expected one of cpu, cuda, found 'tpu'"),
        ("variants.int8.features", 3, "int8.features"),
        ("variants.int8.validation", None, "NoneType"),
        ("variants.int8.validation.sensitivity", 90, "int8.sensitivity"),
        ("heatmap.grid", [16], "unpack"),
        ("heatmap.grid", [16, 0], "heatmap.grid"),
        ("heatmap.grid", [16, 33], "heatmap.grid: expected a number from 1 to 32"),
        ("golden.0.picture", None, "golden.picture"),
        ("golden.0.expected", {"float32": toy.manifest()["golden"][0]["expected"]["float32"]}, "'int8'"),
        ("golden.0.expected.int8.probability", 1.5, "golden.probability"),
        ("golden.0.expected.int8.heatmap", "****", "base64"),
        ("golden.0.expected.int8.heatmap", toy.encode_map(np.ones((4, 4))), "reshape"),
        ("golden.0.expected.int8.heatmap", toy.encode_map(np.full((16, 16), np.nan)), "from 0 to 1"),
        ("golden", None, "NoneType"),
        ("training", {}, "'dataset'"),
    ],
)
def test_missing_or_wrong_value_is_told(path: str, value: Any, words: str) -> None:
    with pytest.raises((KeyError, TypeError, ValueError), match=words):
        parse_manifest(changed(path, value))
