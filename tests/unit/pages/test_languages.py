"""The catalogues of the fans' pages: complete, true to their placeholders, and put into the scripts."""

from __future__ import annotations

import json
import re
import string
import subprocess
import sys
from pathlib import Path

import pytest
from babel import Locale
from babel.messages.catalog import Catalog

from gateway.pages import texts
from gateway.pages.languages import OTHERS, Language
from gateway.pages.look import FOLDER
from gateway.pages.script_texts import translated

_PERCENT = re.compile(r"%\((\w+)\)s")
_TAG = re.compile(r"</?\w+[^>]*>")
_STRING = re.compile(
    r"""//[^\n]*|/\*.*?\*/|(?P<plain>"(?:[^"\\\n]|\\.)*")|(?P<template>`(?:[^`\\]|\\.)*`)""", re.DOTALL
)
"""A script's strings, and the comments, which may hold what looks like one."""
_INSIDE = re.compile(r"\$\{(?:[^{}]|\{[^{}]*\})*\}")
_LIKE_A_SENTENCE = re.compile(r"^[A-Z][a-z’]+\b(?!-)|[a-z’,]{2,} [a-z’]{2,}(?!=)")


class Pretended(Language):
    """German by its rules, with a catalogue of our own making."""

    def __init__(self, catalogue: Catalog) -> None:
        super().__init__("de")
        self.__dict__["catalogue"] = catalogue


@pytest.fixture(scope="module")
def said() -> Catalog:
    return texts.texts()


def placeholders(text: str) -> set[str]:
    braces = {name for _, name, _, _ in string.Formatter().parse(_PERCENT.sub("", text)) if name}
    return braces | set(_PERCENT.findall(text))


@pytest.mark.parametrize("language", OTHERS, ids=lambda language: language.tag)
def test_a_translation_keeps_what_stands_in_its_text(said: Catalog, language: Language) -> None:
    for message in said:
        if not message.id:
            continue
        english = message.id if isinstance(message.id, str) else message.id[1]
        forms = language.forms.get(message.id if isinstance(message.id, str) else message.id[0])
        assert forms is not None, f"no translation: make texts, and translate {english!r}"
        expected = 1 if isinstance(message.id, str) else language.catalogue.num_plurals
        assert len(forms) == expected, english
        for form in forms:
            # A form for one or two may say the number in words.
            missing = placeholders(english) - placeholders(form)
            assert missing <= ({"n", "people", "fans"} if expected > 1 else set()), (english, form)
            assert placeholders(form) <= placeholders(english), (english, form)
            assert _TAG.findall(form) == _TAG.findall(english), (english, form)
            assert '"' not in form or '"' in english, f"it may stand in an attribute: {form}"


@pytest.mark.long
def test_make_texts_leaves_what_is_translated(said: Catalog) -> None:
    before = {language.tag: (FOLDER / "locales" / f"{language.tag}.po").read_bytes() for language in OTHERS}
    subprocess.run([sys.executable, "-m", "gateway.pages.texts"], cwd=FOLDER.parent.parent, check=True)
    for tag, content in before.items():
        now = (FOLDER / "locales" / f"{tag}.po").read_bytes()
        (FOLDER / "locales" / f"{tag}.po").write_bytes(content)
        assert now == content, f"make texts, and commit {tag}.po"


def test_a_script_speaks_the_language_of_its_bundle() -> None:
    catalogue = Catalog(locale=Locale.parse("de"))
    catalogue.add("Sold out", "Ausverkauft")
    catalogue.add(("{n} seat", "{n} seats"), ("{n} Platz", "{n} Plätze"))
    script = (
        "const pluralForm = (n) => Number(n !== 1);\n"
        'say(t("Sold out"), page.t("Sold out"), tn("{n} seat", "{n} seats", 2), t("New"));\n'
    )
    assert translated(script, Pretended(catalogue)) == (
        "const pluralForm = (n) => Number((n != 1));\n"
        'say(t("Ausverkauft"), page.t("Sold out"), tn(["{n} Platz", "{n} Plätze"], 0, 2), t("New"));\n'
    )


FOR_FANS = (
    *(FOLDER / "static" / "event").glob("*.js"),
    *(FOLDER / "static" / "plan").glob("*.js"),
    *(FOLDER / "static" / f"{name}.js" for name in ("purchase", "draw", "captcha", "cookies", "seat-words", "words")),
)
TEMPLATES_FOR_FANS = ("base", "draw", "error", "event", "events", "languages", "purchase", "purchases")
CODE = frozenset({
    "ArrowDown", "ArrowLeft", "ArrowRight", "ArrowUp", "End", "Enter", "Home", "Idempotency-Key", "Notification",
    "The server did not answer.",
    "`person is-`", "`message toast `", "scenery focus", "`key price-`",
    "Escape", "`translate(px, px) scale()`",
    "any-hover: hover", "beforeunload pagehide", "button big", "button quiet", "muted map-wait",
})  # fmt: skip
"""Names of keys and classes: text that no fan reads."""


@pytest.mark.parametrize("script", FOR_FANS, ids=lambda path: path.name)
def test_no_sentence_of_a_fans_script_stands_outside_the_catalogues(script: Path, said: Catalog) -> None:
    known = set(CODE)
    for message in said:
        known.update([message.id] if isinstance(message.id, str) else message.id)
    strays = []
    for string_or_comment in _STRING.finditer(script.read_text()):
        if string_or_comment["plain"]:
            text = str(json.loads(string_or_comment["plain"]))
        else:
            text = _INSIDE.sub("", string_or_comment["template"] or "")
        if _LIKE_A_SENTENCE.search(text) and text not in known and not text.startswith("`<"):
            strays.append(text)
    assert strays == []


@pytest.mark.parametrize("name", TEMPLATES_FOR_FANS)
def test_no_sentence_of_a_fans_template_stands_outside_the_catalogues(name: str) -> None:
    text = (FOLDER / "templates" / f"{name}.html").read_text()
    text = re.sub(r"\{% trans.*?endtrans %\}|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", text, flags=re.DOTALL)
    attributes = re.findall(r'\b(?:aria-label|placeholder|title|alt)="([^"]*)"', text)
    shown = re.split(r"<[^>]*>", text)
    strays = [one.strip() for one in (*attributes, *shown) if re.search(r"[^\W\d_]{2,}", one)]
    assert [one for one in strays if one.strip("· ") != "Admit One"] == []
