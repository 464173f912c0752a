"""Authenticators: a code is of its half minute, a secret is unreadable where it is kept, recovery codes are random."""

from __future__ import annotations

import pyotp

from gateway.identity.totp import Authenticators

NOW = 1_800_000_000
SECRET = "only the tests know this secret, 0123456789"


def authenticators(now: int = NOW, secret: str = SECRET) -> Authenticators:
    return Authenticators(secret, lambda: float(now))


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
    assert authenticators(secret=SECRET[::-1]).step_of("Ada", enrolment.kept, code) is None


def test_recovery_codes_are_read_however_they_are_typed() -> None:
    ours = authenticators()
    codes = ours.recovery_codes()
    assert len(set(codes)) == 10
    assert all(len(code.replace("-", "")) == 13 for code in codes)
    kept = ours.hash_of("Ada", codes[0])
    assert kept == ours.hash_of("Ada", codes[0].lower().replace("-", " "))
    assert kept != ours.hash_of("Grace", codes[0])
