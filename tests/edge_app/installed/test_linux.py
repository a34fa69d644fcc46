from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_app.installed.linux import fill_in
from installer.launchers import HERE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


def lines_of(name: str, prefix: str) -> dict[str, str]:
    """Fill in one of the templates for a folder; return the values by their keys."""
    text = fill_in((HERE / "linux" / name).read_text(encoding="utf-8"), Path(prefix))
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_service_starts_from_a_folder_with_spaces_and_other_letters() -> None:
    unit = lines_of("fracture-edge.service", "/srv/100 % Łódź")
    assert unit["ExecStart"] == '"/srv/100 %% Łódź/bin/fracture-edge" serve'
    assert unit["Documentation"] == "file:///srv/100%%20%%25%%20%%C5%%81%%C3%%B3d%%C5%%BA/guide-it.html"


@pytest.mark.parametrize(
    ("prefix", "protection"),
    [
        ("/opt/fracture-edge", "yes"),
        ("/homes", "yes"),
        ("/home/clinic", "read-only"),
        ("/root", "read-only"),
    ],
)
def test_service_sees_home_folders_only_where_it_lies_in_one(prefix: str, protection: str) -> None:
    assert lines_of("fracture-edge.service", prefix)["ProtectHome"] == protection


def test_icon_in_the_menu_starts_from_a_folder_with_spaces_and_other_signs() -> None:
    """Signs in quotes stand after a backslash, and a value has each backslash twice."""
    entry = lines_of("fracture-edge.desktop", '/home/Ayşe মায়া "$HOME" 100 %')
    assert entry["Exec"] == r'"/home/Ayşe মায়া \\"\\$HOME\\" 100 %%/bin/fracture-edge" open'
    assert entry["Icon"] == '/home/Ayşe মায়া "$HOME" 100 %/icon.svg'
