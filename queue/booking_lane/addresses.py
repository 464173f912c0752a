"""The parts that URLs with several hosts have in common: sentinels', and those of a cluster's servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import redis.connection


def server_options(scheme: str, login: str, database: str, query: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """redis-py's options of a connection, without an address, as one of its own URLs would give them.

    Args:
        scheme: of redis-py's own URLs.
        login: user and password as the URL has them, with the ``@`` behind; may be empty.

    Raises:
        ValueError: an option has an impossible value.
    """
    plain = urlunsplit((scheme, f"{login}localhost", f"/{database}", urlencode(query), ""))
    options: dict[str, Any] = dict(redis.connection.parse_url(plain))  # type: ignore[no-untyped-call]
    for name in ("host", "port", "connection_class"):
        options.pop(name, None)
    return options


def hosts_of(text: str, port: int, what: str) -> tuple[tuple[str, int], ...]:
    """The hosts of ``host[:port],host[:port]…``, each with the port ``port`` where it names none.

    Args:
        what: what each of them is, for the message.

    Raises:
        ValueError: the text is malformed. It is not in the message.
    """
    return tuple(_host_and_port(one, port, what) for one in text.split(","))


def _host_and_port(text: str, port: int, what: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, own = parts.hostname, parts.port
    except ValueError:
        host, own = None, None
    if not host:
        raise ValueError(f"each {what} is named as host or host:port, with commas between")
    return host, own or port
