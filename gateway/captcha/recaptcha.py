"""Captchas of other companies: Google reCAPTCHA v2 and v3, and Enterprise by its assessments; hCaptcha and Cloudflare
Turnstile, which answer ``siteverify`` as reCAPTCHA does.

Sources: developers.google.com/recaptcha/docs/verify and /docs/v3, cloud.google.com/recaptcha/docs/create-assessment,
docs.hcaptcha.com (verify the user response server side), developers.cloudflare.com/turnstile (server-side validation).
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from redis.asyncio import Redis

from .captcha import (
    REQUIRED_FOR,
    TOKEN_BYTES_MAX,
    CaptchaFailed,
    CaptchaOffer,
    CaptchaUnavailable,
    Reason,
    Solver,
)
from .settings import CaptchaSettings, Provider
from .siteverify import VerifyClient
from .used import UsedTokens

log = logging.getLogger(__name__)

HCAPTCHA_URL = "https://api.hcaptcha.com/siteverify"
TURNSTILE_URL = "https://challenges.cloudflare.com/turnstile/v0/siteverify"
SITEVERIFY_URL = "https://www.google.com/recaptcha/api/siteverify"
ENTERPRISE_URL = "https://recaptchaenterprise.googleapis.com/v1"

_OUR_FAULT = {
    "missing-input-secret",
    "invalid-input-secret",
    "bad-request",
    "internal-error",
    "sitekey-secret-mismatch",
    "not-using-dummy-secret",
}
_REASONS: dict[str, Reason] = {
    "missing-input-response": "malformed",
    "invalid-input-response": "malformed",
    "timeout-or-duplicate": "already_used",
    "already-seen-response": "already_used",
    "invalid-or-already-seen-response": "already_used",
    "expired-input-response": "expired",
    "MALFORMED": "malformed",
    "MISSING": "malformed",
    "EXPIRED": "expired",
    "DUPE": "already_used",
}


class _Siteverify(msgspec.Struct, frozen=True):
    success: bool
    score: float | None = None
    action: str | None = None
    hostname: str | None = None
    error_codes: list[str] = msgspec.field(default_factory=list, name="error-codes")


class _TokenProperties(msgspec.Struct, frozen=True, rename="camel"):
    valid: bool = False
    invalid_reason: str = ""
    action: str = ""
    hostname: str = ""


class _RiskAnalysis(msgspec.Struct, frozen=True):
    score: float | None = None


class _Assessment(msgspec.Struct, frozen=True, rename="camel"):
    token_properties: _TokenProperties
    risk_analysis: _RiskAnalysis = msgspec.field(default_factory=_RiskAnalysis)


class _Recaptcha(ABC):
    """What both providers share: a token serves one command, and its score, action and hostname are checked."""

    provider: Provider

    def __init__(self, settings: CaptchaSettings, redis: Redis, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._hostnames = settings.hostname_list
        self._now = now
        self._used = UsedTokens(redis)
        self._client = VerifyClient(settings.timeout_seconds)

    def describe(self) -> CaptchaOffer:
        return CaptchaOffer(provider=self.provider, required_for=REQUIRED_FOR, site_key=self._settings.site_key or None)

    async def verify(self, token: str, solver: Solver, *, command_id: str) -> bool:
        """See `Captcha.verify`. Google accepts a token once only, so a retry of a command is recognised here."""
        if not token or len(token) > TOKEN_BYTES_MAX or not token.isascii():
            raise CaptchaFailed("malformed")
        if await self._used.serves(token, command_id):
            return True
        try:
            await self._ask(token, solver.action, solver.address)
        except CaptchaFailed as failed:
            # Another request for the same command may have used and recorded the token meanwhile.
            if failed.reason == "already_used" and await self._used.serves(token, command_id):
                return True
            raise
        await self._used.take(token, command_id, int(self._now()) + self._settings.ttl_seconds)
        return True

    async def close(self) -> None:
        await self._client.close()

    @abstractmethod
    async def _ask(self, token: str, action: str, remote_ip: str) -> None:
        """Ask Google; return if it says that the token is good.

        Raises:
            CaptchaFailed: it says that the token is bad.
            CaptchaUnavailable: it gives no answer that can be used.
        """

    def _judge(self, *, score: float | None, action: str | None, hostname: str | None, expected: str) -> None:
        """Check score, action and hostname as far as Google sent them: a checkbox (v2) has neither score nor action."""
        if score is not None and score < self._settings.score_min:
            raise CaptchaFailed("low_score")
        if action and action != expected:
            raise CaptchaFailed("wrong_action")
        if self._hostnames and hostname not in self._hostnames:
            raise CaptchaFailed("wrong_hostname")


class Recaptcha(_Recaptcha):
    """reCAPTCHA v2 and v3."""

    provider: Provider = "recaptcha"
    url = SITEVERIFY_URL
    score_is_trust = True
    """A high score is a person's."""

    async def _ask(self, token: str, action: str, remote_ip: str) -> None:
        answer = await self._client.post(
            self._settings.verify_url or self.url,
            _Siteverify,
            form={"secret": self._settings.secret, "response": token, "remoteip": remote_ip},
        )
        if not answer.success:
            _refuse(answer.error_codes)
        score = answer.score if self.score_is_trust else None
        self._judge(score=score, action=answer.action, hostname=answer.hostname, expected=action)


class Hcaptcha(Recaptcha):
    """hCaptcha. The score of its enterprise plan is a risk, and its own rules act on it."""

    provider: Provider = "hcaptcha"
    url = HCAPTCHA_URL
    score_is_trust = False


class Turnstile(Recaptcha):
    """Cloudflare Turnstile."""

    provider: Provider = "turnstile"
    url = TURNSTILE_URL


class RecaptchaEnterprise(_Recaptcha):
    """reCAPTCHA Enterprise; ``secret`` is the API key."""

    provider: Provider = "recaptcha_enterprise"

    async def _ask(self, token: str, action: str, remote_ip: str) -> None:
        base = (self._settings.verify_url or ENTERPRISE_URL).rstrip("/")
        answer = await self._client.post(
            f"{base}/projects/{self._settings.project}/assessments",
            _Assessment,
            params={"key": self._settings.secret},
            json={
                "event": {
                    "token": token,
                    "siteKey": self._settings.site_key,
                    "expectedAction": action,
                    "userIpAddress": remote_ip,
                }
            },
        )
        token_facts = answer.token_properties
        if not token_facts.valid:
            _refuse([token_facts.invalid_reason])
        self._judge(
            score=answer.risk_analysis.score,
            action=token_facts.action,
            hostname=token_facts.hostname,
            expected=action,
        )


def _refuse(codes: list[str]) -> None:
    faults = _OUR_FAULT.intersection(codes)
    if faults:
        log.error("captcha provider refuses our request: %s", ", ".join(sorted(faults)))
        raise CaptchaUnavailable
    raise CaptchaFailed(next((_REASONS[code] for code in codes if code in _REASONS), "rejected"))


PROVIDERS: Final[Mapping[Provider, type[_Recaptcha]]] = {
    kind.provider: kind for kind in (Recaptcha, RecaptchaEnterprise, Hcaptcha, Turnstile)
}
