from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tests.drawn_dataset import write_drawn_mura
from training.data.datasets import read_dataset
from training.runs.provenance import describe_dataset, describe_run


def test_licence_and_origin_are_claimed_of_a_known_data_set(xray_dir: Path) -> None:
    known = describe_dataset(replace(read_dataset(xray_dir), name="any name"))
    assert known["name"] == "FracAtlas"
    assert known["licence"] == "CC BY 4.0"
    assert "10.1038/s41597-023-02432-4" in known["citation"]


def test_nothing_is_claimed_of_other_data(drawn_dataset: Path) -> None:
    own = describe_dataset(replace(read_dataset(drawn_dataset), name="our clinic"))
    assert (own["name"], own["licence"]) == ("our clinic", "licence not stated")
    assert own["body_parts"] == ["hand"]
    assert own["limits"]


def test_whole_mura_is_known(tmp_path: Path) -> None:
    drawn = read_dataset(write_drawn_mura(tmp_path / "MURA-v1.1"))
    whole = describe_dataset(replace(drawn, samples=drawn.samples[:1] * 40_005))
    assert "no commercial use" in whole["licence"]


def test_tree_in_the_shape_of_mura_is_told_to_label_abnormalities_only(tmp_path: Path) -> None:
    drawn = describe_dataset(read_dataset(write_drawn_mura(tmp_path / "MURA-v1.1")))
    assert drawn["finding"] == "abnormality"
    assert drawn["groups"] == "patients"
    assert drawn["licence"] == "licence not stated"


def test_fingerprint_changes_with_the_labels(drawn_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to(drawn_dataset / "images")
    for name in ("dataset.csv", "boxes.csv"):
        (tmp_path / name).write_bytes((drawn_dataset / name).read_bytes())
    before = read_dataset(drawn_dataset).sha256
    assert read_dataset(tmp_path).sha256 == before
    table = tmp_path / "dataset.csv"
    table.write_text(table.read_text().replace(".jpg,1,", ".jpg,0,", 1))
    assert read_dataset(tmp_path).sha256 != before


def test_run_tells_where_its_code_comes_from(drawn_dataset: Path) -> None:
    dataset = read_dataset(drawn_dataset)
    before = datetime.now(UTC).date().isoformat()
    run = describe_run(dataset, {"source": "random", "licence": "none"}, {"train": 3})
    assert run["sides"] == {"train": 3}
    assert run["commit"] == "unknown" or len(run["commit"].removesuffix("-dirty")) == 40
    assert before <= run["created"] <= datetime.now(UTC).date().isoformat()
