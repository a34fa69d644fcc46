"""Resolve pyproject.toml into requirements files with hashes, for developers and for the clinic's PCs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from installer.recipe import LOCKS_DIR, PYTHON, TARGETS, Target

OLDEST_PYTHON = "3.11"
PROJECT = "pyproject.toml"
LOCKS = {
    "requirements-edge.txt": [PROJECT],
    "requirements-train.txt": [PROJECT, "--extra", "train", "--extra", "test", "--extra", "installer"],
    "requirements-train-cuda.txt": [PROJECT, "--extra", "cuda"],
    "requirements-bench.txt": [PROJECT, "--extra", "bench"],
    "requirements-audit.txt": ["--group", "audit"],
}


def main(options: list[str]) -> int:
    """Write every file anew; what is locked keeps its version, unless uv is told to `--upgrade`."""
    for name, asked in LOCKS.items():
        compile_lock(Path(name), [*asked, "--universal", "--python-version", OLDEST_PYTHON, *options])
    for target in TARGETS:
        compile_lock(target.lock, [*clinic_options(target), *options])
    return 0


def clinic_options(target: Target) -> list[str]:
    """Return how a clinic's lock differs from what pyproject.toml says for everybody."""
    extra = [str(path) for path in [LOCKS_DIR / f"{target.system}.in"] if path.exists()]
    overrides = [LOCKS_DIR / f"{kind}.override.txt" for kind in (target.device, target.system)]
    given = [word for path in overrides if path.exists() for word in ("--override", str(path))]
    return [PROJECT, *extra, *given, "--python-platform", target.platform, "--python-version", PYTHON]


def compile_lock(path: Path, options: list[str]) -> None:
    """Run uv once."""
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", *options),
        *("--generate-hashes", "--no-emit-index-url", "--no-annotate", "--quiet"),
        *("--output-file", str(path), "--custom-compile-command", "make lock"),
    ]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
