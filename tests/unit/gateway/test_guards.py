"""Every route that is not public has a guard of its role, and the guard is asked however the handler is called."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from gateway.identity.guards import FAN_OF_BODY, JOB_OWNER, Guard
from gateway.identity.sessions import Session
from gateway.routes.booking import reserve
from gateway.routes.routers import fan_router, operator_router, public_router
from gateway.services import Services
from gateway.wire.bodies import StrictRequest
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest
from tests.unit.gateway.conftest import create

PUBLIC = {
    "POST /api/session",
    "POST /api/ops/session",
    "GET /api/captcha",
    "GET /api/captcha/challenge",
    "GET /api/events",
    "GET /api/events/{event_id:int}/seats",
    "GET /api/events/{event_id:int}/plan",
    "GET /api/events/{event_id:int}/plan/{plan_version:str}/sections/{section_id:int}",
    "GET /api/events/{event_id:int}/proposals",
    "GET /api/events/{event_id:int}/live",
    "GET /api/events/{event_id:int}/draw",
    "GET /api/events/{event_id:int}/draw/list",
    "GET /api/initial-call/{event_id:int}",
    "POST /api/messages/replies",
    "POST /api/messages/reports",
}
"""What anybody may call below /api; pages, health and metrics are public as a whole."""


def handlers(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    """Every handler below /api by its method and path."""
    for route in app.routes:
        assert isinstance(route, HTTPRoute), route
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS" and route.path.startswith("/api/"):
                yield f"{method} {route.path}", handler


def guard_of(handler: HTTPRouteHandler) -> Guard | None:
    found: Guard | None = handler.opt.get("guard")
    return found


def unguarded(app: Litestar) -> list[str]:
    """What lacks the guard of its role."""
    found = []
    for name, handler in handlers(app):
        guard = guard_of(handler)
        wanted = None if name in PUBLIC else "operator" if " /api/ops/" in name else "fan"
        if (guard and guard.role) != wanted:
            found.append(name)
    return found


def request_of(app: Litestar, token: str | None) -> AnyRequest:
    headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    scope: Any = {"type": "http", "method": "POST", "path": "/", "headers": headers, "litestar_app": app}
    return StrictRequest(scope)


async def refused(app: Litestar, handler: HTTPRouteHandler, token: str | None) -> str:
    """The code of the problem with which a handler's function refuses a call past Litestar's machinery."""
    body = SimpleNamespace(event_id=1, user_id=None)
    with pytest.raises(ProblemError) as error:
        await handler.fn(request=request_of(app, token), data=body)
    code: str = error.value.document["code"]
    return code


def test_every_route_has_the_guard_of_its_role(app: Litestar) -> None:
    names = {name for name, _ in handlers(app)}
    assert names >= PUBLIC
    assert len(names) > 40
    assert unguarded(app) == []


def test_a_route_without_its_guard_is_found() -> None:
    public, fans = public_router("stray"), fan_router("stray")

    @public.get("/api/ops/stray")
    async def stray(request: AnyRequest) -> None: ...

    @public.get("/api/stray")
    async def another(request: AnyRequest) -> None: ...

    @fans.get("/api/ops/wrong")
    async def wrong(request: AnyRequest) -> None: ...

    app = Litestar([*public.handlers, *fans.handlers])
    assert unguarded(app) == ["GET /api/ops/stray", "GET /api/stray", "GET /api/ops/wrong"]


async def test_no_handlers_function_runs_without_its_subject(app: Litestar) -> None:
    services: Services = app.state["services"]
    fan, operator = services.identity.new_fan()[0], services.identity.new_operator("Ada")
    tried = 0
    for name, handler in handlers(app):
        guard = guard_of(handler)
        if guard is None:
            continue
        tried += 1
        assert await refused(app, handler, None) == "unauthenticated", name
        assert await refused(app, handler, "forged") == "session_invalid", name
        of_other_role = (fan, "not_operator") if guard.role == "operator" else (operator, "unauthenticated")
        assert await refused(app, handler, of_other_role[0]) == of_other_role[1], name
    assert tried > 30


async def test_a_handler_is_given_its_subject(app: Litestar) -> None:
    services: Services = app.state["services"]
    fans, operators = fan_router("stray"), operator_router("stray")
    given: list[Any] = []

    @fans.post("/fan")
    async def of_fan(request: AnyRequest, fan: Session) -> None:
        given.append(fan.user_id)

    @fans.post("/body", guard=FAN_OF_BODY)
    async def of_body(request: AnyRequest, user_id: int, data: Any) -> None:
        given.append(user_id)

    @operators.post("/operator")
    async def of_operator(request: AnyRequest, operator: Session) -> None:
        given.append(operator.name)

    token, user_id = services.identity.new_fan()
    await of_fan.fn(request=request_of(app, token))
    await of_body.fn(request=request_of(app, token), data=SimpleNamespace(user_id=user_id))
    await of_operator.fn(request=request_of(app, services.identity.new_operator("Ada")))
    assert given == [user_id, user_id, "Ada"]
    with pytest.raises(ProblemError, match="not_you"):
        await of_body.fn(request=request_of(app, token), data=SimpleNamespace(user_id=user_id + 1))


async def test_open_auth_takes_the_body_at_its_word() -> None:
    app = create(ADMITONE_AUTH="open")
    fans = fan_router("stray")
    given: list[Any] = []

    @fans.post("/body", guard=FAN_OF_BODY)
    async def of_body(request: AnyRequest, user_id: int, data: Any) -> None:
        given.append(user_id)

    @fans.get("/job", guard=JOB_OWNER)
    async def of_job(request: AnyRequest, owner_id: int | None) -> None:
        given.append(owner_id)

    await of_body.fn(request=request_of(app, None), data=SimpleNamespace(user_id=7))
    await of_job.fn(request=request_of(app, None))
    assert given == [7, None]
    with pytest.raises(ProblemError, match="unauthenticated"):
        await of_body.fn(request=request_of(app, None), data=SimpleNamespace(user_id=None))


async def test_a_full_lane_is_said_before_the_session_is_looked_at(
    app: Litestar, monkeypatch: pytest.MonkeyPatch
) -> None:
    services: Services = app.state["services"]

    def full(event_id: int) -> None:
        raise ProblemError("overloaded")

    monkeypatch.setattr(services.desk, "refuse_if_full", full)
    assert await refused(app, reserve, None) == "overloaded"
