"""How a page looks: its template, the headers of every page, and the page of an error."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import brotli
import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import MediaType, Response
from litestar.datastructures import Cookie

from gateway.branding.brand import Brand
from gateway.pages.assets import Assets
from gateway.pages.formats import (
    format_eta,
    format_json,
    format_money,
    format_number,
    format_prose,
    format_rate,
    format_returning,
    format_span,
    format_stock,
    format_tax,
)
from gateway.pages.languages import LANGUAGES, N_, address, current, gettext, names_language, ngettext, prefix
from gateway.pages.times import date_box, doors_time, event_time, reader_time, site_time
from gateway.wire.addresses import below
from gateway.wire.negotiation import coding, field, has_already
from gateway.wire.shared import Shared

FOLDER = Path(__file__).resolve().parent

SEATS_WHOLE_MAX = 1200
"""A hall of more seats is shown section by section: all at once its seats would be too small to be met."""

BACKGROUND = "#f6f7f9"

GZIP_LEVEL = 1
BROTLI_QUALITY = 4
"""Of pages, which are written anew for each fan: both take about half a millisecond."""

REFRESH_SECONDS = 10
"""How often a page without scripts reloads itself to show the place."""


_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)


class _Templates(FileSystemLoader):
    """Loads templates without their indentation, which is for us alone and was a twentieth of a page."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, path, is_current = super().get_source(environment, template)
        return _INDENTATION.sub("", source), path, is_current


def qr_svg(text: str) -> str:
    """A QR code (error correction M, quiet zone kept) as inline SVG that scales to its box."""
    return str(
        segno.make_qr(text, error="m").svg_inline(
            border=4, omitsize=True, dark="#000", light="#fff", svgclass="qr", lineclass=None
        )
    )


assets = Assets(FOLDER / "static")

_brand = Brand()


def brand() -> Brand:
    """The look of this process' site."""
    return _brand


def wear(worn: Brand, *, all_at_once: bool = False) -> None:
    """Give the pages of this process the look of its site. A process serves one site only.

    ``all_at_once`` makes every file now (`Assets.make_all`), and not when it is first asked for.
    """
    global _brand
    _brand = worn
    assets.wear(worn)
    if all_at_once:
        assets.make_all()


def keep_to_tls(seconds: int) -> None:
    """Have the pages of this process tell browsers to ask for them over TLS alone from now on (RFC 6797)."""
    PAGE_HEADERS["Strict-Transport-Security"] = f"max-age={seconds}"


_has_accounts = False


def offer_accounts(offered: bool) -> None:
    """Whether the pages of this process lead to accounts."""
    global _has_accounts
    _has_accounts = offered


def has_accounts() -> bool:
    """Whether this process' site has accounts."""
    return _has_accounts


templates = Environment(
    loader=_Templates(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    extensions=["jinja2.ext.i18n"],
)

templates.policies["ext.i18n.trimmed"] = True
templates.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]

templates.filters.update(money=format_money, span=format_span, prose=format_prose, json=format_json)

templates.globals.update(
    asset=assets.address,
    brand=brand,
    qr=qr_svg,
    eta=format_eta,
    returning=format_returning,
    number=format_number,
    stock=format_stock,
    tax_words=format_tax,
    rate=format_rate,
    event_time=event_time,
    doors_time=doors_time,
    site_time=site_time,
    reader_time=reader_time,
    date_box=date_box,
    language=current,
    languages=LANGUAGES.values(),
    prefix=prefix,
    below=below,
    has_accounts=has_accounts,
    address=address,
    refresh_seconds=REFRESH_SECONDS,
)


def manifest(name: str = "", start_url: str = "") -> bytes:
    """The web manifest (W3C) of this site, or of one page of it that can be installed by itself, as JSON.

    Args:
        name: of the page; it stands before the site's.
        start_url: the page's.
    """
    start_url = start_url or below("/")
    own = _brand.icon
    icons = [own.name] if own is not None else ["icon-192.png", "icon-512.png"]
    document = {
        "name": f"{name} · {_brand.name}" if name else _brand.name,
        "short_name": name or _brand.name,
        "start_url": start_url,
        "id": start_url,
        "scope": start_url,
        "display": "standalone",
        "background_color": BACKGROUND,
        "theme_color": _brand.shown_colour,
        "icons": [
            {"src": assets.address(name), "sizes": "x".join([name[5:-4]] * 2), "type": "image/png", "purpose": purpose}
            for name in icons
            for purpose in ("any", "maskable")
        ],
    }
    return json.dumps(document, ensure_ascii=False).encode()


_GOOGLE = (
    "https://www.google.com/recaptcha/ https://www.gstatic.com/recaptcha/",
    "https://www.google.com/recaptcha/ https://recaptcha.google.com/recaptcha/",
    "https://www.google.com/recaptcha/",
    "",
)
_HCAPTCHA = "https://hcaptcha.com https://*.hcaptcha.com"
_CAPTCHA_SOURCES = {
    "recaptcha": _GOOGLE,
    "recaptcha_enterprise": _GOOGLE,
    "hcaptcha": (_HCAPTCHA, _HCAPTCHA, _HCAPTCHA, _HCAPTCHA),
    "turnstile": ("https://challenges.cloudflare.com", "https://challenges.cloudflare.com", "", ""),
}
"""What a provider's own scripts need, by its name: of scripts, frames, connections and styles."""
_STRIPE = "https://js.stripe.com https://*.js.stripe.com"
_PAYMENT_SOURCES = {"stripe": (_STRIPE, f"{_STRIPE} https://hooks.stripe.com", "https://api.stripe.com", "")}
"""The same of payment providers, for the page where a fan pays, which alone loads their scripts."""


