from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools import audit
from tools.audit import CLEAN, FOUND, NOT_LOOKED_UP, Lookup, look_up, read_report

WAITRESS = {"name": "waitress", "version": "3.0.2", "vulns": []}
FLASK = {"name": "flask", "version": "3.1.3", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]}
BABEL = {"name": "babel", "skip_reason": "Dependency not found and could not be audited"}


def report(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def bandit(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bandit", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_code_has_no_finding_without_an_explanation() -> None:
    done = bandit(*audit.BANDIT[1:])
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ('import subprocess\nsubprocess.run("ls", shell=True)', "B602"),
        ("import os\nos.system('ls')", "B605"),
        ("eval(input())", "B307"),
        ('HOST = "0.0.0.0"', "B104"),
        ("import pickle", "B403"),
    ],
)
def test_same_configuration_finds_a_weak_line(line: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "weak.py").write_text(line)
    done = bandit("--configfile", "pyproject.toml", "--quiet", str(tmp_path / "weak.py"))
    assert done.returncode == 1
    assert name in done.stdout


def test_all_code_that_is_typed_is_audited() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert sorted(audit.CODE) == sorted(settings["mypy"]["files"])


def test_each_rule_that_is_switched_off_has_a_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    skips = tomllib.loads(text)["tool"]["bandit"]["skips"]
    assert skips == re.findall(r'^ +"(B\d+)", +# \w.{20,}$', text, re.MULTILINE)


def test_each_line_that_is_passed_over_names_the_rule_and_has_a_reason() -> None:
    lines = [
        line
        for folder in audit.CODE
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if "nosec" in line
    ]
    assert lines
    assert [line for line in lines if not re.search(r"# nosec B\d+ # \w", line)] == []


@pytest.mark.parametrize(
    ("packages", "outcome"),
    [
        ([WAITRESS], CLEAN),
        ([WAITRESS, FLASK], FOUND),
        ([WAITRESS, BABEL], NOT_LOOKED_UP),
        ([FLASK, BABEL], FOUND),
        ([BABEL], NOT_LOOKED_UP),
        ([], NOT_LOOKED_UP),
    ],
)
def test_package_that_the_service_does_not_know_is_not_taken_for_clean(
    packages: list[object], outcome: int
) -> None:
    assert read_report(report(*packages), "No known vulnerabilities found").outcome == outcome


def test_lookup_tells_what_is_weak_and_what_is_not_known() -> None:
    assert str(read_report(report(WAITRESS, FLASK, BABEL), "")) == (
        "2 packages looked up, 1 of them with known weaknesses; 1 NOT LOOKED UP, the service does not know "
        "them: babel\n  flask 3.1.3: PYSEC-1, PYSEC-2"
    )


def test_service_that_does_not_answer_is_told() -> None:
    lookup = read_report("", "Traceback\nConnectionError: no route to host\n")
    assert lookup == Lookup(fault="ConnectionError: no route to host")
    assert str(lookup) == "NOT LOOKED UP: ConnectionError: no route to host"
    assert lookup.outcome == NOT_LOOKED_UP


def test_program_is_asked_about_the_lock(tmp_path: Path) -> None:
    python, lock = tmp_path / "python", tmp_path / "requirements.txt"
    lock.write_text(report(FLASK))
    python.write_text('#!/bin/sh\nfor lock; do :; done\ncat "$lock"\n')  # its last word
    python.chmod(0o755)
    assert look_up(str(python), lock) == Lookup(1, (), ("flask 3.1.3: PYSEC-1, PYSEC-2",))
