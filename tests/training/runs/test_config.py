from __future__ import annotations

from training.networks.architectures import BACKBONES
from training.runs.config import ARCHITECTURES


def test_every_architecture_can_be_named_without_tensorflow() -> None:
    assert tuple(BACKBONES) == ARCHITECTURES
