"""What Linux needs to know of an installation: the command, the menu, the service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from edge_app.errors import InstallError
from edge_app.installed.home import Home, replace_file

UNIT = "fracture-edge.service"
_SYSTEMD_RUNS = Path("/run/systemd/system")


def integrate(home: Home, service: bool) -> bool:
    """Put the command on the path, the app in the menu, and for root the service under systemd.

    Args:
        home: The installation.
        service: Whether a service is wanted.

    Returns:
        Whether there is a service.
    """
    command, entry, unit = _places()
    command.parent.mkdir(parents=True, exist_ok=True)
    if command.is_symlink() or not command.exists():
        command.unlink(missing_ok=True)
        command.symlink_to(home.command)
    _fill_in(home, "fracture-edge.desktop", entry)
    if not (service and is_root() and _SYSTEMD_RUNS.is_dir()):
        return unit.is_file()
    _fill_in(home, UNIT, unit)
    _systemctl("daemon-reload")
    _systemctl("enable", UNIT)
    _systemctl("restart", UNIT)
    return True


def restart_service(home: Home) -> bool:
    """Restart the service where there is one; tell whether there is."""
    if not has_service() or not is_root():
        return False
    _systemctl("restart", UNIT)
    return True


def stop_service() -> None:
    """Stop the service where there is one."""
    if has_service() and is_root():
        _systemctl("stop", UNIT)


def has_service() -> bool:
    """Tell whether this PC has the service and runs systemd."""
    return _SYSTEMD_RUNS.is_dir() and _places()[2].is_file()


def service_runs() -> bool:
    """Tell whether the service runs or is starting."""
    return has_service() and not _ask_systemd("is-active", "--quiet", UNIT).returncode


def disintegrate(home: Home) -> None:
    """Take away what `integrate` put there, if it belongs to this installation."""
    command, entry, unit = _places()
    if unit.is_file() and str(home.path) in unit.read_text(encoding="utf-8"):
        if _SYSTEMD_RUNS.is_dir():
            _systemctl("disable", "--now", UNIT)
        unit.unlink()
        if _SYSTEMD_RUNS.is_dir():
            _systemctl("daemon-reload")
    if entry.is_file() and str(home.path) in entry.read_text(encoding="utf-8"):
        entry.unlink()
    if command.is_symlink() and command.readlink() == home.command:
        command.unlink()


def is_root() -> bool:
    """Tell whether this process may install for everybody."""
    return sys.platform != "win32" and os.geteuid() == 0


def _places() -> tuple[Path, Path, Path]:
    base = Path("/usr/local") if is_root() else Path.home() / ".local"
    entry = base / "share" / "applications" / "fracture-edge.desktop"
    return base / "bin" / "fracture-edge", entry, Path("/etc/systemd/system") / UNIT


def _fill_in(home: Home, name: str, place: Path) -> None:
    template = home.program(home.current()) / "system" / name
    text = template.read_text(encoding="utf-8").replace("@PREFIX@", str(home.path))
    replace_file(place, text.encode())


def _ask_systemd(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemctl") or "systemctl"
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def _systemctl(*words: str) -> None:
    done = _ask_systemd(*words)
    if done.returncode:
        raise InstallError(
            f"systemctl {' '.join(words)} failed: {done.stderr.strip()}. See journalctl -u {UNIT}."
        )
