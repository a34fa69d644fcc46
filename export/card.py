"""The model card: what a bundle's manifest says, for people."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from typing import Any

CARD = "MODEL_CARD.md"

_TEMPLATE = Template("""\
# Model card: $name $version

**Assistive tool, not a diagnosis.** It has not been tried on patients, and no authority has cleared it.

## What it is for
It tells whether an X-ray ($body_parts) is suspected to show a finding ($finding), how probable that is,
and which places of the picture spoke most for it. It supports a person who can judge the patient; it
replaces nobody.

It is not for other body parts, other findings, other kinds of pictures, or for deciding that there is
none. Nothing in it notices that a picture is no X-ray.

## How good it is
Measured on $samples validation X-rays, $fractured of them positive ($finding), in $groups groups, with 95 %
intervals from a bootstrap over whole groups. Groups are $grouping.

| measure | value | 95 % interval |
|---|---|---|
| AUROC | $auroc | $auroc_interval |
| sensitivity at the threshold | $sensitivity | $sensitivity_interval |
| specificity at the threshold | $specificity | $specificity_interval |
$pointing
The finding is reported from a probability of $threshold up. That threshold was chosen on these same
validation X-rays for a sensitivity of $target. So were the best epoch and the calibration (Platt
scaling, folded into the last layer), and the intervals leave these choices out; with few groups they are
somewhat too narrow as well. Expect less on new X-rays from the same hospitals, and perhaps much less on
X-rays from elsewhere.

Probabilities fit a population in which $prevalence of the X-rays show the finding, as in the validation
data. Where it is rarer or more frequent, they are too high or too low.

## How it was made
- Architecture: $architecture on $size_px x $size_px grey pictures; a map of evidence on a grid
  of 16 pixels; its log-sum-exp gives the logit.
- Data: $dataset. $citation. Licence: $data_licence.
- Split: $counts. Groups stay together; what is nearly the same as an X-ray that is held out is left out
  of training.
- Start: $weights. Licence: $weights_licence.
- Settings: $settings. Code: commit $commit.
- Explanation: exact Grad-CAM. The gradient of the logit is part of the exported graph. ONNX Runtime
  against Keras and TensorFlow, largest differences: $parity (the gradient's as a share of its largest
  value).

## Limits that are known
$limits
- The heat map shows what moved the score, on a coarse grid. Grad-CAM can miss small findings (Saporta et
  al., Nature Machine Intelligence 2022).

## Licences
The data's licence ($data_licence) asks what it asks of whoever passes the model on: for CC BY 4.0, keep the
attribution above.
""")


def model_card(description: Mapping[str, Any]) -> str:
    """Write the model card.

    Args:
        description: The manifest, with or without `files`.

    Returns:
        Markdown.
    """
    validation, point = description["validation"], description["operating_point"]
    training = description["training"]
    dataset, weights = training["dataset"], training["weights"]
    return _TEMPLATE.substitute(
        name=description["name"],
        version=description["version"],
        samples=validation["samples"],
        fractured=validation["fractured"],
        groups=validation["groups"],
        auroc=_value(validation["auroc"]),
        auroc_interval=_interval(validation["auroc"]),
        sensitivity=_value(point["sensitivity"]),
        sensitivity_interval=_interval(point["sensitivity"]),
        specificity=_value(point["specificity"]),
        specificity_interval=_interval(point["specificity"]),
        pointing=_pointing(validation["pointing_game"]),
        finding=dataset["finding"],
        grouping=dataset["groups"],
        threshold=f"{point['threshold']:.3f}",
        target=f"{point['target_sensitivity']:.2f}",
        prevalence=f"{100 * validation['fractured'] / validation['samples']:.0f} %",
        architecture=description["architecture"],
        size_px=description["input"]["size_px"],
        body_parts=", ".join(dataset["body_parts"]),
        limits="\n".join(f"- {limit}" for limit in dataset["limits"]),
        dataset=dataset["name"],
        citation=dataset["citation"],
        data_licence=dataset["licence"],
        counts=", ".join(f"{count} {side}" for side, count in training["sides"].items()),
        weights=weights["source"],
        weights_licence=weights["licence"],
        settings=", ".join(f"{key} {value}" for key, value in training["settings"].items()),
        commit=training["commit"],
        parity=", ".join(f"{d['tensor']} {d['value']:.1g}" for d in description["parity"]),
    )


def _value(measured: Mapping[str, float]) -> str:
    return f"{measured['value']:.3f}"


def _interval(measured: Mapping[str, float | None]) -> str:
    if measured["low"] is None:
        return "not known: nothing varied"
    return f"{measured['low']:.3f} to {measured['high']:.3f}"


def _pointing(measured: Mapping[str, float] | None) -> str:
    if measured is None:
        return "\nWhether the heat map's peak lies on the finding is not known: the data hold no boxes.\n"
    return f"| peak of the heat map inside a box | {_value(measured)} | {_interval(measured)} |\n"
