"""Passes for wallets: what they say, and that their signatures are good for whoever has the certificates alone."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import subprocess
import zipfile
from pathlib import Path
from urllib.parse import unquote

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey
from PIL import Image

from tests.unit.tickets.wallet_chain import Issuer, name_of, new_key, pem_of, write_chain
from tickets.settings import WalletSettings
from tickets.wallets import AppleWallet, GoogleWallet, WalletError, WalletTicket

TICKET = WalletTicket(
    serial="019a5b1e-2-14-7-1",
    event_id=1,
    event_name="Nacht & Träume",
    venue="Arena",
    begins=dt.datetime(2030, 1, 1, 20, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    language="de",
    labels={"ticket": "Ticket", "section": "Bereich", "entrance": "Eingang", "row": "Reihe", "seat": "Platz"},
    ticket_type="Parkett",
    section="",
    entrance="Nord",
    row="14",
    seat="7",
    code="ABCDEFGHIJKLMNOP",
    qr="AEHL" * 42 + "AA",
)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chain(tmp_path_factory.mktemp("wallet"))


def settings_of(chain: Path) -> WalletSettings:
    return WalletSettings(
        apple_certificate=str(chain / "pass.pem"),
        apple_intermediate=str(chain / "wwdr.pem"),
        google_account=str(chain / "account.json"),
        google_issuer="3388000000012345678",
    )


def test_an_apple_pass_says_the_ticket_and_is_signed_by_the_chain(chain: Path, tmp_path: Path) -> None:
    icon = io.BytesIO()
    Image.new("RGB", (192, 192), "#f5b301").save(icon, "PNG")
    wallet = AppleWallet.of(settings_of(chain))
    assert wallet is not None
    packed = wallet.pass_file(TICKET, organisation="Arena", colour="#f5b301", ink="#17181c", icon=icon.getvalue())
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    said = json.loads(files["pass.json"])
    assert (said["passTypeIdentifier"], said["teamIdentifier"]) == ("pass.example.venue", "TEAM123456")
    assert said["barcodes"][0]["message"] == TICKET.qr
    assert [one["value"] for one in said["eventTicket"]["auxiliaryFields"]] == ["Parkett", "Nord", "14", "7"]
    manifest = json.loads(files["manifest.json"])
    assert manifest == {
        name: hashlib.sha1(content).hexdigest()
        for name, content in files.items()
        if name not in ("manifest.json", "signature")
    }
    assert set(manifest) == {"pass.json", "icon.png", "icon@2x.png", "icon@3x.png"}
    for name in ("manifest.json", "signature"):
        (tmp_path / name).write_bytes(files[name])

    def verified() -> bool:
        # OpenSSL knows the root alone: the intermediate must come with the signature.
        done = subprocess.run(
            ["openssl", "smime", "-verify", "-binary", "-inform", "DER", "-in", tmp_path / "signature",
             "-content", tmp_path / "manifest.json", "-CAfile", chain / "root.pem", "-purpose", "any"],
            capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0

    assert verified()
    (tmp_path / "manifest.json").write_bytes(files["manifest.json"].replace(b"icon.png", b"icom.png"))
    assert not verified(), "a changed manifest is refused"


def test_a_google_link_is_signed_by_the_account(chain: Path) -> None:
    wallet = GoogleWallet.of(settings_of(chain))
    assert wallet is not None
    link = wallet.link(TICKET, organisation="Arena", now=1_900_000_000)
    assert link.startswith("https://pay.google.com/gp/v/save/")
    assert len(link) < 2048
    token = unquote(link.rpartition("/")[2])
    key = RSAKey.import_key(json.loads((chain / "account.json").read_text())["private_key"])
    claims = jwt.decode(token, key, algorithms=["RS256"]).claims
    assert (claims["iss"], claims["aud"], claims["typ"]) == ("tickets@venue.example", "google", "savetowallet")
    (of_class,), (of_ticket,) = (claims["payload"][f"eventTicket{name}"] for name in ("Classes", "Objects"))
    assert of_ticket["classId"] == of_class["id"]
    assert of_ticket["barcode"]["value"] == TICKET.qr
    assert "section" not in of_ticket["seatInfo"]


def test_nothing_is_offered_unless_it_is_set_and_wrong_files_are_named(chain: Path, tmp_path: Path) -> None:
    assert AppleWallet.of(WalletSettings()) is None
    assert GoogleWallet.of(WalletSettings()) is None
    good = settings_of(chain)
    other = tmp_path / "other.pem"
    other.write_text("no certificate")
    plain = tmp_path / "plain.pem"
    key = new_key()
    certificate = Issuer(name_of([(NameOID.COMMON_NAME, "x")]), key).issue([(NameOID.COMMON_NAME, "x")], key)
    plain.write_bytes(certificate.public_bytes(Encoding.PEM) + pem_of(key))
    for changed, variable in (
        ({"apple_certificate": str(other)}, "APPLE_CERTIFICATE"),
        ({"apple_certificate": str(plain)}, "APPLE_CERTIFICATE"),
        ({"apple_intermediate": str(other)}, "APPLE_INTERMEDIATE"),
        ({"apple_intermediate": ""}, "APPLE_INTERMEDIATE"),
    ):
        with pytest.raises(WalletError, match=f"^ADMITONE_WALLET_{variable}"):
            AppleWallet.of(_replaced(good, changed))
    for changed, variable in (
        ({"google_account": str(other)}, "GOOGLE_ACCOUNT"),
        ({"google_issuer": ""}, "GOOGLE_ISSUER"),
    ):
        with pytest.raises(WalletError, match=f"^ADMITONE_WALLET_{variable}"):
            GoogleWallet.of(_replaced(good, changed))


def _replaced(settings: WalletSettings, changed: dict[str, str]) -> WalletSettings:
    values = {name: getattr(settings, name) for name in settings.__struct_fields__}
    return WalletSettings(**{**values, **changed})
