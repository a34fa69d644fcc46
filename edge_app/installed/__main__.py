"""The installed command, `fracture-edge`: serve, open, status, stop, certify, verify, rollback and so on.

Exit codes: 0 done; 1 an unforeseen error; 2 the words or a setting are wrong, or the app cannot start;
3 the app is not running; 4 this PC is not fit; 5 files are damaged; 6 not certified; 7 the release or model
was refused; 8 no right to write, or no space; 9 any other reason, told in the message.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path

from edge_app.errors import (
    BundleError,
    DamagedFiles,
    EdgeError,
    InstallError,
    NotCertified,
    NotWritable,
    ReleaseRefused,
    SettingsError,
    UnfitComputer,
)
from edge_app.installed import linux, processes
from edge_app.installed.certificate import certified_device, certify, not_certified
from edge_app.installed.home import Home
from edge_app.installed.install import Wishes, default_prefix, install, roll_back, update_model
from edge_app.installed.preflight import is_free
from edge_app.installed.release import read_release, verify_release
from edge_app.model.bundle import load_bundle
from edge_app.model.room import FIRST_ANSWER_S, bounded_time
from edge_app.node_settings import add_node_arguments, node_words

NOT_RUNNING = 3
EXIT_CODES: dict[type[EdgeError], int] = {
    SettingsError: 2,
    UnfitComputer: 4,
    DamagedFiles: 5,
    NotCertified: 6,
    ReleaseRefused: 7,
    BundleError: 7,
    NotWritable: 8,
}
_OTHER = 9
_LOWEST_PORT, _HIGHEST_PORT = 1024, 65535

logger = logging.getLogger("fracture-edge")


def main(arguments: Sequence[str] | None = None, first_answer_s: float = FIRST_ANSWER_S) -> int:
    """Run one command.

    Args:
        arguments: The words after the program's name.
        first_answer_s: The longest that a model may take to give its first answer when it is certified.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments, argparse.Namespace(first_answer_s=first_answer_s))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a console may lack a path's letters
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    os.umask(0o022)
    try:
        code: int = options.run(options)
    except EdgeError as error:
        _tell(error)
        return EXIT_CODES.get(type(error), _OTHER)
    return code


def _tell(error: EdgeError) -> None:
    print(error, file=sys.stderr)  # noqa: T201 - a command line's answer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fracture-edge", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: object, about: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("--prefix", type=Path, default=_own_prefix(), help=argparse.SUPPRESS)
        command.set_defaults(run=run)
        return command

    serve = add("serve", _serve, "run the app here until it is stopped")
    serve.add_argument("--port", type=_port, help="another port than the installed one")
    add_node_arguments(serve)
    add("open", _open, "start the app if it does not run, and open its page")
    add("status", _status, "tell what is installed and whether it runs")
    add("stop", _stop, "stop the app")
    certification = add("certify", _certify, "prove again that this PC gives the known answers")
    certification.add_argument("--deployment", type=int, help=argparse.SUPPRESS)
    add("verify", _verify, "check that no installed file was altered")
    add("rollback", _rollback, "return to the version or model before")
    update = add("update-model", _update_model, "take a model from a stick")
    update.add_argument("file", type=Path, metavar="FILE")
    uninstall = add("uninstall", _uninstall, "take the app off this PC")
    uninstall.add_argument("--yes", action="store_true", help="do not ask")
    _add_install(add("install", _install, "called by the installers"))
    return parser


def _add_install(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--source", type=Path, default=Path(sys.prefix).parent, help="the release's folder"
    )
    command.add_argument("--port", type=_port, help="where the app listens (default: 5000, or as before)")
    command.add_argument(
        "--trusted-key", type=Path, metavar="FILE", help="the key that must have signed this"
    )
    command.add_argument(
        "--allow-older", action="store_true", help="take an older version than is installed"
    )
    command.add_argument("--no-service", action="store_true", help="no systemd service")
    command.add_argument("--link", action="store_true", help=argparse.SUPPRESS)
    command.add_argument("--yes", action="store_true", help="do not ask")
    command.set_defaults(prefix=None)  # asked for only here: a service has no home folder


def _port(text: str) -> int:
    """Take a port that a program without special rights may listen on, as the service is one."""
    if text.isdecimal() and _LOWEST_PORT <= int(text) <= _HIGHEST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(
        f"expected a number from {_LOWEST_PORT} to {_HIGHEST_PORT}, got {text}"
    )


def _own_prefix() -> Path:
    """Return the installation that this Python is part of: PREFIX/versions/NAME/runtime."""
    return Path(sys.prefix).parents[2] if len(Path(sys.prefix).parents) > 2 else default_prefix()


def _install(options: argparse.Namespace) -> int:
    home = Home((options.prefix or default_prefix()).absolute())
    if not _agreed(options, f"Install Fracture Edge in {home.path}?"):
        return _OTHER
    wishes = Wishes(options.port, options.trusted_key, options.allow_older, options.link)
    runs = bool(processes.of(home)) if home.is_installed else False
    deployment = install(options.source.absolute(), home, wishes)
    if sys.platform != "win32":
        linux.integrate(home, not options.no_service)
    _after_switch(home, runs)
    logger.info("Fracture Edge is installed in %s. Start it with: %s open", home.path, _words_for(home))
    logger.info("Its page: http://localhost:%d", deployment.port)
    return 0


