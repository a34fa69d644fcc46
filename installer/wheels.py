"""The clinic's Python packages: wheels, held against the lock's hashes, laid into a folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from edge_app.errors import InstallError
from edge_app.web.language import LANGUAGES
from installer.machine import strip_symbols
from installer.opencv import replace_video
from installer.recipe import PYTHON, ROOT, Target

# What is for developers only, and what the app never loads: ONNX Runtime's second copy for other languages,
# and the AVIF codec, since AVIF is no X-ray format.
_NOT_SHIPPED = (
    *(
        "bin",
        "Scripts",
        "**/tests",
        "**/*.pyi",
        "**/*.whl",
        "**/*.a",
        "**/*.lib",
        "**/__pycache__",
        ".lock",
    ),
    *("numpy/f2py", "numpy/_core/include", "onnxruntime/tools", "onnxruntime/transformers"),
    *("onnxruntime/quantization", "onnxruntime/datasets", "onnxruntime/backend"),
    *("onnxruntime/capi/libonnxruntime.so.*", "PIL/_avif.*", "pillow.libs/libavif*"),
    # Pictures of text: the reports' text is fpdf2's and HarfBuzz' own.
    *("PIL/_imagingft.*", "PIL/_imagingtk.*", "pillow.libs/libfreetype*", "pillow.libs/libharfbuzz*"),
    *("pillow.libs/libbrotli*", "pillow.libs/libpng*"),
    # Accelerators that have a twin in Python; the reports' few glyphs need no haste.
    *("fontTools/**/*.so", "fontTools/**/*.pyd", "share"),
    *("cv2/opencv_videoio_ffmpeg*.dll", "pytz/zoneinfo"),
    *("pydicom/data/test_files", "pynetdicom/apps", "nvidia/*/include"),
)
# Of its eighty codecs and their libraries, what `edge_app.imaging.dicom` calls.
_CODECS = re.compile(r"_(imcd|shared|jpeg2k|jpeg8|jpegls)|lib(openjp2|lcms2|jpeg-|charls)")
# NVIDIA's terms let its libraries be passed on as they are.
_UNTOUCHED = "nvidia"
_VC_RUNTIME = ("msvcp140.dll", "msvcp140_1.dll", "vcruntime140.dll", "vcruntime140_1.dll")


def lay_wheels(target: Target, site_dir: Path, runtime_dir: Path) -> None:
    """Install a target's lock; one altered byte in a wheel stops the build.

    Args:
        target: Whose wheels; they need not fit this machine.
        site_dir: The runtime's folder for packages.
        runtime_dir: Where Windows looks for Microsoft's C++ runtime, beside python.exe.

    Raises:
        InstallError: a wheel is missing or not the one that was locked.
    """
    command = [
        *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(site_dir)),
        *("--python-platform", target.platform, "--python-version", PYTHON, "--link-mode", "copy"),
        *(
            "--only-binary",
            ":all:",
            "--require-hashes",
            "--no-deps",
            "--requirements",
            str(ROOT / target.lock),
        ),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"The wheels of {target.lock} could not be laid out: {done.stderr.strip()}")
    if target.system == "windows":
        _move_vc_runtime(site_dir, runtime_dir)
        _prune(site_dir)
    else:
        replace_video(site_dir)
        _prune(site_dir)
        libraries = [path for path in site_dir.rglob("*.so*") if path.is_file()]
        strip_symbols([path for path in libraries if not path.is_relative_to(site_dir / _UNTOUCHED)])


def _move_vc_runtime(site_dir: Path, runtime_dir: Path) -> None:
    for path in sorted(runtime_dir.iterdir()):
        if path.name.lower() in _VC_RUNTIME:
            path.unlink()  # CPython's own, under another spelling
    for name in _VC_RUNTIME:
        shutil.copy(next(site_dir.rglob(name)), runtime_dir / name)


def _prune(site_dir: Path) -> None:
    for pattern in _NOT_SHIPPED:
        for path in sorted(site_dir.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    spoken = {"root", *LANGUAGES}
    locales = site_dir.glob("babel/locale-data/*.dat")
    codecs = [*site_dir.glob("imagecodecs/_*.so"), *site_dir.glob("imagecodecs/_*.pyd")]
    libraries = site_dir.glob("imagecodecs.libs/*.so*")
    unused = [
        *(path for path in locales if path.stem.partition("_")[0] not in spoken),
        *(path for path in (*codecs, *libraries) if not _CODECS.match(path.name)),
    ]
    for path in unused:
        path.unlink()
