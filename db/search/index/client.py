"""Connections to Elasticsearch by its own client, which is loaded only where a site uses it."""

from __future__ import annotations

from typing import Any, Final

from elasticsearch import ApiError, AsyncElasticsearch, TransportError

from db.search.index.settings import SearchIndexSettings

FAILURES: Final = (ApiError, TransportError)
"""What a call raises: the server refuses it, or does not answer."""


def client_of(settings: SearchIndexSettings, *, seconds: float) -> AsyncElasticsearch:
    """A client whose calls take ``seconds`` at most and are never repeated; the caller closes it.

    Raises:
        ValueError: a URL is malformed.
    """
    return AsyncElasticsearch(**arguments(settings, seconds=seconds))


def arguments(settings: SearchIndexSettings, *, seconds: float) -> dict[str, Any]:
    """What the client's classes take to be such a client."""
    return {
        "hosts": settings.urls.split(),
        "api_key": settings.api_key or None,
        "ca_certs": settings.ca_file or None,
        "request_timeout": seconds,
        "max_retries": 0,
        "retry_on_timeout": False,
    }


def is_away(error: ApiError | TransportError) -> bool:
    """Whether the server fails rather than this one call."""
    return not isinstance(error, ApiError) or error.status_code >= 500 or error.status_code == 429
