"""A shortcut for reserve and checkout around Litestar's machinery, which was a fifth of a booking's cost (ADR 11).

Handlers, bodies and problems are the routes' own. The shortcut leaves out finding the route, collecting keyword
arguments and wrapping responses. Unusual requests go through Litestar as all others do.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from gateway.routes.booking import KEY_CHARACTERS_MAX, PREFER_CHARACTERS_MAX, checkout, reserve
from gateway.services import services_of
from gateway.wire.bodies import StrictRequest
from gateway.wire.later_headers import later_headers
from gateway.wire.problems import answer_to
from gateway.wire.request_ids import request_id

_plain_host: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]+").fullmatch
_HANDLERS: Final = frozenset({reserve.fn, checkout.fn})


class Express:
    """The shortcut to the handlers of ``app`` that take ``data``, ``idempotency_key`` and ``prefer``."""

    def __init__(self, app: Litestar) -> None:
        self._app = app
        self._handlers: dict[tuple[str, str], HTTPRouteHandler] = {
            (method, route.path): handler
            for route in app.routes
            if isinstance(route, HTTPRoute)
            for method, (handler, _) in route.route_handler_map.items()
            if handler.fn in _HANDLERS
        }

    async def answers(self, scope: Any, receive: Any, send: Any) -> bool:
        """Answer the request and return True; or leave it untouched and return False."""
        handler = self._handlers.get((scope["method"], scope["path"]))
        if handler is None:
            return False
        scope["app"] = scope["litestar_app"] = self._app
        scope["route_handler"] = handler
        scope["path_params"] = {}
        scope["path_template"] = scope["path"]
        request = StrictRequest(scope, receive, send)
        headers = request.headers
        key, prefer = headers.get("idempotency-key"), headers.get("prefer")
        ordinary = (
            (key is None or 0 < len(key) <= KEY_CHARACTERS_MAX)
            and (prefer is None or len(prefer) <= PREFER_CHARACTERS_MAX)
            and _plain_host(headers.get("host", "")) is not None
        )
        if not ordinary:
            return False
        began_at = time.perf_counter()
        try:
            response = await handler.fn(request=request, data=await request.json(), idempotency_key=key, prefer=prefer)
        except Exception as error:
            response = answer_to(request, error)
        services_of(request).traffic.answered(scope, response.status_code, time.perf_counter() - began_at)
        response.set_header("x-request-id", request_id(scope).decode())
        response.set_header("x-content-type-options", "nosniff")
        for name, value in later_headers(scope):
            response.set_header(name.decode(), value.decode())
        await response.to_asgi_response(app=None, request=request)(scope, receive, send)
        return True
