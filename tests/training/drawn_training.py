"""The training command on drawn X-rays, in the tests' process or in one of its own."""

from __future__ import annotations

import csv
import io
import logging
import subprocess
import sys
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT
from training import train

OPTIONS = ["--image-size", "32", "--epochs", "4", "--batch_size", "8", "--seed", "1", "--model", "custom"]


@dataclass
class Done:
    """How a command ended, and all that it said."""

    returncode: int
    said: str


@dataclass(frozen=True)
class Training:
    """The training of a small network; from given weights it goes in stages, as those of large ones do."""

    data_dir: Path
    weights: str

    def options(self, run_dir: Path, *more: str) -> list[str]:
        return [
            "--data",
            str(self.data_dir),
            "--out",
            str(run_dir),
            "--weights",
            self.weights,
            *OPTIONS,
            *more,
        ]

    def command(self, run_dir: Path, *more: str) -> list[str]:
        """Return the command for a process of its own."""
        return [sys.executable, "-m", "training.train", *self.options(run_dir, *more)]

    def run(self, run_dir: Path, *more: str) -> Done:
        """Run the command in this process, where TensorFlow is loaded already."""
        said, root = io.StringIO(), logging.getLogger()
        handler, level = logging.StreamHandler(said), root.level
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        try:
            with redirect_stderr(said):
                returncode = train.main(self.options(run_dir, *more))
        except SystemExit as stopped:
            returncode = int(stopped.code or 0)
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
        return Done(returncode, said.getvalue())


def run_apart(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
