"""Tickets for the wallets of phones: a signed file for Apple Wallet, and a signed link for Google Wallet.

A pass shows the signed ticket as its QR code, as the page does. It does not hear of changes: a ticket that is handed on
or cancelled stays in the wallet, and is refused at the door.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import quote

from tickets.settings import WalletSettings

# A process without wallets starts without these packages. One with wallets has loaded them when it has read the keys.
if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from joserfc.jwk import RSAKey

APPLE_MEDIA_TYPE: Final = "application/vnd.apple.pkpass"
_GOOGLE_SAVE: Final = "https://pay.google.com/gp/v/save/"
_ICONS: Final = {"icon.png": 29, "icon@2x.png": 58, "icon@3x.png": 87}
"""Apple's sizes, in pixels a side."""


class WalletError(ValueError):
    """A setting of the wallets cannot be used. The message begins with its variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletTicket:
    """A ticket as a wallet shows it.

    Attributes:
        serial: names this issue of the ticket among all of the site.
        language: the tag of the language of the labels.
        labels: the words for ``ticket``, ``section``, ``entrance``, ``row`` and ``seat``.
        qr: the signed ticket.
    """

    serial: str
    event_id: int
    event_name: str
    venue: str
    begins: dt.datetime
    language: str
    labels: Mapping[str, str]
    ticket_type: str
    section: str
    entrance: str
    row: str
    seat: str
    code: str
    qr: str

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The facts that have a label, without empty ones."""
        said = (
            ("ticket", self.ticket_type),
            ("section", self.section),
            ("entrance", self.entrance),
            ("row", self.row),
            ("seat", self.seat),
        )
        return [(name, value) for name, value in said if value]


@dataclass(frozen=True, slots=True)
class AppleWallet:
    """Signs passes with the certificate of a pass type, which names the pass type and the team."""

    certificate: x509.Certificate
    key: RSAPrivateKey | EllipticCurvePrivateKey
    intermediate: x509.Certificate

    @classmethod
    def of(cls, settings: WalletSettings) -> Self | None:
        """Raises:
        WalletError: a file cannot be read, or is none.
        """
        if not settings.apple_certificate:
            return None
        from cryptography import x509
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from cryptography.x509.oid import NameOID

        own = _read("ADMITONE_WALLET_APPLE_CERTIFICATE", settings.apple_certificate)
        between = _read("ADMITONE_WALLET_APPLE_INTERMEDIATE", settings.apple_intermediate)
        try:
            key = load_pem_private_key(own, None)
            certificate = x509.load_pem_x509_certificate(own)
        except (ValueError, TypeError) as error:
            raise WalletError(f"ADMITONE_WALLET_APPLE_CERTIFICATE: {error}") from None
        try:
            intermediate = x509.load_pem_x509_certificate(between)
        except ValueError as error:
            raise WalletError(f"ADMITONE_WALLET_APPLE_INTERMEDIATE: {error}") from None
        if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
            raise WalletError("ADMITONE_WALLET_APPLE_CERTIFICATE: its key is neither RSA nor of an elliptic curve")
        found = cls(certificate, key, intermediate)
        if not (found._named(NameOID.USER_ID) and found._named(NameOID.ORGANIZATIONAL_UNIT_NAME)):
            raise WalletError("ADMITONE_WALLET_APPLE_CERTIFICATE: it is no certificate of a pass type")
        return found

    def pass_file(self, ticket: WalletTicket, *, organisation: str, colour: str, ink: str, icon: bytes) -> bytes:
        """The file that a phone opens in Apple Wallet.

        Args:
            colour: the site's, as #rrggbb; ``ink`` the text's on it.
            icon: a square PNG.
        """
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.serialization import Encoding
        from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

        files = {"pass.json": json.dumps(self._said(ticket, organisation, colour, ink)).encode(), **_icons(icon)}
        files["manifest.json"] = json.dumps(
            # The format asks for SHA-1, and the manifest itself is signed by SHA-256.
            {name: hashlib.sha1(content, usedforsecurity=False).hexdigest() for name, content in files.items()}
        ).encode()
        files["signature"] = (
            PKCS7SignatureBuilder()
            .set_data(files["manifest.json"])
            .add_signer(self.certificate, self.key, hashes.SHA256())
            .add_certificate(self.intermediate)
            .sign(Encoding.DER, [PKCS7Options.DetachedSignature, PKCS7Options.Binary])
        )
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return packed.getvalue()

    def _said(self, ticket: WalletTicket, organisation: str, colour: str, ink: str) -> dict[str, Any]:
        from cryptography.x509.oid import NameOID

        begins = ticket.begins.isoformat()
        return {
            "formatVersion": 1,
            "passTypeIdentifier": self._named(NameOID.USER_ID),
            "teamIdentifier": self._named(NameOID.ORGANIZATIONAL_UNIT_NAME),
            "organizationName": organisation,
            "serialNumber": ticket.serial,
            "description": ticket.event_name,
            "backgroundColor": _rgb(colour),
            "foregroundColor": _rgb(ink),
            "labelColor": _rgb(ink),
            "relevantDate": begins,
            "barcodes": [
                {
                    "format": "PKBarcodeFormatQR",
                    "message": ticket.qr,
                    "messageEncoding": "iso-8859-1",
                    "altText": ticket.code,
                }
            ],
            "eventTicket": {
                "primaryFields": [{"key": "event", "value": ticket.event_name}],
                "secondaryFields": [
                    {"key": "venue", "value": ticket.venue},
                    {
                        "key": "begins",
                        "value": begins,
                        "dateStyle": "PKDateStyleMedium",
                        "timeStyle": "PKDateStyleShort",
                        "ignoresTimeZone": True,
                    },
                ],
                "auxiliaryFields": [
                    {"key": name, "label": ticket.labels[name], "value": value} for name, value in ticket.facts
                ],
            },
        }

    def _named(self, oid: x509.ObjectIdentifier) -> str:
        found = self.certificate.subject.get_attributes_for_oid(oid)
        return str(found[0].value) if found else ""


