"""A shortcut for the calls that a sale's fans make, around Litestar's machinery, which was a fifth of a booking's cost
(ADR 11, ADR 118).

Handlers, bodies and problems are the routes' own. The shortcut leaves out finding the route, collecting keyword
arguments and wrapping responses. Unusual requests go through Litestar as all others do.
"""

from __future__ import annotations

import inspect
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from gateway.booking.desk import overloaded
from gateway.routes import halls, line, sessions
from gateway.routes.booking import KEY_CHARACTERS_MAX, PREFER_CHARACTERS_MAX, checkout, job, purchase, reserve
from gateway.routes.usual_search import read_search
from gateway.services import Services
from gateway.wire.bodies import StrictRequest, decoded
from gateway.wire.connections import body_at_hand
from gateway.wire.later_headers import later_headers
from gateway.wire.problems import answer_to, answered, problem_answer
from gateway.wire.request_ids import HEADER, request_id
from gateway.wire.requests import NOSNIFF, Answer

_plain_host: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]+").fullmatch
_HANDLERS: Final = (
    reserve,
    checkout,
    job,
    purchase,
    line.join,
    line.poll,
    line.claim,
    sessions.new_session,
    halls.events,
    halls.initial_call,
    halls.seats,
)
"""Each answers with an `Answer`."""
_REFUSED_EARLY: Final = frozenset({reserve.fn, checkout.fn})
"""What a full lane refuses before all else."""
BODY_BYTES_MAX: Final = 4096
"""A longer body is read in the usual way, and first, whatever its lane has room for."""
_FN: Final = frozenset(handler.fn for handler in _HANDLERS)
_PARAMETERS: Final[dict[type, tuple[str, Callable[[str], Any]]]] = {
    # Fewer digits than the largest id has: a number that may be too large is Litestar's to refuse.
    int: ("[1-9][0-9]{0,14}", int),
    uuid.UUID: ("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid.UUID),
}
"""The usual spelling of a path's parameter by its type, and what reads it."""
_IN_HEADERS: Final = frozenset({"idempotency_key", "prefer"})


class _OfEvent(msgspec.Struct, rename="camel"):
    event_id: int


_of_event: Final = msgspec.json.Decoder(_OfEvent).decode
_wait: Final = re.compile(rb"wait=([12]?[0-9]|30)").fullmatch
"""The query of a client that waits for its job, as clients write it; no more than `WAIT_SECONDS_MAX`."""


def _read_wait(query: bytes) -> dict[str, Any] | None:
    found = _wait(query)
    return None if found is None else {"wait": float(found[1])}


_QUERIES: Final[dict[Any, Callable[[bytes], dict[str, Any] | None]]] = {
    job.fn: _read_wait,
    halls.events.fn: read_search,
}
"""What reads the queries of a handler: the arguments, or None where Litestar is to read it."""


@dataclass(frozen=True, slots=True)
class _Way:
    """A handler, and what it is called with.

    Attributes:
        template: the path as metrics name it.
        parameter: the name of the path's parameter; empty without one.
        read: reads that parameter.
        body_type: of ``data``; None where the handler takes none. ``may_lack_body``: an empty one means none.
        body_bytes_max: a longer body is read by `StrictRequest.body`, which refuses it or waits for its end.
        has_key: it takes the Idempotency-Key and ``Prefer``.
        read_query: reads the query; None where the handler takes nothing of it.
        refused_early: it sends a command to a lane, which may be full.
    """

    handler: HTTPRouteHandler
    template: str
    parameter: str
    read: Callable[[str], Any]
    body_type: Any
    may_lack_body: bool
    body_bytes_max: int
    has_key: bool
    read_query: Callable[[bytes], dict[str, Any] | None] | None
    refused_early: bool

    @classmethod
    def to(cls, handler: HTTPRouteHandler, route: HTTPRoute) -> _Way:
        """The way to a handler, whose path has one parameter at most."""
        of_path = [component for component in route.path_components if not isinstance(component, str)]
        assert len(of_path) <= 1, "a path of one parameter"
        parameter = of_path[0].name if of_path else ""
        signature = inspect.signature(handler.fn).parameters
        others = signature.keys() - {"request", "data", parameter} - _IN_HEADERS
        return cls(
            handler,
            route.path_format,
            parameter,
            _PARAMETERS[of_path[0].type][1] if of_path else str,
            body_type=field.annotation if (field := handler.parsed_data_field) is not None else None,
            may_lack_body="data" in signature and signature["data"].default is None,
            body_bytes_max=min(BODY_BYTES_MAX, handler.resolve_request_max_body_size() or BODY_BYTES_MAX),
            has_key=signature.keys() >= _IN_HEADERS,
            read_query=_QUERIES.get(handler.fn, _left_to_litestar) if others else None,
            refused_early=handler.fn in _REFUSED_EARLY,
        )


class Express:
    """The shortcut to these handlers of ``app``."""

    def __init__(self, app: Litestar, services: Services) -> None:
        self._app = app
        self._services = services
        problem = overloaded()
        self._overloaded = problem_answer(problem.document, problem.headers)
        self._ways: dict[tuple[str, str], _Way] = {}
        """By method and path, or by method and the name of the path's group in the pattern."""
        groups: list[str] = []
        for route in app.routes:
            if not isinstance(route, HTTPRoute):
                continue
            group = ""
            for method, (handler, _) in route.route_handler_map.items():
                if handler.fn not in _FN:
                    continue
                way = _Way.to(handler, route)
                if way.parameter and not group:
                    group = f"path{len(groups)}"
                    groups.append(f"(?P<{group}>{_pattern(route)})")
                self._ways[method, group or route.path] = way
        self._find = re.compile("|".join(groups)).fullmatch

    def _way(self, scope: Any) -> tuple[_Way | None, str]:
        """The way of this request, if there is one, and its parameter as it is written."""
        method, path = scope["method"], scope["path"]
        way = self._ways.get((method, path))
        if way is not None:
            return way, ""
        found = self._find(path)
        if found is None or found.lastgroup is None or found.lastindex is None:
            return None, ""
        return self._ways.get((method, found.lastgroup)), found[found.lastindex + 1]

    async def answers(self, scope: Any, receive: Any, send: Any) -> bool:
        """Answer the request and return True; or leave it untouched and return False."""
        way, written = self._way(scope)
        if way is None:
            return False
        if way.refused_early and self._refuses(way, scope, receive, send):
            return True
        arguments: dict[str, Any] = {}
        if way.read_query is not None and scope["query_string"]:
            read = way.read_query(scope["query_string"])
            if read is None:
                return False
            arguments = read
        app = self._app
        scope["app"] = scope["litestar_app"] = app
        scope["route_handler"] = way.handler
        scope["path_template"] = way.template
        scope["path_params"] = {}
        if way.parameter:
            arguments[way.parameter] = scope["path_params"][way.parameter] = way.read(written)
        request = StrictRequest(scope, receive, send)
        headers = request.headers
        hosts = headers.getall("host", ())
        if len(hosts) != 1 or _plain_host(hosts[0]) is None:
            return False
        if way.has_key:
            key, prefer = headers.get("idempotency-key"), headers.get("prefer")
            if not (key is None or 0 < len(key) <= KEY_CHARACTERS_MAX):
                return False
            if not (prefer is None or len(prefer) <= PREFER_CHARACTERS_MAX):
                return False
            arguments["idempotency_key"], arguments["prefer"] = key, prefer
        began_at = time.perf_counter()
        try:
            if way.body_type is not None:
                body = body_at_hand(receive, way.body_bytes_max)
                if body is None:
                    body = await request.body()
                if body or not way.may_lack_body:
                    request.require_json()
                    arguments["data"] = decoded(body, way.body_type)
            response: Answer = await way.handler.fn(request=request, **arguments)
        except Exception as error:
            response = answer_to(request, error)
        self._services.traffic.answered(scope, response.status, time.perf_counter() - began_at)
        response.add_headers((HEADER, request_id(scope)), NOSNIFF, *later_headers(scope))
        await response.send(scope, receive, send)
        return True

    def _refuses(self, way: _Way, scope: Any, receive: Any, send: Any) -> bool:
        """Refuse a command whose lane is full. Of the request only the event in its body is read, because refusing must
        stay cheap: its cost is taken from those who book. False where the lane has room, or the request is to be read
        in the usual way.
        """
        desk = self._services.desk
        if not desk.refused_lately:
            return False
        began_at = time.perf_counter()
        body = body_at_hand(receive, BODY_BYTES_MAX)
        if body is None:
            return False
        try:
            event_id = _of_event(body).event_id
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        if not desk.is_full(event_id) or not self._overloaded.write(send, (HEADER, request_id(scope)), NOSNIFF):
            return False
        answered["overloaded"] += 1
        scope["path_template"] = way.template
        self._services.traffic.answered(scope, self._overloaded.status, time.perf_counter() - began_at)
        return True


def _left_to_litestar(query: bytes) -> None:
    return None


def _pattern(route: HTTPRoute) -> str:
    parts = [
        re.escape(part) if isinstance(part, str) else f"({_PARAMETERS[part.type][0]})" for part in route.path_components
    ]
    return "/" + "/".join(parts)
