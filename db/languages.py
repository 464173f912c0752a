"""The languages that the fans' pages speak, and a text that operators give in some of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from db.texts import NO_NUL, tidy

MESSAGE_CHARS_MAX: Final = 280

_Text = Annotated[str, Meta(max_length=MESSAGE_CHARS_MAX, pattern=NO_NUL)]


class Texts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A text by the tag of each language. It is empty, and left out of JSON, where a language has none."""

    en: _Text = ""
    de: _Text = ""
    fr: _Text = ""
    es: _Text = ""
    ja: _Text = ""
    ar: _Text = ""

    @classmethod
    def known_of(cls, stored: Mapping[str, Any]) -> Texts:
        """The texts of the languages that this release has; a newer one may have stored others too."""
        return cls(**{tag: stored[tag] for tag in LANGUAGE_TAGS if tag in stored})

    def of(self, tag: str) -> str:
        """The text in the language; empty if it has none."""
        return str(getattr(self, tag))

    def tidied(self) -> Texts:
        """The texts as they are stored."""
        return Texts(**{tag: tidy(self.of(tag)) for tag in LANGUAGE_TAGS})

    def __str__(self) -> str:
        """JSON, in which the database, the log, Redis and the command have the texts."""
        return msgspec.json.encode(self).decode()


LANGUAGE_TAGS: Final = Texts.__struct_fields__
"""The tag of every language, in the order in which a page offers them."""
