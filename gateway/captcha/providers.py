"""The captcha provider that the settings name."""

from __future__ import annotations

import time
from collections.abc import Callable

from redis.asyncio import Redis

from waiting_room.key_ring import Secret

from .altcha import Altcha
from .captcha import Captcha
from .fallback import WithFallback
from .off import NoCaptcha
from .settings import CaptchaSettings


def build_captcha(
    settings: CaptchaSettings, redis: Redis, now: Callable[[], float] = time.time, *, process_secret: Secret = ""
) -> Captcha:
    """The provider that the settings name.

    Args:
        redis: remembers the used tokens.
        now: the clock that ends tokens and challenges (Unix time, seconds).
        process_secret: signs ALTCHA's challenges. Without it another provider has no fallback.

    Raises:
        ValueError: a setting that a reCAPTCHA provider needs is missing, or ALTCHA has no secret.
    """
    match settings.provider:
        case "off":
            return NoCaptcha()
        case "altcha":
            if not process_secret:
                raise ValueError("ALTCHA needs the process's secret")
            return _altcha(settings, redis, now, process_secret)
        case "recaptcha" | "hcaptcha" | "turnstile" | "recaptcha_enterprise":
            # Imported only if it is used, because its HTTP client takes a third of a second to import.
            from .recaptcha import PROVIDERS

            is_enterprise = settings.provider == "recaptcha_enterprise"
            _require(settings, "site_key", "secret", *(["project"] if is_enterprise else []))
            provider = PROVIDERS[settings.provider](settings, redis, now)
            if not process_secret:
                return provider
            return WithFallback(provider, _altcha(settings, redis, now, process_secret), redis)


def _altcha(settings: CaptchaSettings, redis: Redis, now: Callable[[], float], process_secret: Secret) -> Altcha:
    return Altcha(redis, secret=process_secret, work_max=settings.work_max, ttl_seconds=settings.ttl_seconds, now=now)


def _require(settings: CaptchaSettings, *fields: str) -> None:
    missing = [f"captcha_{field}" for field in fields if not getattr(settings, field)]
    if missing:
        raise ValueError(f"captcha provider {settings.provider} needs {', '.join(missing)}")
