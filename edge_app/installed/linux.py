"""What Linux needs to know of an installation: the command, the menu, the service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from edge_app.errors import InstallError, NotWritable
from edge_app.installed.home import Home, replace_file
from edge_app.installed.processes import await_answer

UNIT = "fracture-edge.service"
_SYSTEMD_RUNS = Path("/run/systemd/system")
# What systemd's ProtectHome hides.
_HOMES = ("/home", "/root", "/run/user")


def integrate(home: Home, service: bool) -> None:
    """Put the command on the path, the app in the menu, and for root the service under systemd.

    Args:
        home: The installation.
        service: Whether a service is wanted.

    Raises:
        NotWritable: no right, or no space.
        InstallError: systemd does not take the service.
    """
    command, entry, unit = _places()
    _link(command, home.command)
    _lay(home, entry)
    if service and is_root() and _SYSTEMD_RUNS.is_dir():
        _lay(home, unit)
        _systemctl("daemon-reload")
        _systemctl("enable", UNIT)


def restart_service(home: Home) -> bool:
    """Restart the installation's service where it has one; tell whether it has.

    Raises:
        InstallError: it does not answer, or systemd does not start it.
    """
    if not (has_service() and is_root() and _belongs(_places()[2], home)):
        return False
    _systemctl("restart", UNIT)
    if not await_answer(home.current().port, service_runs):
        raise InstallError(
            f"The service was started and does not answer. See journalctl -u {UNIT}; `fracture-edge "
            "rollback` returns to the version before, if there is one."
        )
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
    if _belongs(unit, home):
        if _SYSTEMD_RUNS.is_dir():
            _systemctl("disable", "--now", UNIT)
        unit.unlink()
        if _SYSTEMD_RUNS.is_dir():
            _systemctl("daemon-reload")
    if _belongs(entry, home):
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


def fill_in(template: str, prefix: Path) -> str:
    """Return the text of the service or of the menu's entry for an installation.

    Args:
        template: With words between @ signs.
        prefix: The installation's folder.

    Source:
        systemd.service(5), "Command lines"; Desktop Entry Specification 1.5, "The Exec key".
    """
    in_home = any(prefix.is_relative_to(folder) for folder in _HOMES)
    words = {
        "@UNIT_COMMAND@": _unit_command(prefix),
        "@MENU_COMMAND@": _menu_command(prefix),
        "@GUIDE@": (prefix / "guide-it.html").as_uri().replace("%", "%%"),
        "@PROTECT_HOME@": "read-only" if in_home else "yes",
        "@PREFIX@": str(prefix),
    }
    for word, value in words.items():
        template = template.replace(word, value)
    return template


def _unit_command(prefix: Path) -> str:
    return '"{}"'.format(str(Home(prefix).command).replace("%", "%%"))


def _menu_command(prefix: Path) -> str:
    quoted = re.sub(r'(["`$\\])', r"\\\1", str(Home(prefix).command))
    return '"{}"'.format(quoted.replace("\\", "\\\\").replace("%", "%%"))


def _belongs(place: Path, home: Home) -> bool:
    """Tell whether a service or a menu's entry is there and starts this installation."""
    if not place.is_file():
        return False
    text = place.read_text(encoding="utf-8")
    return _unit_command(home.path) in text or _menu_command(home.path) in text


def _lay(home: Home, place: Path) -> None:
    template = home.program(home.current()) / "system" / place.name
    replace_file(place, fill_in(template.read_text(encoding="utf-8"), home.path).encode())


def _link(link: Path, target: Path) -> None:
    """Make a link to a file, in the place of an earlier link, but not of anything else."""
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink() or not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    except OSError as error:
        raise NotWritable(
            f"{link} cannot be written: {error.strerror}. The app is installed all the same: {target} "
            "starts it. Get the right to write there, and install again for the command and the icon."
        ) from error


def _ask_systemd(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemctl") or "systemctl"
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def _systemctl(*words: str) -> None:
    done = _ask_systemd(*words)
    if done.returncode:
        raise InstallError(
            f"systemctl {' '.join(words)} failed: {done.stderr.strip()}. See journalctl -u {UNIT}."
        )
