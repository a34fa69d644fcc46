"""What a training was asked to do."""

from __future__ import annotations

from dataclasses import dataclass

# The keys of `networks.architectures.BACKBONES`, told without TensorFlow.
ARCHITECTURES = ("custom", "vgg16", "resnet50", "densenet121", "mobilenetv2", "efficientnet_lite0")
BALANCES = ("none", "class", "part")
LEAKS = ("stop", "leave_out")
STRATEGIES = ("auto", "mirrored", "multi_worker")
# X-rays at once, where nobody says otherwise.
BATCH_SIZE = 32
# Keras' dtype policies.
FLOAT32, MIXED = "float32", "mixed_bfloat16"
# Of the loss on fracture boxes.
CELL_LOSS_WEIGHT = 3.0

# Raise it when the same settings no longer continue a run that earlier code began.
RUN_FORMAT = 4


@dataclass(frozen=True)
class Config:
    """Everything that a run's result depends on; `dataset_sha256` tells the data's version.

    `localisation` is the weight of the loss on fracture boxes, `patience` the epochs without a better
    validation AUROC after which training ends, `precision` a Keras dtype policy. `hold_out_test` asks for a
    test side where the data have none, `split_sha256` tells the earlier split that is used again.
    """

    model: str
    weights: str
    image_size: int
    epochs: int
    batch_size: int
    learning_rate: float
    dropout: float
    localisation: float
    balance: str
    patience: int
    precision: str
    leaks: str
    hold_out_test: bool
    split_sha256: str
    seed: int
    dataset: str
    dataset_sha256: str
    run_format: int = RUN_FORMAT
