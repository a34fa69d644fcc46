from __future__ import annotations

import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_app.errors import BundleError, SettingsError
from edge_app.model.bundle import load_bundle
from export.__main__ import main
from export.bundle.signing import make_keys, sign_bundle, verify_bundle
from tests.conftest import ROOT
from tests.toy import write_toy_bundle

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
OPEN = serialization.NoEncryption()


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return make_keys(tmp_path / "clinic")


@pytest.fixture
def bundle_dir(tmp_path: Path) -> Path:
    return write_toy_bundle(tmp_path / "bundle")


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Let the kernel refuse larger files, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_keys_are_written_beside_each_other_and_the_private_one_is_its_owners(tmp_path: Path) -> None:
    private, public = make_keys(tmp_path / "clinic.2026")
    assert (private.name, public.name) == ("clinic.2026.pem", "clinic.2026.pub.pem")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"PRIVATE KEY" in private.read_bytes()
    assert b"PUBLIC KEY" in public.read_bytes()


@pytest.mark.parametrize("name", ["clinic.pem", "clinic.pub.pem"])
def test_keys_are_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("old")
    with pytest.raises(SettingsError, match=f"{name} is there already"):
        make_keys(tmp_path / "clinic")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "old")]


def test_keys_for_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written: No such file or directory"):
        make_keys(tmp_path / "gone" / "clinic")


@pytest.mark.parametrize("size_bytes", [0, 114])
def test_full_disk_leaves_no_half_key(tmp_path: Path, size_bytes: int) -> None:
    with (
        files_of_at_most(size_bytes),
        pytest.raises(SettingsError, match="cannot be written: File too large"),
    ):
        make_keys(tmp_path / "clinic")
    assert not list(tmp_path.iterdir())


def test_signed_bundle_is_verified(bundle_dir: Path, keys: tuple[Path, Path]) -> None:
    private, public = keys
    sign_bundle(bundle_dir, private)
    verify_bundle(bundle_dir, public)
    load_bundle(bundle_dir, trusted_key=public)


def test_signing_again_replaces_the_signature(
    bundle_dir: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    other, other_public = make_keys(tmp_path / "other")
    for private in (keys[0], other):
        sign_bundle(bundle_dir, private)
    verify_bundle(bundle_dir, other_public)
    with pytest.raises(BundleError, match="signature is not that of the key"):
        verify_bundle(bundle_dir, keys[1])


def test_unsigned_bundle_is_told(bundle_dir: Path, keys: tuple[Path, Path]) -> None:
    with pytest.raises(BundleError, match="is not signed"):
        verify_bundle(bundle_dir, keys[1])


@pytest.mark.parametrize("name", ["features.onnx", "golden-1.png", "manifest.json", "manifest.sig"])
def test_altered_byte_is_found_by_verify(bundle_dir: Path, keys: tuple[Path, Path], name: str) -> None:
    sign_bundle(bundle_dir, keys[0])
    flip_a_bit(bundle_dir / name)
    with pytest.raises(BundleError, match=rf"{name} in|signature is not that"):
        verify_bundle(bundle_dir, keys[1])


def test_altered_bundle_is_not_signed(bundle_dir: Path, keys: tuple[Path, Path]) -> None:
    flip_a_bit(bundle_dir / "classifier.onnx")
    with pytest.raises(BundleError, match=r"classifier\.onnx in .* is not the file that was released"):
        sign_bundle(bundle_dir, keys[0])
    assert not (bundle_dir / "manifest.sig").exists()


def test_full_disk_leaves_the_earlier_signature(bundle_dir: Path, keys: tuple[Path, Path]) -> None:
    sign_bundle(bundle_dir, keys[0])
    before = {path.name: path.read_bytes() for path in bundle_dir.iterdir()}
    with files_of_at_most(10), pytest.raises(SettingsError, match=r"manifest\.sig cannot be written"):
        sign_bundle(bundle_dir, keys[0])
    assert {path.name: path.read_bytes() for path in bundle_dir.iterdir()} == before


def test_missing_bundle_is_named(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    with pytest.raises(BundleError, match="No model bundle at"):
        sign_bundle(tmp_path / "gone", keys[0])


def test_missing_key_is_named(bundle_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.pem cannot be read: No such file"):
        sign_bundle(bundle_dir, tmp_path / "gone.pem")


def test_public_key_cannot_sign(bundle_dir: Path, keys: tuple[Path, Path]) -> None:
    with pytest.raises(SettingsError, match="holds no private Ed25519 key"):
        sign_bundle(bundle_dir, keys[1])


def test_private_key_cannot_verify(bundle_dir: Path, keys: tuple[Path, Path]) -> None:
    sign_bundle(bundle_dir, keys[0])
    with pytest.raises(BundleError, match="cannot be read as an Ed25519 public key"):
        verify_bundle(bundle_dir, keys[0])


def test_key_of_another_kind_cannot_sign(bundle_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "curve.pem"
    path.write_bytes(generate_private_key(SECP256R1()).private_bytes(PEM, PKCS8, OPEN))
    with pytest.raises(SettingsError, match="holds no private Ed25519 key"):
        sign_bundle(bundle_dir, path)


def test_locked_key_is_told(bundle_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "locked.pem"
    lock = serialization.BestAvailableEncryption(b"secret")
    path.write_bytes(Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, lock))
    with pytest.raises(SettingsError, match="locked by a passphrase"):
        sign_bundle(bundle_dir, path)


def test_commands_make_sign_and_verify(
    bundle_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name, bundle = str(tmp_path / "k"), str(bundle_dir)
    assert main(["keygen", "--out", name]) == 0
    assert main(["verify", "--bundle", bundle, "--trusted-key", f"{name}.pub.pem"]) == 1
    assert "is not signed" in caplog.messages[-1]
    assert main(["sign", "--bundle", bundle, "--key", f"{name}.pem"]) == 0
    assert main(["verify", "--bundle", bundle, "--trusted-key", f"{name}.pub.pem"]) == 0
    assert (
        caplog.messages[-1]
        == f"{bundle} is signed with the key {name}.pub.pem, and every file is as it was."
    )


def test_commands_do_not_load_tensorflow(tmp_path: Path) -> None:
    program = (
        "import sys; from export.__main__ import main; "
        f"code = main(['keygen', '--out', {str(tmp_path / 'k')!r}]); "
        "sys.exit(code or bool({'tensorflow', 'keras', 'onnx', 'onnxruntime'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
