"""A site's own look, made of its settings and refused where fans could not read or follow it."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree

from PIL import Image, UnidentifiedImageError

from messages.brand_settings import BrandSettings
from messages.colours import CONTRAST_MIN, INK, WHITE, contrast, is_colour, readable_on

AMBER: Final = "#f5b301"
DARK_CARD: Final = "#191b20"
"""What is behind links where the fan's device is dark, as `admit.css` has it."""
DARK_INK: Final = "#f1f2f4"
LOGO_BYTES_MAX: Final = 102_400
ICON_BYTES_MAX: Final = 262_144
ICON_PIXELS: Final = range(192, 1025)
URL_CHARACTERS_MAX: Final = 500
_SVG: Final = "{http://www.w3.org/2000/svg}svg"


class BrandError(ValueError):
    """A setting of the site's look cannot be used. The message begins with its variable."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image of the site's, with the name under which it is served."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Brand:
    """The site's look. ``style`` are the rules of CSS that follow from ``colour``; both are empty where it is ours."""

    name: str = "Admit One"
    colour: str = ""
    style: str = ""
    logo: ImageFile | None = None
    icon: ImageFile | None = None
    imprint_url: str = ""
    privacy_url: str = ""
    terms_url: str = ""

    @property
    def shown_colour(self) -> str:
        return self.colour or AMBER


def check(settings: BrandSettings) -> None:
    """Refuse what can be refused without reading a file.

    Raises:
        BrandError: a colour on which no text can be read, or an address that is none.
    """
    if settings.colour:
        _style(settings.colour)
    for name in ("imprint_url", "privacy_url", "terms_url"):
        _check_url(f"ADMITONE_BRAND_{name.upper()}", getattr(settings, name))


def brand_of(settings: BrandSettings) -> Brand:
    """The look that the settings describe.

    Raises:
        BrandError: as `check`; and a file that cannot be read, is too large, or is no image of the kinds we take.
    """
    check(settings)
    return Brand(
        name=settings.name,
        colour=settings.colour.lower(),
        style=_style(settings.colour.lower()) if settings.colour else "",
        logo=_logo(settings.logo) if settings.logo else None,
        icon=_icon(settings.icon) if settings.icon else None,
        imprint_url=settings.imprint_url,
        privacy_url=settings.privacy_url,
        terms_url=settings.terms_url,
    )


def _style(colour: str) -> str:
    variable = "ADMITONE_BRAND_COLOUR"
    if not is_colour(colour):
        raise BrandError(f"{variable}: {colour!r} is no colour; write it as #rrggbb, e.g. #00567d")
    text = readable_on(colour)
    if text is None:
        best = max(contrast(colour, INK), contrast(colour, WHITE))
        raise BrandError(
            f"{variable}: neither dark nor white text can be read on {colour} (contrast {best:.1f}, at least "
            f"{CONTRAST_MIN} is needed); make it a little darker or lighter"
        )
    link = colour if contrast(colour, DARK_CARD) >= CONTRAST_MIN else DARK_INK
    return (
        f":root{{--amber:{colour};--amber-2:{colour};--on-amber:{text};--on-amber-soft:{text};--on-amber-line:{text}59}}"
        f"@media (prefers-color-scheme:dark){{:root{{--button:{colour};--on-button:{text};--link:{link}}}}}"
    )


def _check_url(variable: str, url: str) -> None:
    if not url:
        return
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_address = False
    if not is_address or len(url) > URL_CHARACTERS_MAX or any(sign <= " " or sign in '"<>\\^`{|}' for sign in url):
        raise BrandError(f"{variable}: {url!r} is no address; write it whole, e.g. https://example.org/imprint")


def _read(variable: str, path: str, bytes_max: int) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(bytes_max + 1)
    except OSError as error:
        raise BrandError(f"{variable}: {path} cannot be read: {error.strerror}") from None
    if len(content) > bytes_max:
        raise BrandError(f"{variable}: {path} has more than {bytes_max} bytes")
    return content


def _logo(path: str) -> ImageFile:
    variable = "ADMITONE_BRAND_LOGO"
    content = _read(variable, path, LOGO_BYTES_MAX)
    kind = _raster_kind(content, ("PNG", "WEBP"))
    if kind:
        return ImageFile(f"logo.{kind}", content)
    if not _is_svg(content):
        raise BrandError(f"{variable}: {path} is neither an SVG nor a PNG nor a WebP image")
    return ImageFile("logo.svg", content)


def _icon(path: str) -> ImageFile:
    variable = "ADMITONE_BRAND_ICON"
    content = _read(variable, path, ICON_BYTES_MAX)
    if not _raster_kind(content, ("PNG",)):
        raise BrandError(f"{variable}: {path} is no PNG image")
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
    if width != height or width not in ICON_PIXELS:
        raise BrandError(
            f"{variable}: {path} has {width} × {height} pixels; it must be square, of {ICON_PIXELS.start} to "
            f"{ICON_PIXELS.stop - 1} pixels"
        )
    return ImageFile(f"icon-{width}.png", content)


def _raster_kind(content: bytes, formats: tuple[str, ...]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=formats) as image:
                return str(image.format).lower()
    except (UnidentifiedImageError, OSError, Image.DecompressionBombWarning, Image.DecompressionBombError):
        return ""


def _is_svg(content: bytes) -> bool:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        return False
    try:
        return ElementTree.fromstring(content).tag == _SVG  # noqa: S314 - without entities, and of the site's own
    except ElementTree.ParseError:
        return False
