"""Settings of the captcha."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from db.settings import Section, bounded, setting

Provider = Literal["altcha", "recaptcha", "recaptcha_enterprise", "hcaptcha", "turnstile", "off"]


class CaptchaSettings(Section, frozen=True, kw_only=True):
    """``verify_url`` replaces the provider's address: for reCAPTCHA the whole ``siteverify`` URL, for Enterprise the
    part before ``/projects``.
    """

    provider: Annotated[
        Provider, setting("captcha provider; off is refused in production", variable="ADMITONE_CAPTCHA")
    ] = "altcha"
    site_key: Annotated[str, setting("site key of reCAPTCHA, hCaptcha or Turnstile")] = ""
    secret: Annotated[str, setting("secret of the same; for Enterprise an API key")] = ""
    project: Annotated[str, setting("reCAPTCHA Enterprise project id")] = ""
    verify_url: Annotated[str, setting("siteverify address, if not the provider's own")] = ""
    hostnames: Annotated[str, setting("comma-separated hostnames that a provider's token may name")] = ""
    score_min: Annotated[float, bounded("lowest reCAPTCHA v3 score let through", 0, 1)] = 0.5
    timeout_seconds: Annotated[float, Meta(gt=0, le=30, description="one call of siteverify; it is tried twice")] = 3.0
    work_max: Annotated[int, bounded("ALTCHA: largest number to search; twice the mean work", 1, 10_000_000)] = 50_000
    ttl_seconds: Annotated[int, bounded("an ALTCHA challenge is good this long", 10, 3600)] = 600

    @property
    def hostname_list(self) -> tuple[str, ...]:
        """The hostnames that a token may name; if there are none, it may name any."""
        return tuple(part.strip() for part in self.hostnames.split(",") if part.strip())
