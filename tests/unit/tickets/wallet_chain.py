"""Certificates and keys as a site's wallets have them, made for a test."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Names = list[tuple[x509.ObjectIdentifier, str]]


@dataclasses.dataclass
class Issuer:
    """A certificate authority of the test's own."""

    name: x509.Name
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate | None = None

    def issue(self, names: Names, key: rsa.RSAPrivateKey, *, is_authority: bool = False) -> x509.Certificate:
        begins = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
        return (
            x509.CertificateBuilder()
            .subject_name(name_of(names))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + dt.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )


def name_of(names: Names) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in names])


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_chain(folder: Path) -> Path:
    """Write a root, an intermediate, a pass type's certificate with its key, and the key of a service account."""
    root_names: Names = [(NameOID.COMMON_NAME, "Test Root")]
    root = Issuer(name_of(root_names), new_key())
    between_names: Names = [(NameOID.COMMON_NAME, "Test WWDR")]
    between = Issuer(name_of(between_names), new_key())
    own_key = new_key()
    (folder / "root.pem").write_bytes(root.issue(root_names, root.key, is_authority=True).public_bytes(Encoding.PEM))
    intermediate = root.issue(between_names, between.key, is_authority=True)
    (folder / "wwdr.pem").write_bytes(intermediate.public_bytes(Encoding.PEM))
    own = between.issue(
        [
            (NameOID.USER_ID, "pass.example.venue"),
            (NameOID.COMMON_NAME, "Pass Type ID: pass.example.venue"),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, "TEAM123456"),
        ],
        own_key,
    )
    (folder / "pass.pem").write_bytes(own.public_bytes(Encoding.PEM) + pem_of(own_key))
    account = {"client_email": "tickets@venue.example", "private_key": pem_of(own_key).decode()}
    (folder / "account.json").write_text(json.dumps(account))
    return folder