@dataclass(frozen=True, slots=True)
class GoogleWallet:
    """Signs links with the key of a service account."""

    account: str
    key: RSAKey
    issuer: str

    @classmethod
    def of(cls, settings: WalletSettings) -> Self | None:
        """Raises:
        WalletError: a file cannot be read, or is none; no issuer is named.
        """
        if not settings.google_account:
            return None
        from joserfc import jwt  # noqa: F401 - so that no ticket waits for it to load
        from joserfc.jwk import RSAKey

        content = _read("ADMITONE_WALLET_GOOGLE_ACCOUNT", settings.google_account)
        if not settings.google_issuer.isdigit():
            raise WalletError("ADMITONE_WALLET_GOOGLE_ISSUER: name the issuer's number")
        try:
            said = json.loads(content)
            return cls(str(said["client_email"]), RSAKey.import_key(said["private_key"]), settings.google_issuer)
        except (ValueError, KeyError, TypeError) as error:
            raise WalletError(f"ADMITONE_WALLET_GOOGLE_ACCOUNT: it is no key of a service account: {error!r}") from None

    def link(self, ticket: WalletTicket, *, organisation: str, now: int) -> str:
        """The link that saves the ticket in Google Wallet.

        Args:
            now: Unix time in seconds.
        """
        from joserfc import jwt

        event = f"{self.issuer}.event-{ticket.event_id}"

        def text(value: str) -> dict[str, Any]:
            return {"defaultValue": {"language": ticket.language, "value": value}}

        seat = {"section": ticket.section, "gate": ticket.entrance, "row": ticket.row, "seat": ticket.seat}
        claims = {
            "iss": self.account,
            "aud": "google",
            "typ": "savetowallet",
            "iat": now,
            "payload": {
                "eventTicketClasses": [
                    {
                        "id": event,
                        "issuerName": organisation,
                        "reviewStatus": "UNDER_REVIEW",
                        "eventName": text(ticket.event_name),
                        "venue": {"name": text(ticket.venue), "address": text(ticket.venue)},
                        "dateTime": {"start": ticket.begins.isoformat()},
                    }
                ],
                "eventTicketObjects": [
                    {
                        "id": f"{self.issuer}.{ticket.serial}",
                        "classId": event,
                        "state": "ACTIVE",
                        "ticketType": text(ticket.ticket_type),
                        "seatInfo": {name: text(value) for name, value in seat.items() if value},
                        "barcode": {"type": "QR_CODE", "value": ticket.qr, "alternateText": ticket.code},
                    }
                ],
            },
        }
        return _GOOGLE_SAVE + quote(jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, self.key))


class Wallets(NamedTuple):
    """The wallets that the site offers."""

    apple: AppleWallet | None
    google: GoogleWallet | None

    @classmethod
    def of(cls, settings: WalletSettings) -> Self:
        """Raises:
        WalletError: a setting cannot be used.
        """
        return cls(AppleWallet.of(settings), GoogleWallet.of(settings))


def _read(variable: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise WalletError(f"{variable}: {error}") from None


def _icons(icon: bytes) -> dict[str, bytes]:
    from PIL import Image

    found = {}
    with Image.open(io.BytesIO(icon)) as picture:
        for name, side in _ICONS.items():
            content = io.BytesIO()
            picture.convert("RGBA").resize((side, side)).save(content, "PNG")
            found[name] = content.getvalue()
    return found


def _rgb(colour: str) -> str:
    return f"rgb({int(colour[1:3], 16)}, {int(colour[3:5], 16)}, {int(colour[5:7], 16)})"
