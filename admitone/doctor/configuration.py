"""The settings: which of them are fit for a test but not for a sale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from admitone.doctor.finding import Finding, fine, warning
from admitone.doctor.site import Site
from admitone.settings import SECRET_CHARACTERS_MIN, SECRET_LETTERS_MIN
from gateway.branding.brand import BrandError, brand_of
from tickets.wallets import WalletError, Wallets

TEST_KEY_PREFIXES: Final = ("6LeIxAcTAAAAA",)
"""Google's public test keys of reCAPTCHA begin so; they let everybody through
(https://developers.google.com/recaptcha/docs/faq)."""


def examine(site: Site) -> Iterator[Finding]:
    findings = [*_identity(site), *_captcha(site), *_metrics(site), *_brand(site), *_wallets(site), *_servers(site)]
    yield from findings
    if not findings:
        yield fine("setup", "settings", "The settings are fit for production")


def _identity(site: Site) -> Iterator[Finding]:
    settings = site.settings
    if settings.site.env != "production":
        yield warning(
            "setup",
            "env",
            "ADMITONE_ENV is development: cookies are not Secure, and unsafe settings are not refused",
            "Set ADMITONE_ENV=production.",
        )
    if settings.session.auth == "open":
        yield site.misconfigured(
            "setup",
            "open_auth",
            "ADMITONE_AUTH is open: anybody who names a fan's id acts as that fan",
            "Leave ADMITONE_AUTH away.",
        )
    secret = settings.site.secret
    if not secret:
        yield site.misconfigured(
            "setup", "secret", "ADMITONE_SECRET is not set", "Set it to what `openssl rand -base64 48` prints."
        )
    elif len(secret) < SECRET_CHARACTERS_MIN or len(set(secret)) < SECRET_LETTERS_MIN:
        yield site.misconfigured(
            "setup",
            "secret",
            f"ADMITONE_SECRET can be guessed: {len(secret)} characters, {len(set(secret))} different ones",
            "Set it to what `openssl rand -base64 48` prints, on every process.",
        )


def _brand(site: Site) -> Iterator[Finding]:
    try:
        brand_of(site.settings.brand)
    except BrandError as error:
        yield site.misconfigured("setup", "brand", f"The pages cannot look so: {error}", "Mend this setting.")


def _wallets(site: Site) -> Iterator[Finding]:
    try:
        Wallets.of(site.settings.wallet)
    except WalletError as error:
        yield site.misconfigured(
            "setup", "wallets", f"Tickets cannot be put into wallets: {error}", "Mend this setting."
        )


def _captcha(site: Site) -> Iterator[Finding]:
    settings = site.settings
    if settings.captcha.provider == "off":
        yield site.misconfigured(
            "setup", "captcha", "The captcha is off: checkout is open to bots", "Set ADMITONE_CAPTCHA=altcha."
        )
    elif any(key.startswith(TEST_KEY_PREFIXES) for key in (settings.captcha.site_key, settings.captcha.secret)):
        yield site.misconfigured(
            "setup",
            "captcha",
            "The captcha runs on Google's public test keys, which let everybody through",
            "Set ADMITONE_CAPTCHA_SITE_KEY and ADMITONE_CAPTCHA_SECRET to your own.",
        )
    elif settings.captcha.verify_url and urlsplit(settings.captcha.verify_url).scheme != "https":
        yield site.misconfigured(
            "setup",
            "captcha",
            "The captcha is verified over plain HTTP",
            "Let ADMITONE_CAPTCHA_VERIFY_URL begin with https://.",
        )


def _metrics(site: Site) -> Iterator[Finding]:
    if site.settings.site.production and not site.settings.metrics.token:
        yield warning(
            "setup",
            "metrics_token",
            "ADMITONE_METRICS_TOKEN is not set: nobody may read /metrics, so no alarm can go off",
            "Set it to what `openssl rand -hex 24` prints, on every gateway, and give it to the monitoring.",
        )


def _servers(site: Site) -> Iterator[Finding]:
    if site.embedded:
        yield site.misconfigured(
            "setup",
            "embedded_servers",
            f"{' and '.join(site.embedded)} not given: the embedded servers of `admitone up` serve, on this machine's "
            "disk alone",
            "Give both, of servers that are backed up and watched.",
        )
