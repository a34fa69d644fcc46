from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_app.errors import BundleError
from edge_app.model.bundle import load_bundle
from edge_app.model.signature import verify_manifest
from edge_app.predictor import Predictor
from tests.toy import write_toy_bundle

# RFC 8032, section 7.1, test 2: a key, a message of one byte, and its signature
RFC_KEY = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
RFC_MESSAGE = b"\x72"
RFC_SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def key_path(key: Ed25519PrivateKey, tmp_path: Path) -> Path:
    return write_key(tmp_path / "key.pem", key.public_key())


@pytest.fixture
def signed(key: Ed25519PrivateKey, tmp_path: Path) -> Path:
    bundle_dir = write_toy_bundle(tmp_path / "bundle")
    signature = key.sign((bundle_dir / "manifest.json").read_bytes())
    (bundle_dir / "manifest.sig").write_bytes(base64.b64encode(signature) + b"\n")
    return bundle_dir


def write_key(path: Path, key: object) -> Path:
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def test_signature_of_the_standard_is_accepted_for_its_message_only(tmp_path: Path) -> None:
    key_path = write_key(tmp_path / "rfc.pem", Ed25519PublicKey.from_public_bytes(bytes.fromhex(RFC_KEY)))
    signature = base64.b64encode(bytes.fromhex(RFC_SIGNATURE))
    verify_manifest(RFC_MESSAGE, signature, key_path)
    with pytest.raises(BundleError, match="is not that of the key"):
        verify_manifest(b"\x73", signature, key_path)


def test_signed_bundle_runs(signed: Path, key_path: Path) -> None:
    assert Predictor(signed, device="cpu", trusted_key=key_path).manifest.name == "toy"


def test_unsigned_bundle_is_refused_where_a_key_is_asked_for(signed: Path, key_path: Path) -> None:
    (signed / "manifest.sig").unlink()
    with pytest.raises(BundleError, match=r"is not signed: manifest.sig was not found"):
        load_bundle(signed, trusted_key=key_path)


def test_signature_is_ignored_without_a_key(signed: Path) -> None:
    (signed / "manifest.sig").write_text("nonsense")
    assert load_bundle(signed).manifest.name == "toy"


def test_altered_manifest_is_refused(signed: Path, key_path: Path) -> None:
    manifest = signed / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"threshold": 0.5', '"threshold": 0.9'))
    assert load_bundle(signed).manifest.operating_point.threshold == 0.9
    with pytest.raises(BundleError, match="is not that of the key"):
        load_bundle(signed, trusted_key=key_path)


def test_signature_of_another_key_is_refused(signed: Path, tmp_path: Path) -> None:
    other = write_key(tmp_path / "other.pem", Ed25519PrivateKey.generate().public_key())
    with pytest.raises(BundleError, match="signed with another key"):
        load_bundle(signed, trusted_key=other)


@pytest.mark.parametrize("text", ["", "****", "AAAA", "\xff"])
def test_text_that_is_no_signature_is_refused(signed: Path, key_path: Path, text: str) -> None:
    (signed / "manifest.sig").write_text(text, encoding="latin-1")
    with pytest.raises(BundleError, match="is not that of the key"):
        load_bundle(signed, trusted_key=key_path)


@pytest.mark.parametrize(
    "content", [None, b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_file_that_is_no_key_is_refused(signed: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError, match=r"broken.pem cannot be read as an Ed25519 public key"):
        load_bundle(signed, trusted_key=path)


def test_key_of_another_kind_is_refused(signed: Path, tmp_path: Path) -> None:
    path = write_key(tmp_path / "ec.pem", generate_private_key(SECP256R1()).public_key())
    with pytest.raises(BundleError, match=r"ec.pem cannot be read as an Ed25519 public key"):
        load_bundle(signed, trusted_key=path)
