"""Captcha providers behind one small interface: a solved captcha serves one command."""

from __future__ import annotations

import time
from collections.abc import Callable

from redis.asyncio import Redis

from .altcha import Altcha
from .captcha import Captcha, CaptchaConfig, CaptchaFailed, CaptchaOffer, CaptchaUnavailable
from .off import NoCaptcha

__all__ = [
    "Altcha",
    "Captcha",
    "CaptchaConfig",
    "CaptchaFailed",
    "CaptchaOffer",
    "CaptchaUnavailable",
    "build_captcha",
]


def build_captcha(config: CaptchaConfig, redis: Redis, now: Callable[[], float] = time.time) -> Captcha:
    """The provider that ``config`` names; ``redis`` remembers the used tokens, ``now`` (Unix time, seconds) ends them.

    Raises:
        ValueError: a reCAPTCHA provider without what it needs to ask Google, or ALTCHA without a secret.
    """
    match config.provider:
        case "off":
            return NoCaptcha()
        case "altcha":
            if not config.process_secret:
                raise ValueError("ALTCHA needs the process's secret")
            return Altcha(
                redis,
                secret=config.process_secret,
                work_max=config.work_max,
                ttl_seconds=config.ttl_seconds,
                now=now,
            )
        case "recaptcha":
            # Imported where it is asked for: its HTTP client takes a third of a second to import.
            from .recaptcha import Recaptcha

            _need(config, "site_key", "secret")
            return Recaptcha(config, redis, now)
        case "recaptcha_enterprise":
            from .recaptcha import RecaptchaEnterprise

            _need(config, "site_key", "secret", "project")
            return RecaptchaEnterprise(config, redis, now)


def _need(config: CaptchaConfig, *fields: str) -> None:
    missing = [f"captcha_{field}" for field in fields if not getattr(config, field)]
    if missing:
        raise ValueError(f"captcha provider {config.provider} needs {', '.join(missing)}")
