"""Bodies about alerts by web push."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from db.texts import END
from gateway.contract.values import RequestBody

ENDPOINT_MAX = 2000

Endpoint = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=ENDPOINT_MAX,
        pattern=r"^https://[\x21-\x7e]+" + END,
        description="the browser's address at its push service",
    ),
]


class PushKeys(RequestBody, kw_only=True):
    """The browser's keys, in base64url (RFC 8291)."""

    p256dh: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{87}" + END)]
    auth: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{22}" + END)]


class PushSubscriptionBody(RequestBody, kw_only=True):
    """A browser's `PushSubscription` as its ``toJSON`` gives it, with the language in which it is to be told."""

    EXAMPLES = (
        {
            "endpoint": "https://push.example.org/send/4f1d",
            "keys": {
                "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                "auth": "BTBZMqHH6r4Tts7J_aSIgg",
            },
            "language": "de",
        },
    )

    endpoint: Endpoint
    keys: PushKeys
    language: Annotated[str, Meta(pattern="^[a-z]{2}" + END)] = "en"


class PushBody(RequestBody, kw_only=True):
    """Which browser: by its endpoint."""

    EXAMPLES = ({"endpoint": "https://push.example.org/send/4f1d"},)

    endpoint: Endpoint
