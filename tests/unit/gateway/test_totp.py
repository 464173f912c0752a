"""Authenticators: a code is of its half minute, a secret is unreadable where it is kept, recovery codes are random."""

from __future__ import annotations

import os

import pyotp
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.identity.totp import Authenticators
from tests.keyrings import sealed_with
from waiting_room.key_ring import KeyGroup, ring_of

NOW = 1_800_000_000
SECRET = "only the tests know this secret, 0123456789"


def authenticators(now: int = NOW, secret: str = SECRET) -> Authenticators:
    return Authenticators(secret, lambda: float(now))


def of_earlier_release(name: str, secret: str) -> bytes:
    """A secret as the release before the keyring kept it."""
    nonce = os.urandom(12)
    key = ring_of(SECRET).derived(KeyGroup.OPERATORS, b"admitone totp v1")[0]
    return nonce + AESGCM(key.secret).encrypt(nonce, secret.encode(), name.encode())


def test_a_code_is_taken_for_its_step_and_the_ones_beside_it() -> None:
    enrolment = authenticators().begin("Ada")
    code = pyotp.TOTP(enrolment.secret).at(NOW)
    for now, step in (
        (NOW - 30, NOW // 30),
        (NOW, NOW // 30),
        (NOW + 30, NOW // 30),
        (NOW + 60, None),
        (NOW - 60, None),
    ):
        assert authenticators(now).step_of("Ada", enrolment.kept, f"{code[:3]} {code[3:]}") == step
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    neighbours = {pyotp.TOTP(enrolment.secret).at(NOW + offset) for offset in (-30, 0, 30)}
    assert wrong in neighbours or authenticators().step_of("Ada", enrolment.kept, wrong) is None
    assert enrolment.uri.startswith("otpauth://totp/Admit%20One:Ada?secret=")


def test_a_kept_secret_is_of_one_operator_and_one_site() -> None:
    enrolment = authenticators().begin("Ada")
    code = pyotp.TOTP(enrolment.secret).at(NOW)
    assert enrolment.secret.encode() not in enrolment.kept
    assert authenticators().step_of("Ada", enrolment.kept, code) is not None
    assert authenticators().step_of("Grace", enrolment.kept, code) is None
    with sealed_with("another site's secret", site_secret=SECRET):
        assert authenticators().step_of("Ada", enrolment.kept, code) is None


def test_a_kept_secret_follows_the_data_keys_and_not_the_sites_secret() -> None:
    with sealed_with("an older data key", site_secret=SECRET):
        enrolment = authenticators().begin("Ada")
    code = pyotp.TOTP(enrolment.secret).at(NOW)
    another = authenticators(secret="another secret of the site, 0123456789")
    with sealed_with("a newer data key", "an older data key", site_secret=SECRET):
        assert another.step_of("Ada", enrolment.kept, code) is not None
        anew = another.sealed_anew("Ada", enrolment.kept)
    with sealed_with("a newer data key", site_secret=SECRET):
        assert another.step_of("Ada", anew, code) is not None
        assert another.sealed_anew("Ada", enrolment.kept) == enrolment.kept, "no key opens it, so it stays"


def test_an_authenticator_of_an_earlier_release_is_read_and_sealed_anew() -> None:
    secret = pyotp.random_base32()
    kept, code = of_earlier_release("Ada", secret), pyotp.TOTP(secret).at(NOW)
    assert authenticators().step_of("Ada", kept, code) is not None
    assert authenticators().step_of("Grace", kept, code) is None
    assert authenticators().step_of("Ada", b"neither of the two", code) is None
    anew = authenticators().sealed_anew("Ada", kept)
    assert authenticators(secret=SECRET[::-1]).step_of("Ada", anew, code) is not None, "no signing key is asked for it"


def test_recovery_codes_are_read_however_they_are_typed() -> None:
    ours = authenticators()
    codes = ours.recovery_codes()
    assert len(set(codes)) == 10
    assert all(len(code.replace("-", "")) == 13 for code in codes)
    kept = ours.hash_of("Ada", codes[0])
    assert kept == ours.hash_of("Ada", codes[0].lower().replace("-", " "))
    assert kept != ours.hash_of("Grace", codes[0])
