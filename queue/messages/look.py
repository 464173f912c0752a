"""The site's look in its messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from messages.brand_settings import BrandSettings
from messages.colours import INK, readable_on

AMBER = "#f5b301"


@dataclass(frozen=True, slots=True)
class Look:
    """The site's name, its colour with the colour of text on it, and its legal pages."""

    name: str = "Admit One"
    colour: str = AMBER
    ink: str = INK
    imprint_url: str = ""
    privacy_url: str = ""

    @classmethod
    def of(cls, settings: BrandSettings) -> Self:
        colour = settings.colour.lower() or AMBER
        return cls(settings.name, colour, readable_on(colour) or INK, settings.imprint_url, settings.privacy_url)
