from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import partial

import jwt
import pytest

from waiting_room.errors import TokenInvalid
from waiting_room.tokens import AdmissionPass, PlaceToken, Tokens

SECRET = "a secret of the tests, of no use anywhere"
NOW_MS = 1_795_000_000_000
PLACE = PlaceToken(event=42, fan=7, epoch=1_795_000_000, number=5, joined_at_ms=NOW_MS, session="abc")
PASS = AdmissionPass(event=42, fan=7, until_ms=NOW_MS + 900_000)


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(SECRET, place_seconds=3600, hold_seconds=600, now=lambda: NOW_MS / 1000)


def reason(check: Callable[[], object]) -> str:
    with pytest.raises(TokenInvalid) as refused:
        check()
    return refused.value.reason


def part(content: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def test_what_is_signed_is_what_is_read(tokens: Tokens) -> None:
    assert tokens.verify_place(tokens.sign_place(PLACE), event=42) == PLACE
    assert tokens.verify_pass(tokens.sign_pass(PASS), event=42, fan=7) == PASS


def test_they_are_compact(tokens: Tokens) -> None:
    assert len(tokens.sign_place(PLACE)) < 300


def test_another_secret_signs_nothing(tokens: Tokens) -> None:
    stranger = Tokens("another", place_seconds=3600, hold_seconds=600)
    assert reason(lambda: tokens.verify_pass(stranger.sign_pass(PASS), event=42, fan=7)) == "signature"
    assert reason(lambda: tokens.verify_place(stranger.sign_place(PLACE), event=42)) == "signature"


def test_a_place_is_no_pass_nor_a_pass_a_place(tokens: Tokens) -> None:
    assert reason(lambda: tokens.verify_pass(tokens.sign_place(PLACE), event=42, fan=7)) == "signature"
    assert reason(lambda: tokens.verify_place(tokens.sign_pass(PASS), event=42)) == "signature"


def test_the_secret_itself_signs_nothing(tokens: Tokens) -> None:
    claims = {"event": 42, "fan": 7, "until_ms": PASS.until_ms, "exp": NOW_MS // 1000 + 60}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    assert reason(lambda: tokens.verify_pass(token, event=42, fan=7)) == "signature"


@pytest.mark.parametrize("algorithm", ["none", "None", "HS512", "RS256"])
def test_the_algorithm_is_not_the_tokens_to_choose(tokens: Tokens, algorithm: str) -> None:
    _, payload, signature = tokens.sign_pass(PASS).split(".")
    header = part({"alg": algorithm, "typ": "JWT"})
    for forged in (f"{header}.{payload}.", f"{header}.{payload}.{signature}"):
        check = partial(tokens.verify_pass, forged, event=42, fan=7)
        assert reason(check) == "signature"


def test_a_changed_claim_breaks_it(tokens: Tokens) -> None:
    header, _, signature = tokens.sign_place(PLACE).split(".")
    better = part({"event": 42, "fan": 7, "epoch": 1, "number": 1, "joined_at_ms": 1, "session": "abc", "exp": 2**33})
    assert reason(lambda: tokens.verify_place(f"{header}.{better}.{signature}", event=42)) == "signature"


def test_it_is_good_for_its_event_and_a_pass_for_its_fan_only(tokens: Tokens) -> None:
    admission, place = tokens.sign_pass(PASS), tokens.sign_place(PLACE)
    assert reason(lambda: tokens.verify_pass(admission, event=43, fan=7)) == "event"
    assert reason(lambda: tokens.verify_pass(admission, event=42, fan=8)) == "fan"
    assert reason(lambda: tokens.verify_place(place, event=43)) == "event"


def test_a_pass_outlives_its_nominal_end_by_a_hold_and_no_longer(tokens: Tokens) -> None:
    over_ms = NOW_MS - (600 + 60) * 1000
    late = AdmissionPass(event=42, fan=7, until_ms=over_ms + 20_000)
    over = AdmissionPass(event=42, fan=7, until_ms=over_ms - 2_000)
    assert tokens.verify_pass(tokens.sign_pass(late), event=42, fan=7) == late
    assert reason(lambda: tokens.verify_pass(tokens.sign_pass(over), event=42, fan=7)) == "expired"


def test_a_place_token_ends_with_its_life(tokens: Tokens) -> None:
    old = PlaceToken(event=42, fan=7, epoch=1, number=5, joined_at_ms=NOW_MS - 3_602_000, session="abc")
    assert reason(lambda: tokens.verify_place(tokens.sign_place(old), event=42)) == "expired"


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "\x00", "é.é.é", "x" * 100_000, "e30.e30.e30"])
def test_rubbish_is_refused(tokens: Tokens, token: str) -> None:
    assert reason(lambda: tokens.verify_pass(token, event=42, fan=7)) in ("malformed", "signature")


@pytest.mark.parametrize(
    "claims",
    [
        {"event": 42, "fan": 7, "until_ms": 1},
        {"event": 42, "fan": 7, "exp": 2**33},
        {"event": "42", "fan": 7, "until_ms": 1, "exp": 2**33},
        {"event": 42, "fan": 7.5, "until_ms": 1, "exp": 2**33},
        {"event": 42, "fan": 7, "until_ms": 1, "exp": "never"},
    ],
)
def test_claims_must_be_whole_even_if_we_signed_them(tokens: Tokens, claims: dict[str, object]) -> None:
    token = jwt.encode(claims, tokens._passes._signing[1], algorithm="HS256")
    assert reason(lambda: tokens.verify_pass(token, event=42, fan=7)) == "malformed"
