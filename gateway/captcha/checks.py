"""Checks the captcha of a request, and answers a bad one with a problem."""

from __future__ import annotations

from gateway.captcha.captcha import Captcha, CaptchaFailed, CaptchaUnavailable
from gateway.wire.problems import ProblemError


async def require_solved(captcha: Captcha, token: str, *, action: str, address: str, command_id: str) -> None:
    """Return if the captcha was solved for ``action``, and serves no other command than ``command_id``.

    Raises:
        ProblemError: ``captcha_failed`` or ``captcha_unavailable``.
    """
    try:
        await captcha.verify(token, action=action, remote_ip=address, command_id=command_id)
    except CaptchaFailed as failed:
        raise ProblemError("captcha_failed", f"{str(failed).capitalize()}.") from None
    except CaptchaUnavailable as unavailable:
        raise ProblemError("captcha_unavailable", retry_after_seconds=unavailable.retry_after_seconds) from None
