from __future__ import annotations

from pathlib import Path

from training.provenance import describe_dataset, describe_run, fingerprint


def test_licence_and_origin_are_claimed_of_a_known_data_set(xray_dir: Path) -> None:
    known = describe_dataset("any name", fingerprint(xray_dir))
    assert known["name"] == "FracAtlas"
    assert known["licence"] == "CC BY 4.0"
    assert "10.1038/s41597-023-02432-4" in known["citation"]


def test_nothing_is_claimed_of_other_data(drawn_dataset: Path) -> None:
    own = describe_dataset("our clinic", fingerprint(drawn_dataset))
    assert (own["name"], own["licence"]) == ("our clinic", "licence not stated")
    assert own["limits"]


def test_fingerprint_changes_with_the_labels(drawn_dataset: Path, tmp_path: Path) -> None:
    for name in ("dataset.csv", "boxes.csv"):
        (tmp_path / name).write_bytes((drawn_dataset / name).read_bytes())
    assert fingerprint(tmp_path) == fingerprint(drawn_dataset)
    table = tmp_path / "dataset.csv"
    table.write_text(table.read_text().replace(".jpg,1,", ".jpg,0,", 1))
    assert fingerprint(tmp_path) != fingerprint(drawn_dataset)


def test_run_tells_where_its_code_comes_from() -> None:
    run = describe_run("d", "0", {"source": "random", "licence": "none"}, {"train": 3})
    assert run["sides"] == {"train": 3}
    assert run["commit"] == "unknown" or len(run["commit"].removesuffix("-dirty")) == 40
