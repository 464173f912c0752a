"""The check of addresses that an operator gives for us to post to: they may point nowhere inside of our network."""

from __future__ import annotations

import asyncio
from typing import Final

from db.webhooks import urls
from gateway.services import Services
from gateway.wire.problems import ProblemError

RESOLVE_SECONDS_MAX: Final = 5.0


async def check_outward(services: Services, url: str) -> None:
    """Check an address that we are to post to.

    Raises:
        ProblemError: ``url_refused``.
    """
    try:
        checked = asyncio.to_thread(urls.check_outward, url, production=services.settings.site.production)
        await asyncio.wait_for(checked, RESOLVE_SECONDS_MAX)
    except (urls.UrlRefusedError, TimeoutError) as error:
        said = str(error) or "the name is not resolved in time"
        raise ProblemError("url_refused", f"{said[:1].upper()}{said[1:]}.") from None
