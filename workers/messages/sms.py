"""SMS by Twilio's HTTP API, or by any provider that takes JSON."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Final

import aiohttp

from db.messages.queue import Taken
from messages.settings import SMS_SCHEMES, SmsSettings, provider_of
from messages.writer import Written
from workers.messages.pace import Pace
from workers.messages.provider import Failure, Tried

ERROR_CHARS_MAX: Final = 300
ANSWER_BYTES_MAX: Final = 65_536
TWILIO_UNREACHABLE: Final = (21211, 21214, 21610, 21614)
"""Twilio's codes for a number that does not exist, cannot get SMS, or has told it to stop."""


class Sms:
    """One provider of SMS. ``Idempotency-Key`` has the message's id at every try."""

    def __init__(self, name: str, url: str, settings: SmsSettings, pace: Pace) -> None:
        self.name = name
        self._provider = provider_of(url, SMS_SCHEMES)
        self._is_twilio = self._provider.scheme == "twilio"
        self._settings = settings
        self._pace = pace
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds),
        )
        user = f"{self._provider.user}:{self._provider.password}".encode()
        self._authorization = {"Authorization": f"Basic {b64encode(user).decode()}"} if self._provider.user else {}

    @property
    def _url(self) -> str:
        one = self._provider
        port = f":{one.port}" if one.port else ""
        if self._is_twilio:
            # A port is only named by a stand-in for Twilio, which speaks no TLS.
            host = f"http://{one.host}{port}" if one.port else "https://api.twilio.com"
            return f"{host}/2010-04-01/Accounts/{one.user}/Messages.json"
        return f"{one.scheme}://{one.host}{port}{one.path}"

    async def send(self, message: Taken, letter: Written) -> Tried:
        await self._pace.wait(message.kind.urgency)
        words = letter.sms
        body: dict[str, Any]
        if self._is_twilio:
            body = {"data": {"To": message.address, "From": self._settings.sender, "Body": words}}
        else:
            body = {
                "json": {
                    "to": message.address,
                    "from": self._settings.sender,
                    "text": words,
                    "id": str(message.message_id),
                }
            }
        headers = {"Idempotency-Key": str(message.message_id), **self._authorization}
        try:
            async with self._session.post(self._url, headers=headers, allow_redirects=False, **body) as answer:
                said = await _json_of(answer)
                if 200 <= answer.status < 300:
                    return Tried(provider_id=str(said.get("sid") or said.get("id") or "")[:ERROR_CHARS_MAX])
                error = f"{answer.status} {said.get('message') or said.get('detail') or ''}".strip()[:ERROR_CHARS_MAX]
                if answer.status in (408, 425, 429) or answer.status >= 500 or answer.status in (401, 403):
                    after = answer.headers.get("Retry-After", "")
                    seconds = int(after) if after.isascii() and after.isdigit() and len(after) < 6 else 0
                    return Tried(Failure.AWAY, error, retry_after_seconds=seconds)
                is_gone = said.get("code") in TWILIO_UNREACHABLE
                return Tried(Failure.GONE if is_gone else Failure.REFUSED, error)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return Tried(Failure.AWAY, (str(error) or type(error).__name__)[:ERROR_CHARS_MAX])

    async def close(self) -> None:
        await self._session.close()


async def _json_of(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    try:
        content = await answer.content.read(ANSWER_BYTES_MAX)
        said = aiohttp.typedefs.DEFAULT_JSON_DECODER(content.decode())
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
