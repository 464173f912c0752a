"""Settings of the edge: how long it keeps what, and how it is told to forget."""

from __future__ import annotations

from typing import Annotated

from db.edge.keys import Provider
from db.settings import Section, bounded, setting


class EdgeSettings(Section, frozen=True, kw_only=True):
    """``urls`` and ``zone`` are needed by the provider that `db.edge.keys.Provider` names."""

    provider: Annotated[
        Provider,
        setting("the cache in front of the site, which is told of changes: fastly, cloudflare, varnish or nginx"),
    ] = Provider.NONE
    urls: Annotated[
        str,
        setting(
            "where it is told to forget, blanks between, e.g. http://varnish:6081; empty: the address that Fastly or"
            " Cloudflare document"
        ),
    ] = ""
    zone: Annotated[str, setting("Fastly's service id, or Cloudflare's zone id")] = ""
    token: Annotated[str, setting("the API token by which Fastly or Cloudflare let it be told")] = ""
    quiet_seconds: Annotated[
        int, bounded("it keeps the page of an event for so long while nothing is sold and no lobby is open", 1, 3600)
    ] = 10
    list_seconds: Annotated[int, bounded("it keeps a list of events for so long", 1, 3600)] = 5
    timeout_seconds: Annotated[int, bounded("an attempt to tell it", 1, 60)] = 5
    attempts_max: Annotated[int, bounded("attempts to tell it of one change", 1, 20)] = 6
    at_once_max: Annotated[int, bounded("attempts under way, a worker process", 1, 100)] = 8
