"""The languages of messages: a gettext catalogue for each but English, below ``messages/locales``."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from db.languages import LANGUAGE_TAGS

FOLDER: Final = Path(__file__).resolve().parent / "locales"
ENGLISH: Final = "en"


def known(tag: str) -> str:
    """The language itself, or English where we do not speak it."""
    return tag if tag in LANGUAGE_TAGS else ENGLISH


@cache
def locale_of(tag: str) -> Locale:
    return Locale.parse(tag)


@cache
def translations_of(tag: str) -> NullTranslations:
    """The texts of messages in a language, with gettext's methods. A text without a translation is found in English."""
    return compiled(read_catalogue(FOLDER, tag))


def read_catalogue(folder: Path, tag: str) -> Catalog:
    """A language's catalogue as its file has it; empty where there is none, as for English."""
    path = folder / f"{tag}.po"
    if not path.exists():
        return Catalog(locale=locale_of(tag))
    with path.open("rb") as file:
        return read_po(file, locale=locale_of(tag))


def compiled(catalogue: Catalog) -> Translations:
    binary = BytesIO()
    write_mo(binary, catalogue)
    binary.seek(0)
    return Translations(binary)
