from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from edge_app.bundle import load_bundle
from edge_app.errors import BundleError
from edge_app.inference import ModelPair
from tests import toy


def test_whole_bundle_is_read(toy_bundle: Path) -> None:
    manifest = load_bundle(toy_bundle).manifest
    assert (manifest.name, manifest.size_px, manifest.threshold) == ("toy", 32, 0.5)


def test_model_of_data_without_boxes_claims_nothing_about_where(tmp_path: Path) -> None:
    assert load_bundle(toy.write_toy_bundle(tmp_path / "known")).manifest.pointing == 0.73
    unknown = toy.write_toy_bundle(tmp_path / "unknown", validation={"pointing_game": None})
    assert load_bundle(unknown).manifest.pointing is None


@pytest.mark.parametrize("name", ["features.onnx", "classifier.onnx"])
def test_one_altered_byte_is_refused(tmp_path: Path, name: str) -> None:
    path = toy.write_toy_bundle(tmp_path) / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=f"{name} .* is not the file that was released"):
        load_bundle(tmp_path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    (toy.write_toy_bundle(tmp_path) / "classifier.onnx").unlink()
    with pytest.raises(BundleError, match=r"classifier.onnx is missing"):
        load_bundle(tmp_path)


def test_missing_bundle_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="--bundle"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 200_000, '{"schema_version": 1}'])
def test_unreadable_manifest_is_refused(tmp_path: Path, text: str) -> None:
    toy.write_toy_bundle(tmp_path)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest.json"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": 2}, "schema version 2; this app reads version 1"),
        ({"input": {**toy.manifest()["input"], "padding": "edge"}}, "padding 'edge'"),
        ({"input": {**toy.manifest()["input"], "size_px": 1e9}}, "input.size_px"),
        ({"operating_point": {**toy.manifest()["operating_point"], "threshold": "high"}}, "threshold"),
        ({"operating_point": {**toy.manifest()["operating_point"], "threshold": 2}}, "threshold"),
        ({"classes": ["abnormality"]}, "tells of abnormality; this app tells of fractures only"),
        ({"files": {}}, "lists no classifier.onnx and no features.onnx"),
        ({"files": {"../features.onnx": "0", "features.onnx": "0", "classifier.onnx": "0"}}, "outside"),
        ({"training": {}}, "dataset"),
        (
            {"files": {"a\0": "0", "features.onnx": "0", "classifier.onnx": "0"}},
            "missing from|not the file",
        ),
        ({"files": None}, "lacks or misstates"),
    ],
)
def test_manifest_with_a_wrong_value_is_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    toy.write_toy_bundle(tmp_path, **changes)
    with pytest.raises(BundleError, match=words):
        load_bundle(tmp_path)


def test_right_hash_of_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    toy.write_toy_bundle(tmp_path)
    (tmp_path / "features.onnx").write_bytes(b"not a graph")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["files"]["features.onnx"] = hashlib.sha256(b"not a graph").hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="cannot load the model"):
        ModelPair(load_bundle(tmp_path), device="cpu")
