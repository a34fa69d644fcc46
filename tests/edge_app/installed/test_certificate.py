from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_app.errors import NotCertified
from edge_app.installed.certificate import certified_device, certify
from edge_app.installed.home import Home
from edge_app.model.choice import chosen_variant
from tests.edge_app.installed.drawn_release import write_release
from tests.toy import features_graph, write_toy_bundle, write_two_variants


def deployed(tmp_path: Path, bundle_dir: Path) -> Home:
    home = Home(tmp_path / "home")
    program = write_release(home.versions / "1.2.3-aaaa")
    home.switch_to(home.deploy(program, bundle_dir, 5000))
    return home


def test_certificate_tells_the_pc_the_versions_and_each_precision(tmp_path: Path) -> None:
    home = deployed(tmp_path, write_two_variants(tmp_path / "bundle"))
    text = certify(home, home.current()).read_text()
    content = json.loads((home.folder(1) / "certificate.json").read_bytes())
    assert content["verdict"] == "certified"
    assert content["program"]["version"] == "1.2.3"
    assert content["golden_cases"] == 2
    assert content["measured"]["cpu"].keys() == {"float32", "int8"}
    assert "Assistive tool, not a diagnosis." in text
    assert certified_device(home, home.current()) == "cpu"
    assert chosen_variant(home.model(1), "cpu") == content["chosen"]["precision"]


def test_precision_that_answers_otherwise_here_is_told_and_not_chosen(tmp_path: Path) -> None:
    wrong = features_graph(white=300)
    home = deployed(tmp_path, write_two_variants(tmp_path / "bundle", wrong))
    assert "does not give the answer" in certify(home, home.current()).read_text()
    content = json.loads((home.folder(1) / "certificate.json").read_bytes())
    assert content["measured"]["cpu"]["int8"]["reproduces"] is False
    assert content["chosen"]["precision"] == "float32"


def test_pc_that_gives_other_answers_is_not_certified(tmp_path: Path) -> None:
    bundle = write_toy_bundle(tmp_path / "bundle", {"features.onnx": features_graph(white=300)})
    home = deployed(tmp_path, bundle)
    with pytest.raises(NotCertified, match="nothing was switched"):
        certify(home, home.current())
    assert not (home.folder(1) / "certificate.json").exists()
