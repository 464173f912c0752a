"""The calls by which each provider is told to forget what shows an event, as its documentation has them.

Fastly: POST /service/{id}/purge with the keys in ``Surrogate-Key``. Cloudflare: POST /zones/{id}/purge_cache with the
keys as ``tags``. Varnish: PURGE with the keys in ``xkey``, as ``deploy/varnish/edge.vcl`` takes it. nginx: PURGE of
each address, as NGINX Plus and the module ngx_cache_purge take it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from db.edge.keys import LISTS, Provider, event_key
from db.edge.settings import EdgeSettings
from db.languages import LANGUAGE_TAGS

FASTLY: Final = "https://api.fastly.com"
CLOUDFLARE: Final = "https://api.cloudflare.com/client/v4"
NOT_KEPT: Final = frozenset({404, 412})
"""What a cache answers that has no copy of an address."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a provider; ``body`` is JSON, None for an empty one."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, list[str]] | None = None


def calls(settings: EdgeSettings, event_id: int, public_url: str = "") -> list[Call]:
    """What the provider is told when an event has changed: the event itself, and every list.

    Args:
        public_url: where fans find the site; nginx knows its copies by that host.
    """
    keys = [event_key(event_id), LISTS]
    urls = [url.rstrip("/") for url in settings.urls.split()]
    if settings.provider is Provider.FASTLY:
        headers = {"Fastly-Key": settings.token, "Surrogate-Key": " ".join(keys)}
        return [Call("POST", f"{url}/service/{settings.zone}/purge", headers) for url in urls or [FASTLY]]
    if settings.provider is Provider.CLOUDFLARE:
        headers = {"Authorization": f"Bearer {settings.token}"}
        path = f"zones/{settings.zone}/purge_cache"
        return [Call("POST", f"{url}/{path}", headers, {"tags": keys}) for url in urls or [CLOUDFLARE]]
    if settings.provider is Provider.VARNISH:
        return [Call("PURGE", f"{url}/", {"xkey": " ".join(keys)}) for url in urls]
    public = urlsplit(public_url)
    headers = {"Host": public.netloc} if public.netloc else {}
    paths = [public.path.rstrip("/") + path for path in _paths(event_id)]
    return [Call("PURGE", url + path, headers) for url in urls for path in paths]


def _paths(event_id: int) -> Iterator[str]:
    """The addresses of what an edge keeps of an event."""
    for language in ("", *(f"/{tag}" for tag in LANGUAGE_TAGS)):
        yield f"{language}/"
        yield f"{language}/events/{event_id}"
    yield "/api/events"
    yield f"/api/initial-call/{event_id}"
    yield f"/api/events/{event_id}/seats"
    yield f"/api/events/{event_id}/plan"
