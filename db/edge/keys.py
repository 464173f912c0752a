"""The keys that cacheable answers carry: by them a cache forgets all that shows an event, whatever its address."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

LISTS: Final = "events"
"""The key of every answer that shows many events."""


class Provider(StrEnum):
    """What stands in front of the site."""

    NONE = "none"
    FASTLY = "fastly"
    CLOUDFLARE = "cloudflare"
    VARNISH = "varnish"
    NGINX = "nginx"


HEADERS: Final = {
    Provider.FASTLY: ("Surrogate-Key", " "),
    Provider.CLOUDFLARE: ("Cache-Tag", ","),
    Provider.VARNISH: ("xkey", " "),
}
"""By which header each provider is told an answer's keys, and what stands between two of them. nginx knows no keys."""


def event_key(event_id: int) -> str:
    """The key of every answer that shows this event."""
    return f"event-{event_id}"
