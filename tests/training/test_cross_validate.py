"""Cross-validation on drawn pictures: interrupted, resumed, measured, and its network made."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from export.runs import read_run
from training import cross_validate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

RECIPE = ["--model", "custom", "--image-size", "64", "--window", "32", "--epochs", "6", "--batch_size", "8"]


def options(data_dir: Path, out: Path, *more: str) -> list[str]:
    return ["--data", str(data_dir), "--out", str(out), "--folds", "2", *RECIPE, *more]


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(drawn_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("folds") / "cv"
    assert cross_validate.main(options(drawn_dataset, out, "--final")) == 0
    return out


def test_each_readable_xray_is_scored_once_by_a_network_that_did_not_see_it(finished: Path) -> None:
    scored = {row["image_id"]: row["fold"] for row in table(finished / "predictions.csv")}
    assert len(scored) == 63  # of 64, one is truncated
    for fold in ("1", "2"):
        sides = {row["image_id"]: row["side"] for row in table(finished / f"fold-{fold}" / "split.csv")}
        assert {sides[image_id] for image_id, own in scored.items() if own == fold} == {"validation"}


def test_final_network_carries_the_figures_of_the_folds(finished: Path) -> None:
    run = read_run(finished / "final")
    folds = json.loads((finished / "evaluation.json").read_text())
    assert run.evaluation["auroc"] == folds["auroc"]
    assert run.evaluation["operating_point"] == folds["operating_point"]
    assert run.evaluation["calibration"] == folds["calibration"]
    assert run.evaluation["out_of_fold"]["folds"] == 2
    assert run.evaluation["held_out"]["samples"] < 20 < run.evaluation["samples"]
    kernel, _ = run.model.get_layer("logit").get_weights()
    assert kernel.item() / folds["calibration"]["slope"] == pytest.approx(1, abs=0.5)


def test_interrupted_fold_goes_on(drawn_dataset: Path, finished: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(finished, tmp_path / "cv"))
    (out / "fold-2" / "evaluation.json").unlink()
    (out / "predictions.csv").unlink()
    before = (out / "fold-1" / "best_model.keras").stat().st_mtime_ns
    assert cross_validate.main(options(drawn_dataset, out)) == 0
    assert (out / "fold-1" / "best_model.keras").stat().st_mtime_ns == before
    assert table(out / "predictions.csv") == table(finished / "predictions.csv")


def test_some_of_the_folds_are_enough_for_a_first_look(drawn_dataset: Path, tmp_path: Path) -> None:
    words = ["--folds", "3", "--first", "2"]
    assert cross_validate.main(options(drawn_dataset, tmp_path / "cv", *words)) == 0
    scored = table(tmp_path / "cv" / "predictions.csv")
    assert {row["fold"] for row in scored} == {"1", "2"}
    assert 30 < len(scored) < 60
    assert not (tmp_path / "cv" / "fold-3").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "7"], "made with other settings or data (epochs was 6, now 7)"),
        (["--folds", "3"], "made with other settings or data (folds was 2, now 3)"),
    ],
)
def test_folds_of_other_settings_are_refused(
    words: list[str],
    message: str,
    drawn_dataset: Path,
    finished: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert cross_validate.main(options(drawn_dataset, finished, *words)) == 1
    assert message in capsys.readouterr().out + caplog.text


def test_too_many_folds_are_refused_before_anything_is_trained(
    drawn_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert cross_validate.main(options(drawn_dataset, tmp_path / "cv", "--folds", "9")) == 1
    assert "in 8 independent groups are too few for 9 folds" in caplog.text
    assert not list((tmp_path / "cv").glob("fold-*"))


def test_directory_of_something_else_is_left_alone(
    drawn_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    assert cross_validate.main(options(drawn_dataset, tmp_path)) == 1
    assert "holds other files and no plan.json" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
