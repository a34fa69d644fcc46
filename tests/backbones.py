"""Networks that are built once for all tests of a process; for tests that change nothing in them."""

from __future__ import annotations

from functools import cache

from training.networks.architectures import build_model

built = cache(build_model)
