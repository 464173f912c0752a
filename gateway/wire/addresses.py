"""The one place that makes the site's addresses: every link, redirect, cookie's path and ``href`` begins here.

A site may stand below a path of its host, as in ``https://venue.example/tickets/``. A proxy may pass that path on or
take it off: a gateway knows its pages by both addresses, and makes addresses that fans can use. ASGI's ``root_path`` is
left empty, because Litestar cuts a path wherever the root's text stands in it, and uvicorn puts the root before every
path, so that a proxy must take it off.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

OWN_FIRST_PARTS: Final = frozenset(
    {
        ".well-known",
        "account",
        "alerts.js",
        "api",
        "dev",
        "events",
        "gate",
        "health",
        "language",
        "manifest.webmanifest",
        "messages",
        "metrics",
        "ops",
        "pay",
        "pictures",
        "purchases",
        "scan",
        "scan-worker.js",
        "scan.webmanifest",
        "schema",
        "sign-out",
        "static",
        "wait",
    }
    | {"ar", "de", "en", "es", "fr", "ja"}
)
"""The first part of every address of the site itself. A root that began so could not be told from one of them."""
_ONLY_INSIDE: Final = "metrics"
"""What is for the monitoring inside is served at its own address alone, never below the root that proxies serve."""
PORT_MAX: Final = 65_535
_PORTS: Final = {"http": 80, "https": 443}
_is_root: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)*").fullmatch
_is_host: Final = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]").fullmatch


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """Where fans find the site.

    Attributes:
        origin: scheme and host, as a browser's ``Origin`` has them; empty where it is not known.
        root: the path that the site stands below, without a slash at its end; empty where it has the whole host.
    """

    origin: str = ""
    root: str = ""

    @classmethod
    def of(cls, text: str) -> Self:
        """The address that a setting names: ``https://venue.example/tickets``, or its path alone.

        Raises:
            ValueError: it is no such address, or its path begins as the site's own addresses do.
        """
        try:
            parts = urlsplit(text)
            origin = "" if text.startswith("/") and not parts.netloc else _origin(parts.scheme, parts.netloc)
        except ValueError:
            origin = None
        root = "" if origin is None else parts.path.rstrip("/")
        if origin is None or _is_root(root) is None or parts.query or parts.fragment:
            raise ValueError("name an address as https://venue.example/tickets, or its path as /tickets")
        first = root[1:].partition("/")[0]
        if first in OWN_FIRST_PARTS:
            raise ValueError(f"the site has addresses of its own that begin with /{first}: take another path")
        return cls(origin, root)


def _origin(scheme: str, netloc: str) -> str | None:
    """None if these are no origin."""
    host, colon, port = netloc.rpartition(":") if re.search(r":\d*$", netloc) else (netloc, "", "")
    if scheme not in _PORTS or _is_host(host) is None or (colon and not 0 < int(port or 0) <= PORT_MAX):
        return None
    return f"{scheme}://{host.lower()}" + ("" if not port or int(port) == _PORTS[scheme] else f":{int(port)}")


_WHOLE_HOST: Final = PublicAddress()
_served: ContextVar[PublicAddress] = ContextVar("served", default=_WHOLE_HOST)


def enter(scope: Any, site: PublicAddress) -> Any:
    """Make addresses of this site from here on, in all that this call of the application begins.

    Args:
        scope: ASGI's.

    Returns:
        The scope, with the path as the routes know it.
    """
    _served.set(site)
    if not site.root or scope["type"] != "http":
        return scope
    path: str = scope["path"]
    if not path.startswith(site.root):
        return scope
    rest = path[len(site.root) :]
    if (rest and rest[0] != "/") or rest.lstrip("/").partition("/")[0] == _ONLY_INSIDE:
        return scope
    return {**scope, "path": rest or "/", "raw_path": (rest or "/").encode()}


def below(path: str) -> str:
    """The address of ``path``, which begins with a slash and is as the routes know it. Of an empty one: the root."""
    return _served.get().root + path


def cookie_path() -> str:
    """The path of every cookie: another site on the same host, below another path, is not sent them."""
    return _served.get().root or "/"


def origin() -> str:
    """Scheme and host by which fans find the site; empty where no setting says so."""
    return _served.get().origin
