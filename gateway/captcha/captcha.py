"""The interface of a captcha provider, and the two errors with which it refuses a token."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from .settings import Provider

Reason = Literal[
    "malformed", "wrong", "expired", "already_used", "rejected", "low_score", "wrong_action", "wrong_hostname"
]

TOKEN_BYTES_MAX = 4096
"""A longer token is refused as malformed. Google's are about 2 KB, an ALTCHA solution has about 300 bytes."""
UNAVAILABLE_RETRY_SECONDS = 5
REQUIRED_FOR = ("checkout",)
"""These steps always need a captcha. A join needs one only if it answers ``captcha_required``."""

_SENTENCES: dict[Reason, str] = {
    "malformed": "the captcha token cannot be read",
    "wrong": "the captcha solution is wrong",
    "expired": "the captcha has expired, solve a new one",
    "already_used": "the captcha was already used or is too old, solve a new one",
    "rejected": "the captcha provider rejected the token",
    "low_score": "the captcha provider's score is too low",
    "wrong_action": "the captcha was solved for another step",
    "wrong_hostname": "the captcha was solved on another site",
}


class CaptchaOffer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The answer of ``GET /api/captcha``. A provider without ``siteKey`` or ``challengeHref`` leaves it out."""

    provider: Provider
    required_for: tuple[str, ...]
    site_key: str | None = None
    challenge_href: str | None = None


class CaptchaFailed(Exception):  # noqa: N818 - named as the problem's code is
    """The token does not show that a person solved a captcha for this command: 403 ``captcha_failed``."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(_SENTENCES[reason])
        self.reason: Reason = reason


class CaptchaUnavailable(Exception):  # noqa: N818 - named as the problem's code is
    """It cannot be checked whether the token is good: 503 ``captcha_unavailable``, and the request is refused."""

    def __init__(self, retry_after_seconds: int = UNAVAILABLE_RETRY_SECONDS) -> None:
        super().__init__("the captcha cannot be checked right now")
        self.retry_after_seconds = retry_after_seconds


class Captcha(Protocol):
    """A captcha provider."""

    @property
    def provider(self) -> Provider: ...

    def describe(self) -> CaptchaOffer:
        """What a client has to solve, and where it is required."""
        ...

    async def verify(self, token: str, *, action: str, remote_ip: str, command_id: str) -> None:
        """Return if ``token`` was solved for ``action`` and serves no other command than ``command_id``.

        Raises:
            CaptchaFailed: the token is bad or was used.
            CaptchaUnavailable: the provider or Redis cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Close the connections to the provider."""
        ...
