"""A JSON call to a captcha provider, bounded in time and size and tried twice. Without a clear answer the token is
refused.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec

from .captcha import CaptchaUnavailable

log = logging.getLogger(__name__)

ANSWER_BYTES_MAX = 65_536
ATTEMPTS = 2

T = TypeVar("T")


class VerifyClient:
    """Posts to the provider over one session, opened at the first call in the running loop."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self,
        url: str,
        answer: type[T],
        *,
        form: Mapping[str, str] | None = None,
        json: object = None,
        params: Mapping[str, str] | None = None,
    ) -> T:
        """POST ``form`` or ``json`` and read the JSON answer; a network error or a 5xx is retried once.

        Raises:
            CaptchaUnavailable: both attempts failed, another status than 200, or an answer of another shape.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        payload: dict[str, Any] = {"data": form} if form is not None else {"json": json}
        for attempt in range(1, ATTEMPTS + 1):
            # Neither the URL nor the error's text may be logged: Enterprise has its key in the URL.
            try:
                async with self._session.post(url, params=params, allow_redirects=False, **payload) as response:
                    body = await _read_bounded(response)
                    status = response.status
            except (aiohttp.ClientError, TimeoutError) as error:
                log.warning("captcha provider, attempt %d: %s", attempt, type(error).__name__)
                continue
            if status == 200:
                return _decode(body, answer)
            log.warning("captcha provider, attempt %d: HTTP %d", attempt, status)
            if status < 500:
                break
        raise CaptchaUnavailable

    async def close(self) -> None:
        """Close the session, if one was opened."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(16_384):
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise aiohttp.ClientPayloadError("answer too long")
    return bytes(body)


def _decode(body: bytes, answer: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=answer)
    except (msgspec.MsgspecError, ValueError) as error:
        log.warning("captcha provider answered something else: %s", type(error).__name__)
        raise CaptchaUnavailable from None
