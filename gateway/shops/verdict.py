"""The answers of a check, as plain ASGI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from booking_lane.problems import problem
from gateway.shops.asked import Asked
from gateway.wire.connections import write_whole
from gateway.wire.problems import MEDIA_TYPE

ALLOWED: Final = (
    (b"content-length", b"0"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class Verdict(NamedTuple):
    """The answer: 200 lets through; ``to`` is where the fan is sent otherwise; ``cookie`` comes along with either."""

    status: int
    to: str = ""
    cookie: bytes = b""
    code: str = "pass_required"


THROUGH: Final = Verdict(200)


async def answer(send: Any, asked: Asked | None, verdict: Verdict) -> None:
    """Send the verdict in the way that the asking proxy understands."""
    status, body = verdict.status, b""
    headers: Sequence[tuple[bytes, bytes]] = ALLOWED
    if status != 200 or verdict.cookie:
        added = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
        if verdict.cookie:
            added.append((b"set-cookie", verdict.cookie))
        if verdict.to:
            added.append((b"location", verdict.to.encode()))
        hands_on = asked is not None and asked.dialect in ("forward", "envoy")
        if asked is not None and hands_on and status == 401 and (asked.is_page or verdict.cookie):
            # These proxies hand the answer on as it is: people are sent on, programs are told where to.
            status = 302 if asked.is_read else 303
        if status >= 400:
            document = problem(verdict.code, **({"href": verdict.to} if verdict.to else {}))
            status, body = status if status == 401 else document["status"], msgspec.json.encode(document)
            added.append((b"content-type", MEDIA_TYPE))
            if status == 401:
                added.append((b"www-authenticate", b"Admitone"))
            if status == 503:
                added.append((b"retry-after", b"2"))
        headers = [*added, (b"content-length", b"%d" % len(body))]
    if not write_whole(send, status, headers, body):
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body})
