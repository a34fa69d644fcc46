"""An evaluation's JSON as a report for people, and as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from training.evaluation import evaluation_plots as plots
from training.evaluation.html_report import Section, Table, write_report
from training.evaluation.metrics import BINS, BOOTSTRAP_ROUNDS

Evaluation = Mapping[str, Any]
_NO_VALUE = "none"
_RANKING = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "calibration_error": "calibration error",
}
_ANSWERS = {
    "sensitivity": "sensitivity (recall)",
    "specificity": "specificity",
    "precision": "precision",
    "accuracy": "accuracy",
    "f1": "F1",
    "kappa": "Cohen's kappa",
}
_METHODS = {
    "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
}
_FACTS = {
    "pointing_game": "pointing game",
    "overlap": "overlap of the warm half with the boxes",
    "energy": "share of the map inside the boxes",
}
_WITH = {"fracture": "with a fracture", "abnormality": "with an abnormality"}


def write_evaluation_report(path: Path, evaluation: Evaluation) -> None:
    """Write the HTML report; it holds plots and figures, and no picture of a patient.

    Args:
        path: The HTML file.
        evaluation: What `evaluate` returned.
    """
    data = evaluation["data"]
    title = f"Evaluation of {evaluation['model']['name']}"
    subtitle = f"{evaluation['created']}: {data['name']} ({data['layout']}), {_side(evaluation)}"
    write_report(path, title, subtitle, list(_sections(evaluation)))


def summary_lines(evaluation: Evaluation) -> list[str]:
    """Tell the main figures in lines for a terminal, warnings last."""
    images = evaluation["images"]
    rows = [(name, estimate_text(images[key])) for key, name in _RANKING.items()]
    for answer in images["answers"]:
        rows.append((f"{answer['at']} ({answer['threshold']:.4g})", ""))
        rows += [(f"  {name}", estimate_text(answer[key])) for key, name in _ANSWERS.items()]
    studies = evaluation["studies"]
    if studies and studies["mura"]:
        rows.append(("Cohen's kappa by MURA's rule", estimate_text(studies["mura"][-1]["kappa"])))
    elif studies:
        kappa = studies["assessment"]["answers"][-1]["kappa"]
        rows.append(("Cohen's kappa by study, at 0.5", estimate_text(kappa)))
    heatmaps = evaluation["heatmaps"]
    if heatmaps["boxes"]:
        shown = heatmaps["boxes"]["methods"][heatmaps["method"]]
        rows.append(("warmest place lies in a box", estimate_text(shown["pointing_game"])))
    lines = [_counts_text(evaluation)]
    lines += [f"{name:<32}{value}".rstrip() for name, value in rows]
    return lines + [f"Mind: {warning}" for warning in evaluation["warnings"]]


def estimate_text(estimate: Mapping[str, float | None]) -> str:
    """Return a value with its 95 % interval as text.

    >>> estimate_text({"value": 0.92, "low": 0.867, "high": 0.954})
    '0.920 (0.867 to 0.954)'
    """
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None:
        return _NO_VALUE
    return f"{value:.3f} (no interval)" if low is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _sections(evaluation: Evaluation) -> Iterator[Section]:
    yield _summary(evaluation)
    yield Section(
        "At every threshold", plots=[plots.roc_plot(evaluation), plots.precision_recall_plot(evaluation)]
    )
    if evaluation["parts"]:
        yield _parts(evaluation)
    if evaluation["studies"]:
        yield _studies(evaluation)
    yield _calibration(evaluation["calibration"])
    yield Section(
        "Is it of use?",
        [
            "A person who acts from a probability of 10 % on accepts nine false alarms for one found. At "
            "each such threshold, the net benefit weighs what is found against false alarms (Vickers and "
            "Elkin, 2006)."
        ],
        plots=[plots.decision_plot(evaluation)],
    )
    yield _heatmaps(evaluation)
    yield _not_judged(evaluation)
    yield _method(evaluation)


def _summary(evaluation: Evaluation) -> Section:
    images, point, data = evaluation["images"], evaluation["operating_point"], evaluation["data"]
    model = evaluation["model"]
    text = [
        _counts_text(evaluation),
        f"The model ({model['kind']}) takes pictures of {model['size_px']} pixels; its SHA-256 begins with "
        f"{model['sha256'][:12]}. The data set has the {data['layout']} layout, its SHA-256 begins with "
        f"{data['sha256'][:12]}; positive means {data['positive']}.",
    ]
    if point:
        text.append(f"The operating threshold is {point['threshold']:.4g}, {point['source']}.")
    text.append(
        f"{100 * images['positive'] / images['samples']:.1f} % of these X-rays are positive. Average "
        "precision, precision, accuracy, F1, kappa, Brier score, calibration and net benefit hold for that "
        "share only."
    )
    answers = images["answers"]
    return Section(
        "Summary",
        text,
        [
            Table(
                "How well scores rank, and how far probabilities can be believed",
                ["measure", "value with 95 % interval"],
                [[name, estimate_text(images[key])] for key, name in _RANKING.items()],
            ),
            Table(
                "Answers at a threshold, with 95 % intervals",
                ["measure", *(f"{answer['at']} ({answer['threshold']:.4g})" for answer in answers)],
                [
                    [name, *(estimate_text(answer[key]) for answer in answers)]
                    for key, name in _ANSWERS.items()
                ],
            ),
            *(_confusion(answer, data["positive"]) for answer in answers),
        ],
        warnings=evaluation["warnings"],
    )


def _confusion(answer: Mapping[str, Any], positive: str) -> Table:
    counts = answer["confusion"]
    return Table(
        f"Confusion matrix at {answer['threshold']:.4g} ({answer['at']})",
        ["", "flagged", "not flagged"],
        [
            [_WITH[positive], str(counts["true_positive"]), str(counts["false_negative"])],
            ["normal", str(counts["false_positive"]), str(counts["true_negative"])],
        ],
    )


def _parts(evaluation: Evaluation) -> Section:
    at = evaluation["images"]["answers"][0]["threshold"]
    rows = [
        [
            f"{part['name']} ({part['remark']})" if part["remark"] else part["name"],
            str(part["samples"]),
            str(part["positive"]),
            str(part["groups"]),
            estimate_text(part["auroc"]),
            estimate_text(part["sensitivity"]),
            estimate_text(part["specificity"]),
        ]
        for part in evaluation["parts"]
    ]
    columns = ["", "X-rays", "positive", "groups", "AUROC", "sensitivity", "specificity"]
    text = ["An X-ray that shows several parts counts for each."]
    if any("hardware" in part["name"] for part in evaluation["parts"]):
        text.append(
            "A model that is much worse without hardware may have learned plates and screws instead of "
            "what they mend."
        )
    return Section(
        "Body parts and hardware",
        text,
        [Table(f"Sensitivity and specificity at the threshold {at:.4g}", columns, rows)],
        [plots.parts_plot(evaluation["parts"])],
    )


def _studies(evaluation: Evaluation) -> Section:
    studies = evaluation["studies"]
    assessment = studies["assessment"]
    answers = assessment["answers"]
    tables = [
        Table(
            f"{assessment['samples']} studies, {assessment['positive']} of them positive, AUROC "
            f"{estimate_text(assessment['auroc'])}",
            ["measure", *(f"{answer['at']} ({answer['threshold']:.4g})" for answer in answers)],
            [[name, *(estimate_text(answer[key]) for answer in answers)] for key, name in _ANSWERS.items()],
        )
    ]
    text = [
        "The probability of a study is the mean of its views' probabilities. The operating threshold was "
        "chosen for single views, so studies answered at it may reach another sensitivity."
    ]
    if studies["mura"]:
        text.append(
            "MURA's paper (Rajpurkar et al., arXiv 1712.06957, table 2) calls a study abnormal when its "
            "probability is above 0.5, and measures Cohen's kappa. Its figures stand beside ours, but they "
            "were measured on its hidden test set of 207 studies, labelled by a vote of radiologists, and "
            "not on these X-rays. The label is any abnormality, not only a fracture."
        )
        tables.append(_mura(studies["mura"]))
    return Section("Whole studies", text, tables)


def _mura(rows: list[Mapping[str, Any]]) -> Table:
    radiologists = [f"radiologist {number}" for number in (1, 2, 3)]
    return Table(
        "Cohen's kappa by MURA's rule; the last four columns are the paper's, on other X-rays",
        ["", "studies", "positive", "this model", "paper's model", *radiologists],
        [
            [
                row["part"],
                str(row["studies"]),
                str(row["positive"]),
                estimate_text(row["kappa"]),
                f"{row['published_model']:.3f}",
                *(f"{kappa:.3f}" for kappa in row["published_radiologists"]),
            ]
            for row in rows
        ],
    )


def _calibration(calibration: Mapping[str, Any]) -> Section:
    rows = [
        [item["name"], estimate_text(item["calibration_error"]), estimate_text(item["brier"])]
        for item in calibration["calibrations"]
    ]
    refitted = (
        "Temperature scaling and isotonic regression were fitted on validation X-rays and judged here."
        if len(rows) > 1
        else "No other calibration was tried: there are no validation X-rays besides those judged here."
    )
    return Section(
        "Can probabilities be taken at their word?",
        [refitted],
        [Table("Lower is better", ["calibration", "calibration error", "Brier score"], rows)],
        [plots.reliability_plot(calibration)],
    )


def _heatmaps(evaluation: Evaluation) -> Section:
    heatmaps = evaluation["heatmaps"]
    boxes, check = heatmaps["boxes"], heatmaps["randomisation"]
    tables = []
    if boxes:
        tables.append(_boxes(boxes))
    if check:
        rows = [
            [stage["shuffled"], str(stage["shuffles"]), _correlation_text(stage)]
            for stage in check["stages"]
        ]
        caption = (
            f"Weight randomisation (Adebayo et al., 2018) on {check['samples']} X-rays; nothing shuffled "
            "is the control"
        )
        columns = ["shuffled weights", "shuffles", "rank correlation (lowest to highest)"]
        tables.append(Table(caption, columns, rows))
    return Section(
        "Do heat maps show where?",
        [
            f"This model's heat maps are made by {_METHODS[heatmaps['method']]}.",
            *heatmaps["remarks"],
        ],
        tables,
        [plots.randomisation_plot(check)] if check else [],
    )


def _boxes(boxes: Mapping[str, Any]) -> Table:
    rows = [
        [_METHODS[method], *(estimate_text(found[fact]) for fact in _FACTS)]
        for method, found in boxes["methods"].items()
    ]
    return Table(
        f"{boxes['samples']} X-rays with boxes that people drew. The pointing game counts how often the "
        f"warmest place lies in a box; a place chosen at random would in {boxes['by_chance']:.3f}",
        ["", *_FACTS.values()],
        rows,
    )


def _not_judged(evaluation: Evaluation) -> Section:
    unreadable = evaluation["unreadable"]
    tables = []
    if unreadable["files"]:
        rows = [
            [file["image_id"], "positive" if file["positive"] else "normal", file["reason"]]
            for file in unreadable["files"]
        ]
        tables.append(Table("Files that cannot be read", ["file", "label", "reason"], rows, numbers=False))
    return Section("What was not judged", [_unreadable_text(unreadable)], tables)


def _method(evaluation: Evaluation) -> Section:
    return Section(
        "How this was measured",
        [
            f"The intervals hold the middle 95 % of {BOOTSTRAP_ROUNDS:,} bootstrap rounds. Each round "
            "draws whole groups (patients, where they are known): X-rays of one group are not independent. "
            "Where the rounds do not differ, as when every answer is right, there is no interval to give.",
            "An X-ray is flagged when its probability is at the threshold or above. The calibration error "
            f"is the mean gap between probability and observed share over {BINS} bins of nearly equal "
            "size. It has no interval: chance alone makes gaps, so bootstrap rounds show greater ones than "
            "these X-rays do.",
            *evaluation["data"]["remarks"],
        ],
    )


def _counts_text(evaluation: Evaluation) -> str:
    images, positive = evaluation["images"], evaluation["data"]["positive"]
    return (
        f"{images['samples']} X-rays of {evaluation['data']['name']} ({_side(evaluation)}), "
        f"{images['positive']} {_WITH[positive]}, in {images['groups']} groups."
    )


def _unreadable_text(unreadable: Mapping[str, Any]) -> str:
    if not unreadable["files"]:
        return "Every file could be read."
    return (
        f"Files that cannot be read ({_side(unreadable)}): {unreadable['positive']} labelled positive, "
        f"{unreadable['normal']} labelled normal. The clinic's app refuses them too."
    )


def _side(told: Mapping[str, Any]) -> str:
    return "all X-rays" if told["side"] == "all" else f"{told['side']} side"


def _correlation_text(stage: Mapping[str, Any]) -> str:
    median, low, high = stage["median_correlation"], stage["low"], stage["high"]
    return _NO_VALUE if median is None else f"{median:.2f} ({low:.2f} to {high:.2f})"
