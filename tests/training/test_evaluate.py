from __future__ import annotations

import json
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from edge_app.errors import DataError, SettingsError
from tests.drawn_dataset import write_drawn_mura
from tests.toy_keras import SIZE_PX, toy_model, write_toy_run
from training.data.datasets import read_dataset
from training.data.samples import Dataset
from training.data.scan import scan_samples
from training.evaluate import main
from training.evaluation.candidates import Candidate, open_candidate
from training.evaluation.protocol import evaluate

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

THRESHOLD = 0.4


@pytest.fixture(scope="module")
def dataset(drawn_dataset: Path) -> Dataset:
    return read_dataset(drawn_dataset)


@pytest.fixture(scope="module")
def run_dir(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that trained on six blocks of the drawn data and validated on the last two."""
    readable = dataset.samples[1:]
    sides = {s.image_id: "validation" if (s.number or 0) >= 300 else "train" for s in readable}
    return write_toy_run(tmp_path_factory.mktemp("runs") / "toy", dataset, sides, THRESHOLD)


@pytest.fixture(scope="module")
def candidate(run_dir: Path) -> Candidate:
    return open_candidate(run_dir)


@pytest.fixture(scope="module")
def evaluation(candidate: Candidate, dataset: Dataset) -> dict[str, Any]:
    return evaluate(candidate, dataset)


def test_run_is_judged_on_its_validation_side(evaluation: dict[str, Any], dataset: Dataset) -> None:
    assert evaluation["side"] == "validation"
    samples = [sample for sample in dataset.samples if (sample.number or 0) >= 300]
    # the toy's logit rises with the log of the cells' summed exponentials of 4 b
    cells = np.stack([scan_samples(samples, SIZE_PX).squares[i] for i in range(len(samples))])
    brightness = cells.reshape(-1, 4, 16, 4, 16).mean(axis=(2, 4)) / 255
    score = np.exp(4 * brightness).sum(axis=(1, 2))
    expected = roc_auc_score([sample.fractured for sample in samples], score)
    assert evaluation["images"]["auroc"]["value"] == pytest.approx(expected)
    assert (evaluation["images"]["samples"], evaluation["images"]["groups"]) == (16, 2)


def test_stored_threshold_is_used(evaluation: dict[str, Any]) -> None:
    point = evaluation["operating_point"]
    assert (point["threshold"], point["target_sensitivity"]) == (THRESHOLD, 0.9)
    assert evaluation["images"]["answers"][0]["threshold"] == THRESHOLD


def test_what_cannot_be_read_is_counted_by_label(evaluation: dict[str, Any]) -> None:
    assert (evaluation["unreadable"]["positive"], evaluation["unreadable"]["normal"]) == (0, 1)
    [file] = evaluation["unreadable"]["files"]
    assert file == {"image_id": "IMG0000000.jpg", "positive": False, "reason": "broken"}
    told = "Files that cannot be read are not judged: 0 positive, 1 normal in the whole data set."
    assert told in evaluation["warnings"]


def test_reason_is_told_without_advice_to_the_clinic(candidate: Candidate, dataset: Dataset) -> None:
    bare = replace(candidate, split=None, trained_on="")
    [file] = evaluate(bare, dataset)["unreadable"]["files"]
    assert ". " not in file["reason"]


def test_few_groups_are_warned_of(evaluation: dict[str, Any]) -> None:
    assert any("only 2 independent groups" in warning for warning in evaluation["warnings"])


def test_maps_that_ignore_what_was_learned_are_warned_of(evaluation: dict[str, Any]) -> None:
    # the toy has a single feature, so shuffling changes nothing
    assert any("stay alike" in warning for warning in evaluation["warnings"])


def test_nothing_is_refitted_on_the_x_rays_that_are_judged(evaluation: dict[str, Any]) -> None:
    assert [item["name"] for item in evaluation["calibration"]["calibrations"]] == ["as it is"]


def test_other_calibrations_are_tried_on_another_side(candidate: Candidate, dataset: Dataset) -> None:
    calibrations = evaluate(candidate, dataset, "train")["calibration"]["calibrations"]
    assert [item["name"].split()[0] for item in calibrations] == ["as", "temperature", "isotonic"]


def test_sensitivity_is_chosen_on_the_stored_validation_scores(
    candidate: Candidate, dataset: Dataset
) -> None:
    # these are 1 for every fracture and -1 else, whatever the judged X-rays score
    point = evaluate(candidate, dataset, "train", sensitivity=0.8)["operating_point"]
    assert point["threshold"] == pytest.approx(0.5)
    assert point["target_sensitivity"] == 0.8
    assert "16 validation X-rays" in point["source"]


def test_sensitivity_is_never_chosen_without_validation(candidate: Candidate, dataset: Dataset) -> None:
    bare = replace(candidate, validation=None, split=None)
    with pytest.raises(DataError, match="there are none here"):
        evaluate(bare, dataset, sensitivity=0.8)


def test_threshold_of_a_bare_model_comes_from_the_validation_side_of_the_data(
    candidate: Candidate, dataset: Dataset
) -> None:
    bare = replace(candidate, validation=None, split=None, threshold=None, trained_on="")
    sided = replace(
        dataset,
        samples=tuple(
            replace(sample, side="test" if (sample.number or 0) >= 200 else "validation")
            for sample in dataset.samples
        ),
    )
    evaluation = evaluate(bare, sided)
    assert evaluation["side"] == "test"
    assert "chosen now on 31 validation X-rays" in evaluation["operating_point"]["source"]


def test_threshold_chosen_on_the_judged_x_rays_is_warned_of(candidate: Candidate, dataset: Dataset) -> None:
    bare = replace(candidate, validation=None, split=None, threshold=None, trained_on="")
    samples = tuple(replace(sample, side="validation") for sample in dataset.samples)
    evaluation = evaluate(bare, replace(dataset, samples=samples))
    assert evaluation["side"] == "validation"
    assert any("was chosen on these very X-rays" in warning for warning in evaluation["warnings"])


@pytest.mark.parametrize("side", ["validation", "all"])
def test_sensitivity_chosen_on_the_judged_x_rays_is_warned_of(
    candidate: Candidate, dataset: Dataset, side: str
) -> None:
    told = "The threshold was chosen on these very X-rays, or on some of them"
    evaluation = evaluate(candidate, dataset, side, sensitivity=0.8)
    assert any(told in warning for warning in evaluation["warnings"])
    elsewhere = evaluate(candidate, dataset, "train", sensitivity=0.8)
    assert not any(told in warning for warning in elsewhere["warnings"])


def test_validation_side_of_one_class_gives_no_threshold(candidate: Candidate, dataset: Dataset) -> None:
    bare = replace(candidate, validation=None, split=None, threshold=None, trained_on="")
    samples = tuple(
        replace(sample, side="test" if sample.fractured or (sample.number or 0) >= 200 else "validation")
        for sample in dataset.samples
    )
    assert evaluate(bare, replace(dataset, samples=samples))["operating_point"] is None


def test_run_takes_no_other_split(candidate: Candidate, dataset: Dataset, run_dir: Path) -> None:
    with pytest.raises(SettingsError, match="brings its own split"):
        evaluate(candidate, dataset, split=run_dir / "split.csv")


def test_run_on_changed_data_says_how_many_x_rays_it_knows(candidate: Candidate, dataset: Dataset) -> None:
    changed = evaluate(candidate, replace(dataset, sha256="other"))
    assert changed["side"] == "all"
    assert any("63 of these 64 X-rays have names" in warning for warning in changed["warnings"])


def test_data_that_call_something_else_positive_are_warned_of(
    candidate: Candidate, dataset: Dataset, evaluation: dict[str, Any]
) -> None:
    told = "Positive meant abnormality where the model was trained, but fracture here"
    other = evaluate(replace(candidate, finding="abnormality"), dataset)
    assert any(told in warning for warning in other["warnings"])
    assert not any("Positive meant" in warning for warning in evaluation["warnings"])


def test_unknown_patients_are_warned_of(
    candidate: Candidate, dataset: Dataset, evaluation: dict[str, Any]
) -> None:
    unknown = replace(dataset, samples=tuple(replace(sample, number=None) for sample in dataset.samples))
    told = "The patients are not known"
    assert any(told in warning for warning in evaluate(candidate, unknown)["warnings"])
    assert not any(told in warning for warning in evaluation["warnings"])


def test_bare_model_without_validation_is_judged_at_one_half_only(
    candidate: Candidate, dataset: Dataset
) -> None:
    bare = replace(candidate, validation=None, split=None, threshold=None, trained_on="")
    evaluation = evaluate(bare, dataset)
    assert evaluation["side"] == "all"
    assert [answer["threshold"] for answer in evaluation["images"]["answers"]] == [0.5]
    assert any("judged at 0.5 only" in warning for warning in evaluation["warnings"])


def test_single_class_is_refused(candidate: Candidate, dataset: Dataset) -> None:
    normal = tuple(sample for sample in dataset.samples if not sample.fractured)
    other = replace(dataset, samples=normal, sha256="other")
    with pytest.raises(DataError, match=r"'all'.* 0 .* among 31 X-rays"):
        evaluate(candidate, other)


def test_bundle_is_judged_on_a_named_split(
    toy_bundle: Path, run_dir: Path, dataset: Dataset, evaluation: dict[str, Any]
) -> None:
    found = evaluate(open_candidate(toy_bundle), dataset, split=run_dir / "split.csv")
    assert (found["side"], found["images"]["samples"]) == ("validation", 16)
    assert found["heatmaps"]["randomisation"] is None
    assert any("cannot be shuffled" in remark for remark in found["heatmaps"]["remarks"])
    assert found["heatmaps"]["boxes"]["samples"] == 8
    assert found["heatmaps"]["method"] == "grad-cam"


def test_every_method_is_judged_and_the_models_own_is_named(candidate: Candidate, dataset: Dataset) -> None:
    found = evaluate(replace(candidate, method="layercam"), dataset)["heatmaps"]
    assert set(found["boxes"]["methods"]) == {"grad-cam", "grad-cam++", "hirescam", "layercam"}
    assert found["method"] == "layercam"


def test_mura_is_judged_by_study_and_patient(candidate: Candidate, tmp_path: Path) -> None:
    mura = read_dataset(write_drawn_mura(tmp_path / "MURA-v1.1"))
    found = evaluate(candidate, mura, "test")
    assert (found["images"]["samples"], found["images"]["groups"]) == (12, 6)
    assert found["studies"]["assessment"]["samples"] == 6
    assert [row["part"] for row in found["studies"]["mura"]] == ["elbow", "hand", "wrist", "overall"]
    assert found["data"]["positive"] == "abnormality"


def test_command_leaves_json_and_report_beside_the_run(
    run_dir: Path, drawn_dataset: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        assert main(["--model", str(run_dir / "best_model.keras"), "--data", str(drawn_dataset)]) == 0
    [out_dir] = run_dir.glob(f"evaluation-{drawn_dataset.name}-????????-validation")
    names = {"evaluation_validation.json", "evaluation_validation.html"}
    assert {path.name for path in out_dir.iterdir()} == names
    written = json.loads((out_dir / "evaluation_validation.json").read_text())
    assert written["model"]["kind"] == "run"
    assert "data:image/png" in (out_dir / "evaluation_validation.html").read_text()
    assert "AUROC" in caplog.text


def test_model_from_elsewhere_is_reported_in_a_dated_folder(
    tmp_path: Path, drawn_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy_model().save(tmp_path / "some.keras")
    monkeypatch.chdir(tmp_path)
    assert main(["--model", "some.keras", "--data", str(drawn_dataset), "--batch-size", "8"]) == 0
    [out_dir] = (tmp_path / "evaluations").iterdir()
    assert fnmatch(out_dir.name, f"????-??-??-some.keras-????????-{drawn_dataset.name}-????????-all")
    assert (out_dir / "evaluation_all.json").is_file()


def test_another_sensitivity_is_reported_in_a_folder_of_its_own(run_dir: Path, drawn_dataset: Path) -> None:
    words = ["--side", "train", "--sensitivity", "0.8"]
    assert main(["--model", str(run_dir), "--data", str(drawn_dataset), *words]) == 0
    [out_dir] = run_dir.glob("evaluation-*-train-sensitivity-0.8")
    assert (out_dir / "evaluation_train.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--side", "test"], "No X-ray of drawn is on the side 'test'"),
        (["--data", "/nowhere"], "There is no folder /nowhere"),
        (["--model", "/nowhere.keras"], "There is no model at /nowhere.keras"),
        (["--architecture", "custom"], "only for a weights file"),
    ],
)
def test_failure_is_one_sentence(
    run_dir: Path, drawn_dataset: Path, caplog: pytest.LogCaptureFixture, words: list[str], message: str
) -> None:
    assert main(["--model", str(run_dir), "--data", str(drawn_dataset), *words]) == 1
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert message in record.getMessage()


def test_unknown_option_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--model", "x", "--data", "y", "--colour", "red"])
    assert stopped.value.code == 2
