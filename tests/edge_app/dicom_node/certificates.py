"""Authorities that exist for a test only, and the certificates that they sign."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from edge_app.node_settings import TlsFiles

DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates, and writes all of them into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        basic = x509.BasicConstraints(ca=True, path_length=None)
        own = self._builder(self._name, self._key, 1).add_extension(basic, critical=True)
        self.path = self._write(f"{name}.pem", own.sign(self._key, hashes.SHA256()))

    def sign(self, name: str, address: str = "127.0.0.1", days: int = 1) -> TlsFiles:
        """Write a certificate for an address, of so many days from now, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = self._builder(_named(name), key, days).add_extension(alternative, critical=False)
        key_path = self._folder / f"{name}.key"
        key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return TlsFiles(
            self._write(f"{name}.pem", builder.sign(self._key, hashes.SHA256())), key_path, self.path
        )

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - 9 * DAY)
            .not_valid_after(now + days * DAY)
        )

    def _write(self, name: str, signed: x509.Certificate) -> Path:
        path = self._folder / name
        path.write_bytes(signed.public_bytes(Encoding.PEM))
        return path


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
