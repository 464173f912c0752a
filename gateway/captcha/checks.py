"""Checks the captcha of a request, and answers a bad one with a problem."""

from __future__ import annotations

from gateway.captcha.captcha import Captcha, CaptchaFailed, CaptchaUnavailable, Solver
from gateway.wire.problems import ProblemError


async def require_solved(captcha: Captcha, token: str, solver: Solver, *, command_id: str) -> bool:
    """Return if the captcha was solved for this, and serves no other command than ``command_id``.

    Returns:
        Whether it shows that this fan is a person (`Captcha.verify`).

    Raises:
        ProblemError: ``captcha_failed`` or ``captcha_unavailable``.
    """
    try:
        return await captcha.verify(token, solver, command_id=command_id)
    except CaptchaFailed as failed:
        raise ProblemError("captcha_failed", f"{str(failed).capitalize()}.") from None
    except CaptchaUnavailable as unavailable:
        raise ProblemError("captcha_unavailable", retry_after_seconds=unavailable.retry_after_seconds) from None
