"""The languages that the fans' pages speak: their catalogues, and which of them an answer is written in.

English stands in the templates, the scripts and the Python that show it. Every other language is a gettext catalogue
below ``gateway/pages/locales``. A page has an address of its own in each language, as in ``/de/events/1``. The address
without a language is in English; it sends a fan who prefers another language on to that language's address.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from babel import Locale
from babel.messages.catalog import Catalog
from babel.support import Translations
from litestar import Request

from db.languages import LANGUAGE_TAGS
from gateway.wire.addresses import below
from gateway.wire.negotiation import field, in_order_of_weight
from messages.languages import compiled, read_catalogue

FOLDER: Final = Path(__file__).resolve().parent / "locales"
CHOICE_COOKIE: Final = "admitone_language"
"""Holds the tag of the language that a fan chose at the foot of a page."""
FIRST_PARTS: Final = frozenset({"", "account", "events", "messages", "pay", "purchases", "sign-out", "wait"})
"""The first part of the address of every page that is written for fans."""


@dataclass(frozen=True, eq=False)
class Language:
    """A language by its ``tag``, which is HTML's ``lang`` and the first part of an address."""

    tag: str

    @cached_property
    def locale(self) -> Locale:
        return Locale.parse(self.tag)

    @property
    def name(self) -> str:
        """What its speakers call it."""
        name = self.locale.display_name or self.tag
        return name[:1].upper() + name[1:]

    @property
    def direction(self) -> str:
        """``ltr`` or ``rtl``, as in HTML's ``dir``."""
        return str(self.locale.text_direction)

    @property
    def source(self) -> bytes:
        """Its catalogue's file; empty for English, which has none."""
        path = FOLDER / f"{self.tag}.po"
        return path.read_bytes() if path.exists() else b""

    @cached_property
    def catalogue(self) -> Catalog:
        return read_catalogue(FOLDER, self.tag)

    @cached_property
    def translations(self) -> Translations:
        """Its texts, with gettext's methods. A text without a translation is found in English."""
        return compiled(self.catalogue)

    @cached_property
    def forms(self) -> Mapping[str, tuple[str, ...]]:
        """The translated texts by the English one, or by its singular: a form for each of the catalogue's plurals."""
        forms = {}
        for message in self.catalogue:
            if message.id and not message.fuzzy:
                english = message.id if isinstance(message.id, str) else message.id[0]
                translated = (message.string,) if isinstance(message.string, str) else tuple(message.string or ("",))
                if all(translated):
                    forms[english] = translated
        return MappingProxyType(forms)

    @property
    def plural_expression(self) -> str:
        """Gives the number of the form for ``n``. JavaScript, C and gettext read it alike."""
        return self.catalogue.plural_expr


ENGLISH: Final = Language("en")
LANGUAGES: Final = {
    language.tag: language for language in (ENGLISH, *(Language(tag) for tag in LANGUAGE_TAGS if tag != ENGLISH.tag))
}
"""Every language by its tag, in the order in which a page offers them."""
OTHERS: Final = tuple(language for language in LANGUAGES.values() if language is not ENGLISH)

_current: ContextVar[tuple[Language, str, str]] = ContextVar("language", default=(ENGLISH, "", "/"))


def current() -> Language:
    """The language of the answer that is being written."""
    return _current.get()[0]


def prefix() -> str:
    """How the addresses of this answer's links begin: with the site's root, if it has one, and then with the language
    that the request named, as in ``/tickets/de``.
    """
    return below(_current.get()[1])


def names_language() -> bool:
    """Whether the request's address names a language."""
    return bool(_current.get()[1])


def address() -> str:
    """The address of this answer without its language and its query."""
    return _current.get()[2]


def N_(english: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a text for the catalogues where it cannot be translated yet, as in a table."""
    return english


def gettext(english: str) -> str:
    """A text in the answer's language, or in English where the catalogue has none."""
    return current().translations.gettext(english)


def ngettext(one: str, many: str, number: int) -> str:
    """A text with a number in the answer's language. ``one`` and ``many`` are the English forms."""
    return current().translations.ngettext(one, many, number)


def enter(scope: Any) -> Any:
    """Note the language that an address names, and take it off the address of a fan's page.

    Any other address is left as it is. Otherwise ``/de/metrics`` would pass a proxy that keeps ``/metrics`` to itself.

    Args:
        scope: ASGI's, of an HTTP request.

    Returns:
        The scope, with the path as the routes know it.
    """
    path: str = scope["path"]
    tag, _, rest = path[1:].partition("/")
    language = LANGUAGES.get(tag)
    if language is None:
        _current.set((ENGLISH, "", path))
        return scope
    _current.set((language, f"/{tag}", f"/{rest}"))
    # Litestar takes several slashes for one, so an empty part is no page of its own unless nothing follows.
    if rest.strip("/").partition("/")[0] not in FIRST_PARTS:
        return scope
    return {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode()}


def without_language(path: str) -> str:
    """An address as its page has it in English, whatever language it names."""
    tag, _, rest = path[1:].partition("/")
    return f"/{rest}" if tag in LANGUAGES else path


def reader_decides(request: Request[Any, Any, Any]) -> bool:
    """Whether this reader's own choice of a language decides the answer: no other reader may be given the same."""
    return not names_language() and CHOICE_COOKIE in request.cookies


def preferred(request: Request[Any, Any, Any]) -> Language:
    """The language that the fan chose before, or else the first of the browser's that we have, or else English."""
    chosen = LANGUAGES.get(request.cookies.get(CHOICE_COOKIE, ""))
    if chosen is not None:
        return chosen
    for wanted in in_order_of_weight(field(request, "accept-language")):
        language = LANGUAGES.get(wanted.partition("-")[0])
        if language is not None or wanted == "*":
            return language or ENGLISH
    return ENGLISH
