"""The plots of an evaluation, drawn from its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from training.evaluation.html_report import BLUE, GREEN, GREY, PURPLE, VERMILION, Plot, new_axes

_MARKERS = (("o", VERMILION), ("s", PURPLE))
_LOWEST_BENEFIT = -0.05


def roc_plot(evaluation: Mapping[str, Any]) -> Plot:
    """Draw the ROC curve with the points where answers are given."""
    images, curve = evaluation["images"], evaluation["curves"]["roc"]
    figure, axes = new_axes("ROC curve", "1 - specificity", "sensitivity")
    axes.plot(curve["false_positive_rate"], curve["sensitivity"], color=BLUE)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance")
    for (marker, colour), answer in zip(_MARKERS, images["answers"], strict=False):
        false_positive_rate = 1 - answer["specificity"]["value"]
        axes.plot(
            false_positive_rate,
            answer["sensitivity"]["value"],
            marker,
            color=colour,
            label=_threshold_name(answer),
        )
    _square(axes)
    area = images["auroc"]["value"]
    return Plot(figure, f"Sensitivity against false alarms at every threshold; the area is {area:.3f}.")


def precision_recall_plot(evaluation: Mapping[str, Any]) -> Plot:
    """Draw the precision-recall curve with the points where answers are given."""
    images, curve = evaluation["images"], evaluation["curves"]["precision_recall"]
    figure, axes = new_axes("Precision and recall", "recall (sensitivity)", "precision")
    axes.plot(curve["recall"], curve["precision"], color=BLUE, drawstyle="steps-post")
    share = images["positive"] / images["samples"]
    axes.axhline(share, color=GREY, linestyle=":", label="chance")
    for (marker, colour), answer in zip(_MARKERS, images["answers"], strict=False):
        if answer["precision"]["value"] is not None:
            axes.plot(
                answer["sensitivity"]["value"],
                answer["precision"]["value"],
                marker,
                color=colour,
                label=_threshold_name(answer),
            )
    _square(axes)
    precision = images["average_precision"]["value"]
    return Plot(
        figure,
        f"How many flagged X-rays are right against how many are found; average precision {precision:.3f}.",
    )


def parts_plot(parts: Sequence[Mapping[str, Any]]) -> Plot:
    """Draw the AUROC of each body part, and with and without hardware, with its interval."""
    measured = [part for part in parts if part["auroc"]["value"] is not None][::-1]
    height_in = 1.3 + 0.35 * len(measured)
    figure, axes = new_axes("AUROC by part", "AUROC with 95 % interval", "", height_in=height_in)
    for row, part in enumerate(measured):
        area = part["auroc"]
        if area["low"] is not None:
            axes.plot([area["low"], area["high"]], [row, row], color=BLUE, linewidth=2)
        axes.plot(area["value"], row, "o", color=BLUE)
    names = [f"{part['name']} ({part['positive']} of {part['samples']})" for part in measured]
    axes.set_yticks(range(len(measured)), names, parse_math=False)
    axes.axvline(0.5, color=GREY, linestyle=":")
    axes.set_ylim(-0.6, len(measured) - 0.4)
    axes.set_xlim(right=1.02)
    return Plot(
        figure,
        "In brackets, how many X-rays are positive. A part with one class has no AUROC and is not drawn; "
        "the dotted line is chance.",
    )


def reliability_plot(calibration: Mapping[str, Any]) -> Plot:
    """Draw the observed share of the positive against the mean probability of each bin."""
    bins = calibration["bins"]
    figure, axes = new_axes("Reliability", "mean probability in the bin", "observed share")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfect")
    axes.plot(
        [bin_["probability"] for bin_ in bins],
        [bin_["observed"]["value"] for bin_ in bins],
        "o-",
        color=BLUE,
        label="model",
    )
    for bin_ in bins:
        if bin_["observed"]["low"] is not None:
            observed = bin_["observed"]
            axes.plot([bin_["probability"]] * 2, [observed["low"], observed["high"]], color=BLUE, alpha=0.5)
    _square(axes)
    return Plot(
        figure,
        f"{len(bins)} bins of nearly equal size. On the dotted line, probabilities can be taken at their "
        "word.",
    )


def decision_plot(evaluation: Mapping[str, Any]) -> Plot:
    """Draw the net benefit of the model against flagging everybody and nobody."""
    curve, point = evaluation["curves"]["decision"], evaluation["operating_point"]
    figure, axes = new_axes("Decision curve", "threshold probability", "net benefit")
    axes.plot(curve["threshold"], curve["model"], color=BLUE, label="model")
    axes.plot(curve["threshold"], curve["treat_all"], color=GREEN, linestyle="--", label="flag all")
    axes.axhline(0, color=GREY, linestyle=":", label="flag none")
    if point:
        axes.axvline(
            point["threshold"], color=VERMILION, linewidth=1, label=f"threshold {point['threshold']:.3f}"
        )
    axes.set_ylim(_LOWEST_BENEFIT, 1.6 * max(*curve["model"], *curve["treat_all"], -_LOWEST_BENEFIT))
    axes.legend(loc="upper right", frameon=False)
    return Plot(
        figure,
        "Found X-rays less false alarms, weighed at the odds of each threshold, as a share of all X-rays. "
        "The model helps where its line is the highest.",
    )


def randomisation_plot(check: Mapping[str, Any]) -> Plot:
    """Draw how alike heat maps stay while the model forgets."""
    stages = [stage for stage in check["stages"] if stage["shuffles"]]
    figure, axes = new_axes("Do the maps depend on the model?", "shuffled weights", "rank correlation")
    values = [stage["median_correlation"] for stage in stages]
    axes.bar(range(len(stages)), values, color=GREEN, width=0.6)
    axes.vlines(
        range(len(stages)),
        [stage["low"] for stage in stages],
        [stage["high"] for stage in stages],
        color=GREY,
    )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(
        range(len(stages)), [stage["shuffled"].replace("head and ", "head and\n") for stage in stages]
    )
    axes.set_ylim(-1, 1.05)
    return Plot(
        figure,
        f"Rank correlation with the model's own maps on {check['samples']} X-rays: the median of the "
        "shuffles, and their range as a line. It should fall from 1 towards 0. A stage that leaves no map "
        "is not drawn.",
    )


def _threshold_name(answer: Mapping[str, Any]) -> str:
    return f"threshold {answer['threshold']:.3f}"


def _square(axes: Axes) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.legend(frameon=False)
