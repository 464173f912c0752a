"""Litestar's request and response the short way, for what is asked most: by profile, a third of a booking's cost."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar, cast

import msgspec
from litestar import Request, Response
from litestar._parsers import parse_cookie_string
from litestar.connection.base import empty_receive, empty_send
from litestar.datastructures import Cookie, Headers
from litestar.exceptions import ClientException
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import Empty
from litestar.utils.scope.state import ScopeState
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.wire.addresses import origin
from gateway.wire.connections import write_whole

AnyRequest = Request[Any, Any, Any]
T = TypeVar("T")
_encode: Final = msgspec.json.Encoder().encode
_plain_value: Final = re.compile(r"[A-Za-z0-9._-]+").fullmatch
"""Needs no quotes in a cookie."""
_HEADERS: Final = "admitone.request_headers"

NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
"""Every answer says so: no browser may take JSON for a page or a script."""


def origin_of(request: AnyRequest) -> str:
    """Scheme and host of the site: as the setting has them, or else as this request names them."""
    return origin() or f"{request.url.scheme}://{request.url.netloc}"


def set_cookie_line(cookie: Cookie) -> bytes:
    """What ``Set-Cookie`` says of the cookie.

    Those of our tokens are written here: by way of `http.cookies` one takes half as long as a whole bare no-op.
    """
    value = cookie.value or ""
    if _plain_value(value) is None or cookie.expires is not None or cookie.domain is not None:
        return cookie.to_header(header="").encode("latin-1")
    parts = [f"{cookie.key}={value}"]
    if cookie.httponly:
        parts.append("HttpOnly")
    if cookie.max_age is not None:
        parts.append(f"Max-Age={cookie.max_age}")
    parts += (f"Path={cookie.path}", f"SameSite={cookie.samesite}")
    if cookie.secure:
        parts.append("Secure")
    return "; ".join(parts).encode("latin-1")


class LeanHeaders(Headers):
    """The same multi-dict; only its making skips the test for every type it could be made of."""

    def __init__(self, raw: Any = ()) -> None:
        CIMultiDictProxy.__init__(
            self, CIMultiDict([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])
        )
        self._header_list = None


class LeanRequest(AnyRequest):
    """Makes its headers once, lean, and reads its body without a generator."""

    headers: Headers = LeanHeaders()

    # What Litestar's request writes into each one is the class' here, until somebody asks for it.
    is_connected = True
    supports_push_promise = False
    _server_extensions: Any = {}  # noqa: RUF012 - nobody writes into it
    _accept: Any = Empty
    _base_url: Any = Empty
    _body: Any = Empty
    _content_length: Any = Empty
    _content_type: Any = Empty
    _cookies: Any = Empty
    _form: Any = Empty
    _json: Any = Empty
    _msgpack: Any = Empty
    _parsed_query: Any = Empty
    _url: Any = Empty

    def __init__(self, scope: Any, receive: Any = empty_receive, send: Any = empty_send) -> None:
        # Litestar's own is left out: it makes a state of 22 fields, of which a call of a sale needs none.
        self.scope, self.receive, self.send = scope, receive, send
        self.headers = scope.get(_HEADERS) or LeanHeaders(scope["headers"])
        scope[_HEADERS] = self.headers

    @property
    def _connection_state(self) -> Any:  # type: ignore[override]
        return ScopeState.from_scope(self.scope)

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            RequestEntityTooLarge: it is longer than the route takes, or says so.
            ClientException: the client went before its end.
        """
        state = self._connection_state
        if state.body is not Empty:
            return cast("bytes", state.body)
        bytes_max = self.route_handler.resolve_request_max_body_size() or math.inf
        said = self.headers.get("content-length", "")
        if said.isdigit() and int(said) > bytes_max:
            raise RequestEntityTooLarge
        body, more = b"", True
        while more:
            message = await self.receive()
            if message["type"] != "http.request":
                raise ClientException("The client went before the end of its request.")
            body = body + message["body"] if body else message["body"]
            if len(body) > bytes_max:
                raise RequestEntityTooLarge
            more = message["more_body"]
        state.body = body
        return body

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by their names. Of equal names the first one is ours: a browser sends the one of the longest path
        first, and another site may stand above ours on the same host (RFC 6265, 5.4).
        """
        found: dict[str, str] = self._cookies
        if self._cookies is Empty:
            lines = self.headers.getall("cookie", [])
            found = parse_cookie_string(";".join(";".join(lines).split(";")[::-1])) if lines else {}
            self._cookies = found
        return found


class Answer(Response[bytes]):
    """A finished JSON body, with the few headers it has; sent as it is."""

    def __init__(self, body: bytes, *, status_code: int = 200, headers: dict[bytes, bytes] | None = None) -> None:
        head = {b"content-type": b"application/json", b"cache-control": b"no-store", **(headers or {})}
        if status_code != 304:
            head[b"content-length"] = b"%d" % len(body)
        self.status_code = self.status = status_code
        self._headers = [*head.items()]
        self._body = body

    def add_headers(self, *headers: tuple[bytes, bytes]) -> None:
        """Say these, too."""
        self._headers += headers

    def to_asgi_response(self, *args: Any, **kwargs: Any) -> Any:
        return self.send

    def set_cookies(self, cookies: Sequence[Cookie]) -> None:
        """Have the browser keep these."""
        self._headers += [(b"set-cookie", set_cookie_line(cookie)) for cookie in cookies]

    def write(self, send: Any, *headers: tuple[bytes, bytes]) -> bool:
        """As `gateway.wire.connections.write_whole`, with further headers, which the next request's do not have."""
        return write_whole(send, self.status, (*self._headers, *headers), self._body)

    async def send(self, scope: Any, receive: Any, send: Any) -> None:
        if not write_whole(send, self.status, self._headers, self._body):
            await send({"type": "http.response.start", "status": self.status, "headers": self._headers})
            await send({"type": "http.response.body", "body": self._body})


def answer(value: T, *, status_code: int = 200, cookies: Sequence[Cookie] = ()) -> Response[T]:
    """The value as a finished answer that no cache keeps."""
    finished = Answer(_encode(value), status_code=status_code)
    finished.set_cookies(cookies)
    return cast("Response[T]", finished)
