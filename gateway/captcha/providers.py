"""The captcha provider that the settings name."""

from __future__ import annotations

import time
from collections.abc import Callable

from redis.asyncio import Redis

from .altcha import Altcha
from .captcha import Captcha
from .off import NoCaptcha
from .settings import CaptchaSettings


def build_captcha(
    settings: CaptchaSettings, redis: Redis, now: Callable[[], float] = time.time, *, process_secret: str = ""
) -> Captcha:
    """The provider that the settings name.

    Args:
        redis: remembers the used tokens.
        now: the clock that ends them (Unix time, seconds).
        process_secret: signs ALTCHA's challenges; the other providers do not need it.

    Raises:
        ValueError: a reCAPTCHA provider without what it needs to ask Google, or ALTCHA without a secret.
    """
    match settings.provider:
        case "off":
            return NoCaptcha()
        case "altcha":
            if not process_secret:
                raise ValueError("ALTCHA needs the process's secret")
            return Altcha(
                redis,
                secret=process_secret.encode(),
                work_max=settings.work_max,
                ttl_seconds=settings.ttl_seconds,
                now=now,
            )
        case "recaptcha":
            # Imported where it is asked for: its HTTP client takes a third of a second to import.
            from .recaptcha import Recaptcha

            _need(settings, "site_key", "secret")
            return Recaptcha(settings, redis, now)
        case "recaptcha_enterprise":
            from .recaptcha import RecaptchaEnterprise

            _need(settings, "site_key", "secret", "project")
            return RecaptchaEnterprise(settings, redis, now)


def _need(settings: CaptchaSettings, *fields: str) -> None:
    missing = [f"captcha_{field}" for field in fields if not getattr(settings, field)]
    if missing:
        raise ValueError(f"captcha provider {settings.provider} needs {', '.join(missing)}")
