"""Codes as people type them, and what is kept of them."""

from __future__ import annotations

import re

import pytest

from waiting_room.access import LETTERS, NAMED_CODE, CodeHasher, plain, random_codes

HASHER = CodeHasher("a secret of the tests")


def test_random_codes_differ_and_have_sixty_bits() -> None:
    codes = random_codes(500)
    assert len({plain(code) for code in codes}) == 500
    for code in codes:
        assert re.fullmatch(rf"(?:[{LETTERS}]{{4}}-){{2}}[{LETTERS}]{{4}}", code)
        assert re.fullmatch(NAMED_CODE, code)


@pytest.mark.parametrize(
    "typed",
    [
        "7k2m-q0xd-931a",
        " 7K2M Q0XD 931A",
        "7K2MQOXD93IA",
        "７K2M-q0xd-93la",
        "7k2m\u2011q0xd\u00a0931a\u200f",
        "\u0667k\u0662m-q\u0660xd-\u0669\u0663\u0661a",
        "\u06f7k\u06f2m-q\u06f0xd-\u06f9\u06f3\u06f1a",
        "7k2m-q0xd-93\u0131a",
        "7K2M-Q0XD-93\u0130A",
        "7K2M-Q0XD-93I\u0307A",
    ],
)
def test_a_code_is_the_same_however_it_is_typed(typed: str) -> None:
    assert HASHER.hash(1, typed) == HASHER.hash(1, "7K2M-Q0XD-931A")


def test_what_is_kept_is_bound_to_event_code_and_secret() -> None:
    kept = HASHER.hash(1, "FANCLUB")
    assert (
        len({kept, HASHER.hash(2, "FANCLUB"), HASHER.hash(1, "FANCLUBS"), CodeHasher("another").hash(1, "FANCLUB")})
        == 4
    )
    assert b"FANC" not in kept


@pytest.mark.parametrize(
    "name", ["abc", "----", "a-b-c", "FAN_CLUB", "a--b--c--d", "-fan1", "", "OTHER\n", "FAN1\u0660"]
)
def test_a_name_has_four_letters_at_least(name: str) -> None:
    assert re.search(NAMED_CODE, name) is None
