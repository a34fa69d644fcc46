"""Resolve pyproject.toml into the requirements files, with hashes, for every supported Python."""

from __future__ import annotations

import subprocess
import sys

OLDEST_PYTHON = "3.11"
LOCKS = {
    "requirements-edge.txt": [],
    "requirements-train.txt": ["--extra", "train", "--extra", "test"],
    "requirements-train-cuda.txt": ["--extra", "cuda"],
    "requirements-bench.txt": ["--extra", "bench"],
}


def main(options: list[str]) -> int:
    """Write every file anew; what is locked keeps its version, unless uv is told to `--upgrade`."""
    for name, extras in LOCKS.items():
        command = [
            *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *extras),
            *("--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes", *options),
            *("--no-emit-index-url", "--no-annotate", "--quiet", "--output-file", name),
            *("--custom-compile-command", "make lock"),
        ]
        subprocess.run(command, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
