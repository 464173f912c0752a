"""The check of addresses that an operator gives for us to post to: they may point nowhere inside of our network."""

from __future__ import annotations

import asyncio
from typing import Final

from db.webhooks.urls import UrlRefusedError, check_resolves_to_public, check_url
from gateway.services import Services
from gateway.wire.problems import ProblemError

RESOLVE_SECONDS_MAX: Final = 5.0


async def check_outward(services: Services, url: str) -> None:
    """Raises:
    ProblemError: ``url_refused``.
    """
    try:
        host, port = check_url(url, production=services.settings.site.production)
        if services.settings.site.production:
            await asyncio.wait_for(asyncio.to_thread(check_resolves_to_public, host, port), RESOLVE_SECONDS_MAX)
    except (UrlRefusedError, TimeoutError) as error:
        said = str(error) or "the name is not resolved in time"
        raise ProblemError("url_refused", f"{said[:1].upper()}{said[1:]}.") from None
