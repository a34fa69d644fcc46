from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.data.samples import Sample
from training.evaluation.assessment import assess, assess_calibration, assess_parts, curves
from training.evaluation.evaluation_plots import randomisation_plot
from training.evaluation.evaluation_report import estimate_text, summary_lines, write_evaluation_report
from training.evaluation.per_study import join_views, mura_table

STAGES = [
    {"shuffled": "nothing", "shuffles": 1, "median_correlation": 1.0, "low": 1.0, "high": 1.0},
    {"shuffled": "head", "shuffles": 20, "median_correlation": 0.25, "low": -0.5, "high": 0.75},
    {"shuffled": "everything", "shuffles": 0, "median_correlation": None, "low": None, "high": None},
]


def evaluation(**changes: Any) -> dict[str, Any]:
    """Return an evaluation of 40 X-rays of 20 wrist studies, half of them positive and most found."""
    labels = np.repeat([1, 0], 20).astype(np.float32)
    logits = np.where(np.arange(40) % 10 < 8, 2 * labels - 1, 0.5) + np.arange(40) / 100
    probabilities = 1 / (1 + np.exp(-logits))
    groups = np.arange(40) // 2
    samples = [
        Sample(str(i), Path(str(i)), bool(labels[i]), study=f"study {i // 2:02d}", body_parts=("wrist",))
        for i in range(40)
    ]
    studies = join_views(samples, probabilities, groups)
    content = {
        "created": "2026-01-01",
        "model": {"name": "toy", "kind": "run", "sha256": "0123456789abcdef", "size_px": 64},
        "data": {
            "name": "drawn",
            "layout": "MURA",
            "sha256": "fedcba9876543210",
            "positive": "abnormality",
            "remarks": ["A remark."],
        },
        "side": "test",
        "warnings": ["A warning with <b>."],
        "operating_point": {"threshold": 0.3, "target_sensitivity": 0.9, "source": "chosen somewhere"},
        "images": assess(labels, probabilities, groups, 0.3),
        "parts": assess_parts(samples, labels, probabilities, groups, 0.3),
        "studies": {
            "assessment": assess(studies.labels, studies.probabilities, studies.groups, 0.3),
            "mura": mura_table(studies),
        },
        "curves": curves(labels, probabilities),
        "calibration": assess_calibration(labels, logits, groups, None),
        "heatmaps": {
            "method": "grad-cam",
            "boxes": None,
            "randomisation": {"samples": 2, "stages": STAGES},
            "remarks": ["No boxes here."],
        },
        "unreadable": {
            "side": "test",
            "positive": 0,
            "normal": 1,
            "files": [{"image_id": "IMG1.jpg", "positive": False, "reason": "cut short"}],
        },
    }
    return {**content, **changes}


def page(folder: Path, content: dict[str, Any]) -> str:
    write_evaluation_report(folder / "report.html", content)
    return (folder / "report.html").read_text()


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page(tmp_path_factory.mktemp("report"), evaluation())


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        ({"value": 0.9199, "low": 0.86744, "high": 0.95}, "0.920 (0.867 to 0.950)"),
        ({"value": 1.0, "low": None, "high": None}, "1.000 (no interval)"),
        ({"value": None, "low": None, "high": None}, "none"),
    ],
)
def test_estimate_is_told_with_its_interval_where_there_is_one(
    estimate: dict[str, float | None], text: str
) -> None:
    assert estimate_text(estimate) == text


def test_summary_stands_first_with_its_warnings(html: str) -> None:
    summary = html[html.index("Summary") : html.index("At every threshold")]
    assert "40 X-rays of drawn (test side), 20 with an abnormality, in 20 groups." in summary
    assert "A warning with &lt;b&gt;." in summary
    assert "The operating threshold is 0.3, chosen somewhere." in summary
    assert "positive means abnormality" in summary


def test_what_holds_for_this_share_only_is_told(html: str) -> None:
    assert "50.0 % of these X-rays are positive." in html


def test_parts_are_told_with_their_groups(html: str) -> None:
    assert '<th scope="row">wrist</th><td>40</td><td>20</td><td>20</td>' in html


def test_shuffles_are_told_with_their_range(html: str) -> None:
    assert '<th scope="row">head</th><td>20</td><td>0.25 (-0.50 to 0.75)</td>' in html


def test_stage_in_which_nothing_was_measured_is_not_drawn() -> None:
    figure = randomisation_plot({"samples": 2, "stages": STAGES}).figure
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["nothing", "head"]


def test_mura_is_told_of_abnormalities_and_never_of_fractures_found(html: str) -> None:
    assert "with an abnormality" in html
    assert "with a fracture" not in html


def test_published_table_stands_beside_ours_with_what_differs(html: str) -> None:
    assert "not on these X-rays" in html
    assert "<td>0.931</td><td>0.791</td><td>0.931</td><td>0.931</td>" in html


def test_unreadable_files_are_listed_with_label_and_reason(html: str) -> None:
    assert '<th scope="row">IMG1.jpg</th><td>normal</td><td>cut short</td>' in html


def test_report_copes_with_all_that_may_be_missing(tmp_path: Path) -> None:
    bare = evaluation(
        operating_point=None,
        parts=[],
        studies=None,
        warnings=[],
        heatmaps={
            "method": "grad-cam",
            "boxes": None,
            "randomisation": None,
            "remarks": ["Nothing was judged."],
        },
        unreadable={"side": "test", "positive": 0, "normal": 0, "files": []},
    )
    text = page(tmp_path, bare)
    assert "Nothing was judged." in text
    assert "Every file could be read." in text
    assert "Whole studies" not in text
    assert "Body parts" not in text


def test_methods_stand_side_by_side_and_are_compared_with_chance(tmp_path: Path) -> None:
    def judged(value: float) -> dict[str, dict[str, float]]:
        names = ("pointing_game", "overlap", "energy")
        return {name: {"value": value + i / 100, "low": 0.1, "high": 0.9} for i, name in enumerate(names)}

    methods = {"grad-cam": judged(0.5), "layercam": judged(0.6)}
    boxes = {"samples": 8, "by_chance": 0.0625, "methods": methods}
    content = evaluation(
        heatmaps={"method": "layercam", "boxes": boxes, "randomisation": None, "remarks": []}
    )
    text = page(tmp_path, content)
    assert "8 X-rays with boxes that people drew" in text
    assert "a place chosen at random would in 0.062" in text
    for name, first in (("Grad-CAM", 0.5), ("LayerCAM", 0.6)):
        cells = "".join(f"<td>{first + i / 100:.3f} (0.100 to 0.900)</td>" for i in range(3))
        assert f'<th scope="row">{name}</th>{cells}' in text
    assert "heat maps are made by LayerCAM." in text
    assert "warmest place lies in a box     0.600 (0.100 to 0.900)" in summary_lines(content)


def test_terminal_shows_the_same_figures() -> None:
    content = evaluation()
    lines = summary_lines(content)
    assert f"AUROC                           {estimate_text(content['images']['auroc'])}" in lines
    assert lines[-1] == "Mind: A warning with <b>."
    kappa = content["studies"]["mura"][-1]["kappa"]
    assert f"Cohen's kappa by MURA's rule    {estimate_text(kappa)}" in lines


def test_terminal_shows_studies_of_other_data_at_one_half() -> None:
    content = evaluation()
    content["studies"]["mura"] = None
    kappa = content["studies"]["assessment"]["answers"][-1]["kappa"]
    assert f"Cohen's kappa by study, at 0.5  {estimate_text(kappa)}" in summary_lines(content)
