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
        now: the clock that ends tokens and challenges (Unix time, seconds).
        process_secret: signs ALTCHA's challenges; the other providers do not need it.

    Raises:
        ValueError: a setting that a reCAPTCHA provider needs is missing, or ALTCHA has no secret.
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
            # Imported only if it is used, because its HTTP client takes a third of a second to import.
            from .recaptcha import Recaptcha

            _require(settings, "site_key", "secret")
            return Recaptcha(settings, redis, now)
        case "recaptcha_enterprise":
            from .recaptcha import RecaptchaEnterprise

            _require(settings, "site_key", "secret", "project")
            return RecaptchaEnterprise(settings, redis, now)


def _require(settings: CaptchaSettings, *fields: str) -> None:
    missing = [f"captcha_{field}" for field in fields if not getattr(settings, field)]
    if missing:
        raise ValueError(f"captcha provider {settings.provider} needs {', '.join(missing)}")
