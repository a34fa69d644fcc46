"""What several test files share."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from edge_app.imaging.images import encode_png
from edge_app.predictor import Predictor
from export.proof.drawn import draw_xray
from tests.drawn_dataset import write_drawn_dataset
from tests.toy import write_toy_bundle

# Tests are not timed: a machine may be busy.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_BUNDLE = ROOT / "models" / "default"

# A port that a test lets go of must be free still when its program asks for it: the system gives programs
# that ask for any port one from 32768 on (Linux) or 49152 on (Windows).
NEVER_GIVEN_OUT = range(20000, 32768)
# Two workers that share the files out begin with these, so that neither is left with a long one at the end.
LONGEST = (
    "installer/test_linux.py",
    "export/test_every_architecture.py",
    "training/test_resume.py",
    "training/test_notebooks.py",
    "training/test_workers.py",
    "training/test_train.py",
    "training/test_cross_validate.py",
    "test_default_model.py",
    "training/networks/test_architectures.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, and leave the others in their order."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def require(program: str, package: str | None = None) -> str:
    """Return the path of a program that a test drives, or skip the test; where CI is set, fail it.

    Args:
        program: Its name on the PATH.
        package: The Debian package that brings it, where that has another name; named in .ci/packages.
    """
    path = shutil.which(program)
    if path is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up(f"{program} is not installed: apt install {package or program}")
    return path


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_bundle(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="session")
def toy_predictor(toy_bundle: Path) -> Predictor:
    return Predictor(toy_bundle, device="cpu")


@pytest.fixture(scope="session")
def default_predictor() -> Predictor:
    return Predictor(DEFAULT_BUNDLE, device="cpu")


@pytest.fixture(scope="session")
def white_png() -> bytes:
    return encode_png(np.full((40, 60), 255, np.uint8))


@pytest.fixture(scope="session")
def drawn_png() -> bytes:
    return encode_png(draw_xray(1, fractured=True))


@pytest.fixture(scope="session")
def xray_dir() -> Path:
    """Return the real X-rays in the FracAtlas layout, or skip."""
    path = Path(os.environ.get("FRACTURE_DATA", ROOT.parent / "shared" / "data" / "fracatlas"))
    if not (path / "dataset.csv").is_file():
        pytest.skip(f"no real X-rays at {path}; set FRACTURE_DATA to a folder in the FracAtlas layout")
    return path


@pytest.fixture
def free_ports() -> tuple[int, int]:
    """Return two ports that nobody listens on, and that no other program is given meanwhile."""
    generator, free = secrets.SystemRandom(), set[int]()
    while len(free) < 2:
        port = generator.choice(NEVER_GIVEN_OUT)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            free.add(port)
    first, second = free
    return first, second


@pytest.fixture(scope="session")
def drawn_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_drawn_dataset(tmp_path_factory.mktemp("data") / "drawn")
