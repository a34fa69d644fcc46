from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_app.errors import BundleError
from edge_app.model.manifest import Manifest, parse_manifest
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


def parsed(content: dict[str, Any]) -> Manifest:
    files = dict.fromkeys(["features.onnx", "features.int8.onnx", "classifier.onnx", *toy.PICTURES], "0")
    return parse_manifest(json.dumps({"files": files, **content}).encode())


def test_values_are_read() -> None:
    manifest = parsed(toy.manifest())
    assert (manifest.name, manifest.input.size_px) == ("toy", 32)
    assert (manifest.classes, manifest.finding) == (("fracture",), "fracture")
    assert (manifest.heatmap.method, manifest.heatmap.grid) == ("grad-cam", (16, 16))
    assert manifest.operating_point.threshold == 0.5
    assert manifest.tensors.gradient == "gradient"
    assert manifest.variants["float32"].features == "features.onnx"


def test_golden_cases_hold_numbers() -> None:
    white, black = parsed(toy.manifest()).golden
    assert (white.picture, black.picture) == ("golden-1.png", "golden-2.png")
    assert white.expected["float32"].probability == pytest.approx(0.982014, abs=1e-6)
    np.testing.assert_array_equal(white.expected["float32"].heatmap_over((16, 16)), np.ones((16, 16)))
    np.testing.assert_array_equal(black.expected["float32"].heatmap_over((16, 16)), np.zeros((16, 16)))


def test_map_is_read_row_by_row() -> None:
    grid = np.zeros((16, 16))
    grid[0, 1] = 1
    expected = {"probability": 0.5, "heatmap": toy.encode_map(grid)}
    golden = [{"picture": "golden-1.png", "expected": {"float32": expected}}]
    answer = parsed({**toy.manifest(), "golden": golden}).golden[0].expected["float32"]
    np.testing.assert_array_equal(answer.heatmap_over((16, 16)), grid)


def test_figures_are_those_of_the_variant_that_runs() -> None:
    manifest = parsed(toy.manifest({"float32": toy.FLOAT32, "int8": toy.INT8}))
    assert figures_of(manifest) == (0.5, 0.91, 0.62, 0.73)
    assert figures_of(manifest.with_figures_of("int8")) == (0.4, 0.9, 0.61, 0.7)
    assert manifest.with_figures_of("float32") == manifest


def figures_of(manifest: Manifest) -> tuple[float, ...]:
    point, game = manifest.operating_point, manifest.validation.pointing_game
    assert game is not None
    return point.threshold, point.sensitivity.value, point.specificity.value, game.value


def test_model_of_data_without_boxes_claims_nothing_about_where() -> None:
    assert parsed(changed("validation.pointing_game", None)).validation.pointing_game is None
    unknown = parsed(changed("variants.int8.validation.pointing_game", None))
    assert unknown.with_figures_of("int8").validation.pointing_game is None


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("schema_version", 1, "schema version 1; this app reads version 3"),
        ("schema_version", 4, "schema version 4; this app reads version 3"),
        ("input.padding", "edge", "padding 'edge'; this app knows centre"),
        ("input.interpolation", "cubic", "interpolation 'cubic'; this app knows area"),
        ("heatmap.method", "score-cam", "heat map 'score-cam'; this app knows grad-cam, grad-cam"),
    ],
)
def test_what_another_release_may_bring_is_told_as_such(path: str, value: Any, words: str) -> None:
    with pytest.raises(BundleError, match=rf"{words}.*same release"):
        parsed(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("schema_version", "3", r"Expected `int`, got `str` - at `\$.schema_version`"),
        ("name", "", r"Expected `str` of length >= 1 - at `\$.name`"),
        ("name", 5, r"Expected `str`, got `int` - at `\$.name`"),
        ("input.size_px", 10**9, r"Expected `int` <= 2048 - at `\$.input.size_px`"),
        ("input.size_px", 16, r"Expected `int` >= 32 - at `\$.input.size_px`"),
        ("input.size_px", 32.5, r"Expected `int`, got `float` - at `\$.input.size_px`"),
        ("input.size_px", True, r"Expected `int`, got `bool` - at `\$.input.size_px`"),
        ("operating_point.threshold", "high", r"Expected `float`, got `str` - at .*threshold`"),
        ("operating_point.threshold", 2, r"Expected `float` <= 1.0 - at `\$.operating_point.threshold`"),
        ("operating_point.threshold", float("nan"), "JSON is malformed"),
        ("classes", [], r"Expected `array` of length >= 1 - at `\$.classes`"),
        ("classes", "fracture", r"Expected `array`, got `str` - at `\$.classes`"),
        ("classes", ["fracture", "fracture"], "Expected different classes, got"),
        ("finding", "abnormality", "Expected a finding among the classes, got 'abnormality'"),
        ("tensors.logit", "probability", r"Expected a name for each tensor, .* - at `\$.tensors`"),
        ("tensors.image", None, r"Expected `str`, got `null` - at `\$.tensors.image`"),
        ("tensors", {}, r"missing required field `image` - at `\$.tensors`"),
        ("variants", {"int8": toy.INT8}, "Expected a variant float32, got int8"),
        ("variants", [], r"Expected `object`, got `array` - at `\$.variants`"),
        ("variants.float32.devices", [], r"Expected `array` of length >= 1 - at .*devices`"),
        ("variants.int8.devices", ["tpu"], r"Invalid enum value 'tpu' - at .*devices\[0\]`"),
        ("variants.int8.features", 3, r"Expected `str`, got `int` - at .*features`"),
        ("variants.int8.validation", None, "Expected `validation` of the variant int8"),
        ("variants.int8.validation.sensitivity", 90, r"Expected `float` <= 1.0 - at .*sensitivity`"),
        ("heatmap.grid", [16], r"Expected `array` of length 2 - at `\$.heatmap.grid`"),
        ("heatmap.grid", [16, 0], r"Expected `int` >= 1 - at `\$.heatmap.grid\[1\]`"),
        ("heatmap.grid", [16, 33], "Expected a grid in the input, got 16 x 33"),
        ("golden.0.picture", None, r"Expected `str`, got `null` - at `\$.golden\[0\].picture`"),
        ("golden.0.expected", {}, "Expected for golden-1.png a heat map of 16 x 16 by each variant"),
        ("golden.0.expected.int8.probability", 1.5, r"Expected `float` <= 1.0 - at .*probability`"),
        ("golden.0.expected.int8.heatmap", "****", r"Invalid base64 encoded string - at .*heatmap`"),
        ("golden.0.expected.int8.heatmap", "AAA=", r"buffer size must be a multiple .* - at .*\[...\]`"),
        ("golden.0.expected.int8.heatmap", toy.encode_map(np.ones((4, 4))), "a heat map of 16 x 16"),
        ("golden.0.expected.int8.heatmap", toy.encode_map(np.full((16, 16), np.nan)), "from 0 to 1"),
        ("golden", None, r"Expected `array`, got `null` - at `\$.golden`"),
        ("training", {}, r"missing required field `dataset` - at `\$.training`"),
        (
            "files",
            {},
            "Expected the SHA-256 of classifier.onnx and of features.int8.onnx and of features.onnx",
        ),
        ("files", None, r"Expected `object`, got `null` - at `\$.files`"),
    ],
)
def test_missing_or_wrong_value_is_told_with_its_place(path: str, value: Any, words: str) -> None:
    with pytest.raises(msgspec.DecodeError, match=words):
        parsed(changed(path, value))
