"""The headers of answers that are the same for everybody, so that a cache in front of the site may keep them.

Such an answer sets no cookie and looks at none: only a request without a session is given one. Browsers ask anew each
time (``max-age=0``), because their next look may come with a session. An edge keeps a copy for ``s-maxage`` seconds.
While it fetches the next one it may serve the old one for a second more.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from db.edge.keys import HEADERS, Provider

MOVING_SECONDS: Final = 1
"""How long an edge keeps what changes with every booking. Whole seconds are the least that the header can say."""
STALE_SECONDS: Final = 1

_provider = Provider.NONE


def name_keys_for(provider: Provider) -> None:
    """Have this process' answers tell their keys as this provider reads them."""
    global _provider
    _provider = provider
    header_lines.cache_clear()


@dataclass(frozen=True, slots=True)
class Shared:
    """How long an edge may keep an answer, in whole seconds, and the keys by which it forgets the answer sooner."""

    seconds: int
    keys: tuple[str, ...]

    @property
    def headers(self) -> dict[str, str]:
        """The headers that say so."""
        control = f"public, max-age=0, s-maxage={self.seconds}, stale-while-revalidate={STALE_SECONDS}"
        name, between = HEADERS.get(_provider, ("", ""))
        return {"Cache-Control": control} | ({name: between.join(self.keys)} if name else {})


@lru_cache(maxsize=1024)
def header_lines(seconds: int, key: str) -> Mapping[bytes, bytes]:
    """The headers of an answer with one key as ASGI has them, which thousands of requests a second are given."""
    return {name.lower().encode(): value.encode() for name, value in Shared(seconds, (key,)).headers.items()}


def seconds_until_change(now: dt.datetime, moments: Iterable[dt.datetime | None], most: int) -> int:
    """For how many whole seconds words stay true that change at these moments: ``most`` at most.

    It is one second at least. With less, every request would come to us in the second before a sale begins.
    """
    left = [(at - now).total_seconds() for at in moments if at is not None and at > now]
    return max(MOVING_SECONDS, min([most, *(math.floor(seconds) - STALE_SECONDS for seconds in left)]))
