"""Settings of a site's own look."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from db.settings import Section, setting
from db.texts import ONE_LINE

NAME_MAX = 60


class BrandSettings(Section, frozen=True, kw_only=True):
    """Read by `gateway.branding.brand`, which says what each may be."""

    name: Annotated[
        str, setting("what the fans' pages call this site"), Meta(min_length=1, max_length=NAME_MAX, pattern=ONE_LINE)
    ] = "Admit One"
    colour: Annotated[
        str,
        setting("the site's colour, as #rrggbb; the text on it is dark or white, whichever can be read; empty: amber"),
    ] = ""
    logo: Annotated[
        str,
        setting(
            "file of the logo in the pages' head: SVG, PNG or WebP, 100 KB at most; empty: our ticket and the name"
        ),
    ] = ""
    icon: Annotated[
        str, setting("file of the icon on a phone's home screen: a square PNG of 192 pixels or more; empty: ours")
    ] = ""
    imprint_url: Annotated[str, setting("address of the imprint, which the foot of each page links to")] = ""
    privacy_url: Annotated[str, setting("address of the privacy notice, which the foot of each page links to")] = ""
    terms_url: Annotated[str, setting("address of the terms, which the foot of each page and the checkout link to")] = (
        ""
    )