def _serve(options: argparse.Namespace) -> int:
    from edge_app.__main__ import main as serve

    home = Home(options.prefix)
    deployment = home.current()
    port = options.port or deployment.port
    if processes.health(port) is not None:
        logger.info("Fracture Edge runs already: http://localhost:%d", port)
        return 0
    if options.port is None and not is_free(port):
        raise InstallError(
            f"Port {port} is used by another program. End that, or install Fracture Edge again from the "
            "stick with --port N (Windows: /PORT=N)."
        )
    words = ["--port", str(port), "--bundle", str(home.model(deployment.number))]
    words += ["--device", certified_device(home, deployment), *node_words(vars(options))]
    key = home.key(deployment.number)
    return serve([*words, "--trusted-key", str(key)] if key else words)


def _open(options: argparse.Namespace) -> int:
    home = Home(options.prefix)
    port = home.current().port
    # a second copy beside a service that is still starting would be outside of its protection
    if not processes.await_answer(port, linux.service_runs):
        _start(home)
    page = f"http://localhost:{port}"
    logger.info("Fracture Edge runs: %s", page)
    webbrowser.open(page)
    return 0


def _status(options: argparse.Namespace) -> int:
    home = Home(options.prefix)
    deployment = home.current()
    release = read_release(home.program(deployment))
    model = load_bundle(home.model(deployment.number)).manifest
    logger.info(
        "Fracture Edge %s (%s-%s) in %s", release.version, release.target, release.device, home.path
    )
    logger.info("Model %s %s", model.name, model.version)
    logger.info("Certificate %s", home.folder(deployment.number) / "certificate.txt")
    answer = processes.health(deployment.port)
    if answer is None:
        logger.info("Not running. Start it with: %s open", _words_for(home))
        return NOT_RUNNING
    logger.info("Running on %s: http://localhost:%d", answer["device"], deployment.port)
    return 0


def _stop(options: argparse.Namespace) -> int:
    home = Home(options.prefix)
    linux.stop_service()
    count = processes.stop(home)
    deployment = home.known()
    if deployment is not None and processes.health(deployment.port) is not None:
        raise InstallError(
            f"Fracture Edge at http://localhost:{deployment.port} runs on, as another user's. Stop it as "
            "that user, or as administrator."
        )
    logger.info("Stopped; %d process(es) ended.", count)
    return 0


def _certify(options: argparse.Namespace) -> int:
    home = Home(options.prefix)
    deployment = home.current() if options.deployment is None else home.deployment(options.deployment)
    code = EXIT_CODES[NotCertified]
    limit = partial(bounded_time, options.first_answer_s, lambda why: _tell(not_certified(why)), code)
    certificate = certify(home, deployment, limit)
    logger.info("%s\n%s", certificate.read_text(encoding="utf-8"), certificate)
    return 0


def _verify(options: argparse.Namespace) -> int:
    home = Home(options.prefix)
    deployment = home.current()
    count = verify_release(home.program(deployment))
    load_bundle(home.model(deployment.number), trusted_key=home.key(deployment.number))
    logger.info("%d files of the program and the model are as they were released.", count)
    return 0


def _rollback(options: argparse.Namespace) -> int:
    home = Home(options.prefix)
    runs = bool(processes.of(home))
    deployment = roll_back(home)
    _after_switch(home, runs)
    release = read_release(home.program(deployment))
    logger.info("Fracture Edge %s with its model is current again.", release.version)
    return 0


def _update_model(options: argparse.Namespace) -> int:
    home = Home(options.prefix)
    runs = bool(processes.of(home))
    deployment = update_model(options.file, home)
    _after_switch(home, runs)
    model = load_bundle(home.model(deployment.number)).manifest
    logger.info(
        "Model %s %s is current. `fracture-edge rollback` returns to the one before.",
        model.name,
        model.version,
    )
    return 0


def _uninstall(options: argparse.Namespace) -> int:
    home = Home(options.prefix)
    if not _agreed(options, f"Take Fracture Edge off this PC, with {home.path}?"):
        return _OTHER
    if sys.platform == "win32":
        subprocess.Popen([str(home.path / "uninstall.exe"), "/S"], cwd=home.path.anchor)
        return 0
    home.current()  # nothing else is taken for an installation
    linux.disintegrate(home)
    processes.stop(home)
    try:
        home.remove()
    except OSError as error:
        raise NotWritable(
            f"{error.filename} cannot be deleted: {error.strerror}. Run this as who installed it."
        ) from error
    logger.info("Fracture Edge is off this PC.")
    if home.path.exists():
        left = ", ".join(path.name for path in sorted(home.path.iterdir()))
        logger.info("What else lies in %s was left there: %s", home.path, left)
    return 0


def _after_switch(home: Home, runs: bool) -> None:
    if not linux.restart_service(home) and runs:
        _restart(home)


def _restart(home: Home) -> None:
    processes.stop(home)
    _start(home)


def _start(home: Home) -> None:
    deployment = home.current()
    python = str(home.python(deployment, windowed=True))
    processes.start([python, "-IB", "-m", "edge_app.installed", "serve"], deployment.port)


def _words_for(home: Home) -> str:
    """Return how the command is called on this PC: by its name where the PATH leads to it."""
    found = shutil.which(home.command.name)
    if found and Path(found).resolve() == home.command.resolve():
        return home.command.name
    return f'"{home.command}"'


def _agreed(options: argparse.Namespace, question: str) -> bool:
    if options.yes:
        return True
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


if __name__ == "__main__":
    sys.exit(main())
