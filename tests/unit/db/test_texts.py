"""Texts as keyboards of the world type them: one form, what is seen of them, and when two are the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from db.texts import (
    END,
    NO_NUL,
    ONE_LINE,
    alike,
    fault_of_line,
    fault_of_name,
    has_visible,
    sought,
    tidy,
    with_plain_digits,
)
from gateway.contract import line, programme, rooms, sessions, webhooks
from waiting_room.access import NAMED_CODE

FLAG = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
"""England's: a black flag with letters that nobody sees."""


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        *" \t\n\u00a0\u2003\u3000",
        *"\u200b\u200d\u2060\ufeff\u00ad\u200e\u202e\u2066\u061c",
        *"\u3164\u115f\u1160\uffa0\u2800\u180e\ufe0f\u034f\u17b4",
        *"\U000e0020\U0001d159\U0001d173\ufffe\ufdd0\x1b\x07",
        "\u0301",
        " \u200b\u00a0\u202e ",
    ],
)
def test_what_leaves_no_mark_is_no_name(text: str) -> None:
    assert not has_visible(text)
    assert tidy(text) == ""
    assert fault_of_name(tidy(text), 200)


@pytest.mark.parametrize(
    "text",
    [
        "Stalls",
        "!!!",
        "\u00bf?",
        "\u6771\u4eac",
        "\u05e9\u05dc\u05d5\u05dd",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0639\u0631\u0636\u200f!",
        "\u2764\ufe0f",
        "\U0001f469\u200d\U0001f467",
        FLAG,
        "\U0001fae9",
        "\u0928\u092e\u0938\u094d\u0924\u0947",
        "Donau\u00addampf",
        "\u202eabc\u202c",
    ],
)
def test_what_is_seen_stays_as_it_was_typed(text: str) -> None:
    assert tidy(f" \u00a0\ufeff{text}\u200b\n") == text
    assert fault_of_name(text, 200) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café", decomposed("Café")),
        ("Parterre A", "Parterre\u00a0A"),
        ("Parterre A", "Parterre  \u2009A "),
        ("Stalls", "Sta\u200blls\ufeff"),
        ("Donaudampf", "Donau\u00addampf"),
    ],
)
def test_twins_are_alike(one: str, other: str) -> None:
    assert alike(one) == alike(other)
    assert sought(one) == sought(other)


@pytest.mark.parametrize(("one", "other"), [("Stalls", "stalls"), ("Cafe", "Café"), ("m²", "m2"), ("A B", "AB")])
def test_what_people_tell_apart_is_not_alike(one: str, other: str) -> None:
    assert alike(one) != alike(other)


def test_a_search_takes_wide_letters_for_plain_ones() -> None:
    assert sought("\uff2c\uff49\uff56\uff45") == "Live"


def test_a_text_is_measured_as_it_is_stored() -> None:
    # One of the few characters that NFC makes longer.
    name = tidy("\u0958" * 150)
    assert len(name) == 300
    assert fault_of_line(name, 200)
    assert fault_of_line(tidy(decomposed("é" * 200)), 200) is None
    assert fault_of_line("two\nlines", 200)
    assert fault_of_line("", 200) is None


def test_digits_of_every_script_are_plain() -> None:
    assert with_plain_digits("a\u0662\u06f0\u0967\uff19\U0001d7d8²") == "a20190²"


@pytest.mark.parametrize("pattern", ["^[A-Z]{3}" + END, ONE_LINE, NAMED_CODE])
def test_a_pattern_ends_at_the_end(pattern: str) -> None:
    body = msgspec.json.Decoder(msgspec.defstruct("Body", [("text", _with_pattern(pattern))]))
    body.decode(b'{"text":"PRESS"}' if pattern != "^[A-Z]{3}" + END else b'{"text":"EUR"}')
    for end in ("\\n", "\\r\\n", "\\u2028", "\\u0000"):
        with pytest.raises(msgspec.ValidationError):
            body.decode(f'{{"text":"EURO{end}"}}'.encode())


def test_texts_of_several_lines_have_no_nul() -> None:
    assert re.search(NO_NUL, "one\ntwo\n")
    assert not re.search(NO_NUL, "one\x00")


def test_no_pattern_of_the_contract_ends_before_a_newline() -> None:
    bodies = [
        one
        for module in (line, programme, rooms, sessions, webhooks)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, msgspec.Struct)
    ]
    patterns = set(_patterns(msgspec.json.schema_components(bodies)[1]))
    assert len(patterns) > 3
    assert [one for one in patterns if not one.endswith(END)] == []


def _patterns(schema: object) -> Iterator[str]:
    match schema:
        case dict():
            if isinstance(schema.get("pattern"), str):
                yield schema["pattern"]
            for inner in schema.values():
                yield from _patterns(inner)
        case list():
            for inner in schema:
                yield from _patterns(inner)


def _with_pattern(pattern: str) -> object:
    return Annotated[str, Meta(pattern=pattern)]