def _further(sources: str) -> str:
    return f" {sources}" if sources else ""


def _policy(*, captcha: str = "", pay_by: str = "", own_frame: bool = False) -> str:
    scripts, frames, connections, styles = _CAPTCHA_SOURCES.get(captcha) or _PAYMENT_SOURCES.get(pay_by) or ("",) * 4
    frames = frames or ("'self'" if own_frame else "'none'")
    return (
        f"default-src 'none'; script-src 'self'{_further(scripts)}; style-src 'self'{_further(styles)}; "
        f"img-src 'self' data:; connect-src 'self'{_further(connections)}; worker-src 'self'; "
        f"manifest-src 'self'; frame-src {frames}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


FEATURES_UNUSED = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "hid",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
"""No page uses these features of a browser, so no script that slips into one may use them. Check-in alone has the
camera, and the page of a payment provider's script alone a phone's own way to pay.
"""


def _permissions(*, camera: bool = False, payment: bool = False) -> str:
    # Phones' own ways to pay are asked for by the provider's frame.
    allowed = ({"camera": "(self)"} if camera else {}) | (
        {"payment": '(self "https://js.stripe.com")'} if payment else {}
    )
    return ", ".join(f"{feature}={allowed.get(feature, '()')}" for feature in FEATURES_UNUSED)


PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _policy(),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": _permissions(),
}


class Page(Response[str]):
    """A page, which goes compressed to who takes that: it is a third of a first visit. No page holds both a secret and
    a text of somebody else's choice, so its length tells nothing.

    A page that is the same for everybody has an ETag for each coding, and is not sent to who has it already.
    """

    is_shared = False

    def to_asgi_response(self, app: Any, request: Any, **rest: Any) -> Any:
        chosen = coding(field(request, "accept-encoding"))
        if isinstance(self.content, str) and self.is_shared:
            digest = hashlib.blake2b(self.content.encode(), digest_size=12).hexdigest()
            tag = f'"{digest}-{chosen or "plain"}"'
            self.headers |= {"ETag": tag, "Vary": _shared_vary()}
            if has_already(field(request, "if-none-match"), tag):
                self.status_code, self.content = 304, ""
                return super().to_asgi_response(app, request, **rest)
        if isinstance(self.content, str) and chosen:
            plain = self.content.encode()
            packed: Any = (
                brotli.compress(plain, brotli.MODE_TEXT, BROTLI_QUALITY)
                if chosen == "br"
                else gzip.compress(plain, GZIP_LEVEL, mtime=0)
            )
            self.content = packed
            self.headers = {"Vary": "Accept-Encoding"} | self.headers | {"Content-Encoding": chosen}
        return super().to_asgi_response(app, request, **rest)


def _shared_vary() -> str:
    """What else than the address decides a page that is the same for everybody. Only the address without a language
    asks for the reader's, and may send the reader on (`gateway.pages.routes`).
    """
    return "Accept-Encoding" if names_language() else "Accept-Encoding, Accept-Language"


def page(
    template: str,
    *,
    status: int = 200,
    shared: Shared | None = None,
    cookie: Cookie | None = None,
    further_cookies: Sequence[Cookie] = (),
    captcha: str = "",
    pay_by: str = "",
    own_frame: bool = False,
    camera: bool = False,
    retry_after_seconds: int | None = None,
    **context: Any,
) -> Response[str]:
    """Render a template with the headers every page has. ``captcha`` and ``pay_by`` let that provider's own scripts
    load, with ``own_frame`` the page may frame others of this site, and with ``camera`` it may use the camera.
    ``shared``: it is the same for everybody, so it sets no cookie.
    """
    assert shared is None or not (cookie or further_cookies)
    headers = PAGE_HEADERS | {"Content-Security-Policy": _policy(captcha=captcha, pay_by=pay_by, own_frame=own_frame)}
    if camera:
        headers["Permissions-Policy"] = _permissions(camera=True)
    if pay_by:
        headers["Permissions-Policy"] = _permissions(payment=True)
    if retry_after_seconds is not None:
        headers["Retry-After"] = str(retry_after_seconds)
    if shared is not None:
        headers |= shared.headers
    made = Page(
        templates.get_template(template).render(**context),
        media_type=MediaType.HTML,
        status_code=status,
        headers=headers,
        cookies=[*([cookie] if cookie else []), *further_cookies],
    )
    made.is_shared = shared is not None
    return made


ERROR_WORDS = {
    403: (N_("That came from another site"), N_("Open the page here, and try again from there.")),
    404: (N_("We cannot find that page"), N_("That page does not exist, or not any more.")),
    405: (N_("That cannot be done here"), N_("Go back and try again from the page you came from.")),
    429: (N_("One moment, please"), N_("Many requests come from your network just now. Wait a little and reload.")),
    503: (N_("We are very busy"), N_("Nothing is lost. Wait a few seconds and reload this page.")),
}

ERROR_OTHER = (N_("Something went wrong on our side"), N_("Nothing you did caused it. Reload in a few seconds."))


def error_page(status: int, title: str | None = None, detail: str | None = None) -> Response[str]:
    """An error in the pages' look. Words default to those for the status."""
    words = ERROR_WORDS.get(status, ERROR_OTHER)
    return page("error.html", status=status, title=title or gettext(words[0]), detail=detail or gettext(words[1]))
