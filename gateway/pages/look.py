"""How a page looks: its template, its static files, the headers of every page, and the page of an error."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response
from litestar.datastructures import Cookie

from gateway.pages.bundles import bundle_scripts
from gateway.pages.formats import (
    format_eta,
    format_json,
    format_money,
    format_prose,
    format_returning,
    format_span,
    format_time,
)

FOLDER = Path(__file__).resolve().parent

SEATS_DRAWN_MAX = 3000

REFRESH_SECONDS = 10
"""How often a page without scripts reloads itself to show the place."""


_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)

_CSS_COMMENT = re.compile(r"/\*.*?\*/\s*", re.DOTALL)

# White space after a colon is a declaration's: a selector has none there. Quoted text is matched first, and kept.
_CSS_SPACE = re.compile(r"""("[^"\n]*"|'[^'\n]*')|\s*([{};,])\s*|(:)\s+""")


class _Templates(FileSystemLoader):
    """Loads templates without their indentation, which is for us alone and was a twentieth of a page."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, path, is_current = super().get_source(environment, template)
        return _INDENTATION.sub("", source), path, is_current


def _lighter_css(plain: bytes) -> bytes:
    text = _CSS_COMMENT.sub("", plain.decode())
    return _CSS_SPACE.sub(lambda found: found[1] or found[2] or found[3], text).encode()


def qr_svg(text: str) -> str:
    """A QR code (error correction M, quiet zone kept) as inline SVG that scales to its box."""
    return str(
        segno.make_qr(text, error="m").svg_inline(
            border=4, omitsize=True, dark="#000", light="#fff", svgclass="qr", lineclass=None
        )
    )


@dataclass(frozen=True, slots=True)
class Asset:
    media_type: str
    plain: bytes
    gzipped: bytes


class Assets:
    """The static files, read, bundled and made lighter once.

    Their address holds a hash of them all, so that a browser may keep them.

    Raises:
        BundleError: the scripts cannot be bundled.
    """

    def __init__(self, folder: Path) -> None:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        ours = [name for name in sorted(files) if name.endswith(".js") and not name.startswith("vendor/")]
        scripts = {name: files.pop(name).decode() for name in ours}
        files.update((name, text.encode()) for name, text in bundle_scripts(scripts).items())
        styles = [name for name in files if name.endswith(".css") and not name.startswith("vendor/")]
        files.update((name, _lighter_css(files[name])) for name in styles)
        self._files: dict[str, Asset] = {}
        digest = hashlib.sha256()
        for name, plain in sorted(files.items()):
            digest.update(name.encode() + b"\0" + plain)
            # Litestar adds the charset of text.
            media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
            self._files[name] = Asset(media_type, plain, gzip.compress(plain, 9, mtime=0))
        self.version = digest.hexdigest()[:12]

    def address(self, name: str) -> str:
        """Where a page finds a file.

        Raises:
            KeyError: there is no such file; a page's mistake is found by its first render.
        """
        self._files[name]
        return f"/static/{self.version}/{name}"

    def find(self, version: str, name: str) -> Asset | None:
        return self._files.get(name) if version == self.version else None


assets = Assets(FOLDER / "static")

templates = Environment(
    loader=_Templates(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

templates.filters.update(money=format_money, moment=format_time, span=format_span, prose=format_prose, json=format_json)

templates.globals.update(
    asset=assets.address,
    qr=qr_svg,
    eta=format_eta,
    returning=format_returning,
    seats_drawn_max=SEATS_DRAWN_MAX,
    refresh_seconds=REFRESH_SECONDS,
)


def _policy(google: bool = False) -> str:
    recaptcha = " https://www.google.com/recaptcha/ https://www.gstatic.com/recaptcha/" if google else ""
    frames = "https://www.google.com/recaptcha/ https://recaptcha.google.com/recaptcha/" if google else "'none'"
    return (
        f"default-src 'none'; script-src 'self'{recaptcha}; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self'{' https://www.google.com/recaptcha/' if google else ''}; worker-src 'self'; "
        f"frame-src {frames}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _policy(),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def page(
    template: str,
    *,
    status: int = 200,
    cookie: Cookie | None = None,
    google: bool = False,
    retry_after_seconds: int | None = None,
    **context: Any,
) -> Response[str]:
    """Render a template with the headers every page has. ``google`` lets reCAPTCHA's own scripts load."""
    headers = PAGE_HEADERS | {"Content-Security-Policy": _policy(google)}
    if retry_after_seconds is not None:
        headers["Retry-After"] = str(retry_after_seconds)
    return Response(
        templates.get_template(template).render(**context),
        media_type=MediaType.HTML,
        status_code=status,
        headers=headers,
        cookies=[cookie] if cookie else [],
    )


ERROR_WORDS = {
    403: ("That came from another site", "Open the page here, and try again from there."),
    404: ("We cannot find that page", "The address may be mistyped, or what was here is gone."),
    405: ("That cannot be done here", "Go back and try again from the page you came from."),
    429: ("One moment, please", "Many requests come from your network just now. Wait a little and reload."),
    503: ("We are very busy", "Nothing is lost. Wait a few seconds and reload this page."),
}

ERROR_OTHER = ("Something went wrong on our side", "Nothing you did caused it. Reload in a few seconds.")


def error_page(status: int, title: str | None = None, detail: str | None = None) -> Response[str]:
    """An error in the pages' look. Words default to those for the status."""
    words = ERROR_WORDS.get(status, ERROR_OTHER)
    return page("error.html", status=status, title=title or words[0], detail=detail or words[1])
