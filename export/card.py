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
It tells whether a radiograph of a hand, leg, hip or shoulder is suspected to show a fracture, how
probable that is, and which places of the picture spoke most for it. It supports a person who can judge
the patient; it replaces nobody.

It is not for other body parts, other findings, other kinds of pictures, or for deciding that a fracture
is absent. Nothing in it notices that a picture is no X-ray.

## How good it is
Measured on $samples validation X-rays ($fractured fractured) in $groups blocks of consecutive image
numbers, with 95 % intervals from a bootstrap over whole blocks:

| measure | value | 95 % interval |
|---|---|---|
| AUROC | $auroc | $auroc_interval |
| sensitivity at the threshold | $sensitivity | $sensitivity_interval |
| specificity at the threshold | $specificity | $specificity_interval |

A fracture is reported from a probability of $threshold up. That threshold was chosen on these same
validation X-rays for a sensitivity of $target. So were the best epoch and the calibration (Platt
scaling, folded into the last layer). The figures are therefore somewhat better than on new X-rays from
the same hospitals, and may be much better than on X-rays from elsewhere.

Probabilities fit a population in which $prevalence of the X-rays show a fracture, as in the validation
data. Where fractures are rarer or more frequent, they are too high or too low.

## How it was made
- Architecture: $architecture on $size_px x $size_px grey pictures; global average pooling, one logit.
- Data: $dataset. $citation. Licence: $data_licence.
- Split: $counts. Blocks of consecutive numbers stay together, since neighbours are often the same
  patient; duplicates of validation X-rays, and their neighbours across the edge of a block, are left out
  of training.
- Start: $weights. Licence: $weights_licence.
- Settings: $settings. Code: commit $commit.
- Explanation: exact Grad-CAM. The gradient of the logit is part of the exported graph. ONNX Runtime
  against Keras and TensorFlow: $parity.

## Limits that are known
- No patient is identified in the data, so some patient may still stand on both sides of the split.
- Truncated pictures are refused, in training too; in the data all of them were labelled normal.
- Nearly all data X-rays with screws or plates are fractured, and casts are visible: the model may have
  learned hardware and casts instead of fractures. This has not been measured yet.
- Most data X-rays measure 373 x 454 pixels: hairline fractures can be invisible to it.
- Adults and children are mixed, from three hospitals in Bangladesh; nothing was measured by age or sex.
- The heat map shows what moved the score, on a coarse grid. It can miss small findings, and how often its
  peak lies on the fracture has not been measured yet.

## Licences
The weights were trained on CC BY 4.0 data; whoever passes the model on must keep the attribution above.
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
        threshold=f"{point['threshold']:.3f}",
        target=f"{point['target_sensitivity']:.2f}",
        prevalence=f"{100 * validation['fractured'] / validation['samples']:.0f} %",
        architecture=description["architecture"],
        size_px=description["input"]["size_px"],
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


def _interval(measured: Mapping[str, float]) -> str:
    return f"{measured['low']:.3f} to {measured['high']:.3f}"
