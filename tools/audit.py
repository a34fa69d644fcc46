"""Look for weak places in the code, and for known weaknesses of the packages: `make audit`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from installer.recipe import TARGETS
from tools.lock import LOCKS

CODE = ("edge_app", "export", "installer", "tools", "training")
BANDIT = ("bandit", "--configfile", "pyproject.toml", "--recursive", "--quiet", *CODE)
PIP_AUDIT = (
    "pip_audit",
    "--require-hashes",
    "--disable-pip",
    "--format",
    "json",
    "--progress-spinner",
    "off",
)
CLEAN, FOUND, NOT_LOOKED_UP = 0, 1, 3


class Lookup(NamedTuple):
    """What a service says of a lock's packages.

    `known` counts those that it knows, `unknown` names those that it does not; `weaknesses` are the known
    ones with weaknesses and what these are called. `fault` is why nothing was looked up, if so.
    """

    known: int = 0
    unknown: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()
    fault: str = ""

    @property
    def outcome(self) -> int:
        """`FOUND` where there is a weakness, `NOT_LOOKED_UP` where one package or more is not known."""
        if self.weaknesses:
            return FOUND
        return NOT_LOOKED_UP if self.fault or self.unknown or not self.known else CLEAN

    def __str__(self) -> str:
        """Tell it in a line, and each weakness in one more."""
        if self.fault:
            return f"NOT LOOKED UP: {self.fault}"
        counts = f"{self.known} packages looked up, {len(self.weaknesses)} of them with known weaknesses"
        if self.unknown:
            counts += f"; {len(self.unknown)} NOT LOOKED UP, the service does not know them: "
            counts += ", ".join(self.unknown)
        return "\n  ".join([counts, *self.weaknesses])


def main(arguments: Sequence[str]) -> int:
    """Run bandit over the code, and pip-audit over every lock.

    Args:
        arguments: The interpreter that has pip-audit.

    Returns:
        The exit code: `CLEAN`, `FOUND`, or `NOT_LOOKED_UP` when nothing was found where not all was asked.
    """
    bandit = subprocess.run([sys.executable, "-m", *BANDIT], check=False).returncode
    sys.stdout.write(f"bandit: {'no finding without an explanation' if bandit == 0 else 'see above'}\n")
    outcomes = [CLEAN if bandit == 0 else FOUND]
    for lock in [*LOCKS, *(str(target.lock) for target in TARGETS)]:
        lookup = look_up(arguments[0], Path(lock))
        sys.stdout.write(f"{lock}: {lookup}\n")
        outcomes.append(lookup.outcome)
    return FOUND if FOUND in outcomes else max(outcomes)


def look_up(python: str, lock: Path) -> Lookup:
    """Ask pip-audit's service for the known weaknesses of what a lock holds.

    Args:
        python: The interpreter that has pip-audit.
        lock: A requirements file with hashes.

    Returns:
        What it said; a fault where it could not be asked.
    """
    command = [python, "-m", *PIP_AUDIT, "--requirement", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return read_report(done.stdout, done.stderr)


def read_report(report: str, errors: str) -> Lookup:
    """Read what pip-audit wrote.

    It ends with 0 and "No known vulnerabilities found" also where the service knew none of the packages.

    Args:
        report: Its JSON; empty where it gave up.
        errors: What it wrote to its standard error.

    Returns:
        The same as a lookup.
    """
    try:
        packages = json.loads(report)["dependencies"]
    except ValueError:
        return Lookup(fault=(errors.strip().splitlines() or ["pip-audit said nothing"])[-1])
    unknown = tuple(each["name"] for each in packages if "skip_reason" in each)
    known = [each for each in packages if "skip_reason" not in each]
    weak = tuple(
        f"{each['name']} {each['version']}: {', '.join(weakness['id'] for weakness in each['vulns'])}"
        for each in known
        if each["vulns"]
    )
    return Lookup(len(known), unknown, weak)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
