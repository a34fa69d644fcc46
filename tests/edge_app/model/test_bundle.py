from __future__ import annotations

from pathlib import Path

import pytest

from edge_app.errors import BundleError
from edge_app.model.bundle import load_bundle
from edge_app.model.inference import ModelPair
from tests import toy

NEEDED = {"features.onnx": "0", "classifier.onnx": "0", "golden-1.png": "0", "golden-2.png": "0"}


def test_whole_bundle_is_read(toy_bundle: Path) -> None:
    bundle = load_bundle(toy_bundle)
    assert (bundle.manifest.name, bundle.variant) == ("toy", "float32")
    assert bundle.graphs.features == (toy_bundle / "features.onnx").read_bytes()
    assert bundle.graphs.classifier == (toy_bundle / "classifier.onnx").read_bytes()
    assert bundle.pictures == toy.PICTURES


def test_asked_variant_is_read(tmp_path: Path) -> None:
    other = toy.features_graph(white=128)
    toy.write_two_variants(tmp_path, other)
    assert load_bundle(tmp_path, "int8").graphs.features == other
    assert load_bundle(tmp_path).graphs.features == toy.features_graph()


def test_unknown_variant_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    toy.write_two_variants(tmp_path)
    with pytest.raises(BundleError, match="no variant float16; it has float32, int8"):
        load_bundle(tmp_path, "float16")


@pytest.mark.parametrize(
    "name", ["features.onnx", "classifier.onnx", "features.int8.onnx", "golden-2.png", "card.md"]
)
def test_one_altered_byte_of_any_file_is_refused(tmp_path: Path, name: str) -> None:
    files = {"features.int8.onnx": toy.features_graph(), "card.md": b"text"}
    path = toy.write_toy_bundle(tmp_path, files, {"float32": toy.FLOAT32, "int8": toy.INT8}) / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=f"{name} .* is not the file that was released"):
        load_bundle(tmp_path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    (toy.write_toy_bundle(tmp_path) / "classifier.onnx").unlink()
    with pytest.raises(BundleError, match=r"classifier.onnx is missing"):
        load_bundle(tmp_path)


def test_whole_model_may_be_missing_but_not_altered(tmp_path: Path) -> None:
    whole = toy.write_toy_bundle(tmp_path, {"model.onnx": b"for other runtimes"}) / "model.onnx"
    whole.write_bytes(b"for another")
    with pytest.raises(BundleError, match=r"model.onnx .* is not the file that was released"):
        load_bundle(tmp_path)
    whole.unlink()
    assert load_bundle(tmp_path).graphs.features == toy.features_graph()


def test_missing_bundle_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="--bundle"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 200_000, '{"schema_version": 3}'])
def test_unreadable_manifest_is_refused(tmp_path: Path, text: str) -> None:
    toy.write_toy_bundle(tmp_path)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest.json"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema_version": 1}, "schema version 1; this app reads version 3"),
        ({"finding": "abnormality"}, "json is not as expected: Expected a finding among"),
        ({"training": {}}, r"json is not as expected: .*`dataset` - at `\$.training`. Install"),
        ({"files": {}}, "the SHA-256 of classifier.onnx and of features.onnx and of golden-1.png"),
        (
            {"files": {name: "0" for name in NEEDED if name != "golden-2.png"}},
            "the SHA-256 of golden-2.png",
        ),
        ({"files": {"../features.onnx": "0", **NEEDED}}, "outside"),
        ({"files": {"..": "0", **NEEDED}}, "is missing from"),
        ({"files": {"a\0": "0", **NEEDED}}, "missing from|not the file"),
        ({"files": None}, "is not as expected"),
    ],
)
def test_manifest_with_a_wrong_value_is_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    toy.write_toy_bundle(tmp_path, **changes)
    with pytest.raises(BundleError, match=words):
        load_bundle(tmp_path)


def test_other_findings_can_be_read_for_evaluation(tmp_path: Path) -> None:
    toy.write_toy_bundle(tmp_path, classes=["abnormality"], finding="abnormality")
    assert load_bundle(tmp_path).manifest.finding == "abnormality"


def test_right_hash_of_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    toy.write_toy_bundle(tmp_path, {"features.onnx": b"not a graph"})
    with pytest.raises(BundleError, match="no ONNX file"):
        ModelPair(load_bundle(tmp_path).graphs, device="cpu")


def test_signature_and_choice_need_no_hash(tmp_path: Path) -> None:
    toy.write_toy_bundle(tmp_path)
    (tmp_path / "manifest.sig").write_text("anything")
    (tmp_path / "choice.json").write_text("anything")
    assert load_bundle(tmp_path).variant == "float32"
