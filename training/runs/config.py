"""What a training was asked to do."""

from __future__ import annotations

from dataclasses import dataclass

# The keys of `networks.architectures.BACKBONES`, told without TensorFlow.
ARCHITECTURES = (
    "custom",
    "vgg16",
    "resnet50",
    "densenet121",
    "mobilenetv2",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
)
BALANCES = ("none", "class", "part")
LEAKS = ("stop", "leave_out")
# Whether pretrained weights learn in stages.
SCHEDULES = ("stages", "at_once")
# Which epoch's weights are the result: where it is the last one, validation chooses none.
BEST, LAST = "best", "last"
KEPT_EPOCHS = (BEST, LAST)
STRATEGIES = ("auto", "mirrored", "multi_worker")
# X-rays at once, where nobody says otherwise.
BATCH_SIZE = 32
# Keras' dtype policies.
FLOAT32, MIXED = "float32", "mixed_bfloat16"
PATIENCE = 10
# Of the loss on fracture boxes.
CELL_LOSS_WEIGHT = 2.0

# Raise it when the same settings no longer continue a run that earlier code began.
RUN_FORMAT = 6


@dataclass(frozen=True)
class Config:
    """Everything that a run's result depends on; `dataset_sha256` tells the data's version.

    `members` networks begin alike and learn from the X-rays in different orders; the result has the mean of
    their weights.

    `epoch_size` X-rays, of which the share `fractured_share` is fractured, make an epoch; 0 for each X-ray
    once. `window` is the side in pixels of what a training step sees of each, 0 for the whole square, and
    `zoom` the share that is zoomed into; `smoothing` how far labels are moved towards one half,
    `localisation` the weight of the loss on fracture boxes, `averaging` how much of the averaged weights a
    step keeps. `schedule` is "stages" or "at_once"; layers up to the stride `frozen_stride` do not learn.

    `keep` is one of `KEPT_EPOCHS`. `patience` is the epochs without a better validation AUROC after which
    training ends, `precision` a Keras dtype policy. `hold_out_test` asks for a test side where the data
    have none, `split_sha256` tells the earlier split that is used again.
    """

    model: str
    weights: str
    image_size: int
    epochs: int
    members: int
    batch_size: int
    learning_rate: float
    dropout: float
    epoch_size: int
    fractured_share: float
    window: int
    zoom: float
    smoothing: float
    localisation: float
    averaging: float
    schedule: str
    frozen_stride: int
    balance: str
    keep: str
    patience: int
    precision: str
    leaks: str
    hold_out_test: bool
    split_sha256: str
    seed: int
    dataset: str
    dataset_sha256: str
    run_format: int = RUN_FORMAT
