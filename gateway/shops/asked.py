"""What a shop's proxy asks, as its request says it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gateway.contract.values import ID_MAX

PATH: Final = "/gate/"
PASS_HEADER: Final = b"x-admitone-pass"
COOKIE: Final = "admitone_shop_"
DIALECTS: Final = frozenset({"", "forward", "envoy", "end"})
_ROOM_DIGITS_MAX: Final = len(str(ID_MAX))


class Asked(NamedTuple):
    """A request of the shop, as its proxy tells of it.

    Attributes:
        dialect: how the proxy told of it: ``""`` (nginx and others that take a 401), ``forward`` or ``envoy``; ``end``
            ends the pass.
        host: of the shop, empty where the proxy does not say.
        path: with its query.
        is_page: a person would see the answer.
        is_read: it can be asked again by its address.
        sent_from: the page whose form was sent, as the browser says; empty for what is read.
    """

    event_id: int
    dialect: str
    host: str
    path: str
    agent: bytes
    token: bytes
    address: str
    is_page: bool
    is_read: bool
    sent_from: str


def read(scope: Any, path: str) -> Asked | None:
    """What a proxy asks, of which room; None where the address names none.

    Each dialect takes the shop's address from the headers that its proxies set themselves: a client that sends another
    proxy's headers is not believed.
    """
    room, _, tail = path[len(PATH) :].partition("/")
    dialect = tail.partition("/")[0]
    if dialect not in DIALECTS or not (room.isascii() and room.isdigit() and 0 < len(room) <= _ROOM_DIGITS_MAX):
        return None
    event_id = int(room)
    if not 1 <= event_id <= ID_MAX or room[0] == "0":
        return None
    headers = dict(scope["headers"])
    method = b"GET"
    if dialect == "forward":
        host = headers.get(b"x-forwarded-host", b"").decode("latin-1")
        path = headers.get(b"x-forwarded-uri", b"/").decode("latin-1")
        method = headers.get(b"x-forwarded-method", method)
    elif dialect == "envoy":
        host = headers.get(b"host", b"").decode("latin-1")
        path = scope["raw_path"].decode("latin-1").partition("/envoy")[2] or "/"
        if scope["query_string"]:
            path = f"{path}?{scope['query_string'].decode('latin-1')}"
        method = scope["method"].encode()
    else:
        host, path = _split(headers.get(b"x-original-url", b"/").decode("latin-1"))
        method = headers.get(b"x-original-method", method)
    client = scope["client"]
    is_read = method in (b"GET", b"HEAD")
    return Asked(
        event_id,
        dialect,
        host,
        path,
        headers.get(b"user-agent", b""),
        headers.get(PASS_HEADER) or _token_in(headers.get(b"cookie", b""), room.encode()),
        client[0] if client else "",
        b"text/html" in headers.get(b"accept", b""),
        is_read,
        "" if is_read else headers.get(b"referer", b"").decode("latin-1"),
    )


def _split(address: str) -> tuple[str, str]:
    """Host and path of an address that may be a path alone."""
    if address.startswith("/"):
        return "", address
    host, slash, path = address.partition("://")[2].partition("/")
    return host, slash + path or "/"


def _token_in(cookies: bytes, room: bytes) -> bytes:
    """The pass in a Cookie header; empty where there is none."""
    name = COOKIE.encode() + room + b"="
    for whole in (b"__Host-" + name, name):
        at = cookies.find(whole)
        while at > 0 and cookies[at - 1] not in b"; ":
            at = cookies.find(whole, at + 1)
        if at >= 0:
            begins = at + len(whole)
            ends = cookies.find(b";", begins)
            return cookies[begins:] if ends < 0 else cookies[begins:ends]
    return b""
