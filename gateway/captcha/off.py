"""No captcha at all, for development; the settings refuse it in production."""

from __future__ import annotations

from .captcha import CaptchaOffer, Solver
from .settings import Provider


class NoCaptcha:
    """Lets everybody through."""

    provider: Provider = "off"

    def describe(self) -> CaptchaOffer:
        return CaptchaOffer(provider=self.provider, required_for=())

    async def verify(self, token: str, solver: Solver, *, command_id: str) -> bool:
        """Accept every token."""
        return True

    async def close(self) -> None:
        """Do nothing: this provider keeps no connection."""
