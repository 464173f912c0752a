"""The interface of a captcha provider, and the two errors with which it refuses a token."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from waiting_room.limits import address_prefix

from .settings import Provider

Reason = Literal[
    "malformed",
    "wrong",
    "expired",
    "already_used",
    "rejected",
    "low_score",
    "wrong_action",
    "wrong_hostname",
    "wrong_fan",
    "wrong_event",
    "too_weak",
    "provider_down",
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
    "wrong_fan": "the captcha was made for another session or network",
    "wrong_event": "the captcha was made for another event",
    "provider_down": "the captcha's provider does not answer, ask /api/captcha for another captcha",
    "too_weak": "much was done from your network since this captcha was made, solve a new one",
}


class CaptchaOffer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The answer of ``GET /api/captcha``. A provider without ``siteKey`` or ``challengeHref`` leaves it out."""

    provider: Provider
    required_for: tuple[str, ...]
    site_key: str | None = None
    challenge_href: str | None = None


class Solver(msgspec.Struct, frozen=True, kw_only=True):
    """Who is to solve a captcha, and what for.

    ``fan`` is the user id of the session, 0 without one. ``event_id`` is 0 and ``action`` empty where these are not
    known. ``work_times``: how many times the ordinary work is due by what the session did.
    """

    address: str
    fan: int = 0
    event_id: int = 0
    action: str = ""
    work_times: int = 1

    @property
    def network(self) -> str:
        return address_prefix(self.address)


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

    async def verify(self, token: str, solver: Solver, *, command_id: str) -> bool:
        """Return if ``token`` was solved for this and serves no other command than ``command_id``.

        Returns:
            Whether it was bound to the solver's session: only then it shows that this fan is a person.

        Raises:
            CaptchaFailed: the token is bad or was used.
            CaptchaUnavailable: the provider or Redis cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Close the connections to the provider."""
        ...
