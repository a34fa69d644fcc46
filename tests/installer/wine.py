"""A CPython for Windows to TEST installers with under Wine, where python-build-standalone cannot be had.

PyPI's panda3d wheels carry python.org's own python311.dll and extension modules. The standard library is
this machine's, the programs are a few lines of C. Never for a release.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path
from threading import Thread

from installer.recipe import PYTHON
from tests.conftest import require
from tests.installer.bare import output_of

WHEEL = "panda3d==1.10.16"
DLL = f"python{PYTHON.replace('.', '')}.dll"
PREFIX = "x86_64-w64-mingw32"
PROGRAM = """
#include <windows.h>
int wmain(int count, wchar_t **words) {
    HMODULE python = LoadLibraryW(L"%s");
    int (*run)(int, wchar_t **) = python ? (void *)GetProcAddress(python, "Py_Main") : 0;
    return run ? run(count, words) : 97;
}
"""

RANDOM_NUMBERS = """
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) {
    return SystemFunction036(data, size);
}
"""
BOOT_S = 300
LAST_WORDS_S = 5


def make_runtime(folder: Path) -> Path:
    """Put the runtime together, and return its folder."""
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)
    words = ("--no-deps", "--platform", "win_amd64", "--python-version", PYTHON, "--only-binary", ":all:")
    output_of(sys.executable, "-m", "pip", "download", "-q", *words, "-d", str(scratch), WHEEL)
    runtime = folder / "runtime"
    runtime.mkdir()
    with zipfile.ZipFile(next(scratch.glob("*.whl"))) as wheel:
        for name in wheel.namelist():
            if re.match(r"deploy_libs/(?!api-ms|tcl|tk).*\.(dll|pyd)$", name):
                (runtime / Path(name).name).write_bytes(wheel.read(name))
    passed_over = shutil.ignore_patterns("lib-dynload", "site-packages", "test", "__pycache__", "config-*")
    shutil.copytree(sysconfig.get_path("stdlib"), runtime / "Lib", ignore=passed_over)
    _compile_programs(runtime, scratch)
    shutil.rmtree(scratch)
    return runtime


def _compile_programs(runtime: Path, scratch: Path) -> None:
    (scratch / "python.c").write_text(PROGRAM % DLL)
    for name, options in {"python.exe": [], "pythonw.exe": ["-mwindows"]}.items():
        compiler = (f"{PREFIX}-gcc", "-O2", "-s", "-municode", "-static", *options)
        output_of(*compiler, "-o", str(runtime / name), str(scratch / "python.c"))
    told = output_of(f"{PREFIX}-objdump", "-p", str(runtime / DLL))
    names = re.findall(r"^\s+\[\s*\d+\] .*?(_?Py\w+)\s*$", told, re.MULTILINE)
    lines = [f"{name} = {DLL.removesuffix('.dll')}.{name}" for name in sorted(set(names))]
    (scratch / "python3.def").write_text("LIBRARY python3.dll\nEXPORTS\n" + "\n".join(lines) + "\n")
    options = (
        "-shared",
        "-nostdlib",
        "-s",
        "-o",
        str(runtime / "python3.dll"),
        str(scratch / "python3.def"),
    )
    (scratch / "empty.c").write_text("int start(void) { return 1; }\n")
    output_of(f"{PREFIX}-gcc", "-Wl,-e,start", *options, str(scratch / "empty.c"))


class Program:
    """A Windows program that runs; what it says is collected as it comes.

    It may leave other programs behind that hold its pipe open, so nobody waits for the pipe's end.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: list[str] = []
        self._reader = Thread(target=self._collect, daemon=True)
        self._reader.start()

    def is_running(self) -> bool:
        """Tell whether it has not ended yet."""
        return self._process.poll() is None

    def outcome(self, limit_s: float = LAST_WORDS_S) -> subprocess.CompletedProcess[str]:
        """Wait for its end, and return its exit code and what it said."""
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        self._reader.join(LAST_WORDS_S)
        return subprocess.CompletedProcess(self._process.args, code, "".join(self._lines))

    def close(self) -> None:
        """Wait for the end of its pipe, once every program has ended."""
        self._process.wait(LAST_WORDS_S)
        self._reader.join()

    def _collect(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            for line in said:
                self._lines.append(line)  # as it comes: the last line may never do


class WinePC:
    """A Windows PC in a folder, without a screen.

    Args:
        folder: Made here.
    """

    def __init__(self, folder: Path) -> None:
        self._wine = require("wine", "wine64")
        self._environment = {
            **os.environ,
            "WINEPREFIX": str(folder),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree,mshtml,winedbg.exe=",
            "BROWSER": "",
            # what another Python on the PC may have left
            "PYTHONHOME": r"C:\nowhere",
            "PYTHONPATH": r"C:\nowhere",
        }
        self.drive = folder / "drive_c"
        self._programs: list[Program] = []
        self._start("winecfg", "-v", "win10", stdout=subprocess.DEVNULL).wait(BOOT_S)
        self._supply_random_numbers()
        self._session = self._begin_session()

    def start(self, *words: str | Path) -> Program:
        """Start a Windows program; what it says comes through pipes, since Wine's files break Python."""
        program = Program(self._start(*words, stdout=subprocess.PIPE))
        self._programs.append(program)
        return program

    def run(self, *words: str | Path, limit_s: float = 900) -> subprocess.CompletedProcess[str]:
        """Run a Windows program to its end."""
        return self.start(*words).outcome(limit_s)

    def close(self) -> None:
        """End every Windows program."""
        subprocess.run([require("wineserver"), "-k"], env=self._environment, check=False)
        self._session.communicate()
        for program in self._programs:
            program.close()

    def _start(
        self, *words: str | Path, stdout: int, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self._wine, *map(str, words)],
            env=self._environment,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def _begin_session(self) -> subprocess.Popen[str]:
        """Start Windows' services and its desktop from programs without pipes, which last as this PC does.

        They inherit the pipes of the first program that needs them, whose reader would wait for their end.
        So no other program may start before these run.
        """
        sign = self.drive / "session"
        words = r"start /b explorer & echo begun > C:\session & pause"
        session = self._start("cmd", "/c", words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        deadline_s = time.monotonic() + BOOT_S
        while not sign.exists():
            assert session.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        return session

    def _supply_random_numbers(self) -> None:
        """Give Wine 8 the library of Windows 10 that `cryptography` takes random numbers from."""
        source, library = self.drive / "random.c", self.drive / "windows/system32/bcryptprimitives.dll"
        if not library.exists():
            source.write_text(RANDOM_NUMBERS)
            output_of(f"{PREFIX}-gcc", "-s", "-shared", "-o", str(library), str(source), "-ladvapi32")
            source.unlink()
