"""Every route that is not public has a guard of its role, and the guard is asked however the handler is called."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from db.operators.roles import DOOR, OWNER, STEWARD, VIEWER, Grants, OperatorRole
from gateway.identity.guards import FAN_OF_BODY, JOB_OWNER, Guard
from gateway.identity.needs import IN_PERSON, SIGNED_IN, Need, at_event, at_site
from gateway.identity.sessions import Session
from gateway.routes.booking import reserve
from gateway.routes.rooms import PathEvent
from gateway.routes.routers import fan_router, operator_router, public_router
from gateway.services import Services
from gateway.wire.bodies import StrictRequest
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest
from tests.unit.gateway.conftest import create, operator_token

PUBLIC = {
    "POST /api/session",
    "POST /api/account/links",
    "POST /api/account/password",
    "POST /api/account/session",
    "POST /api/account/session/passkey/options",
    "POST /api/account/session/passkey",
    "POST /api/ops/session",
    "POST /api/ops/session/passkey/options",
    "POST /api/ops/session/passkey",
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
    "GET /api/events/{event_id:int}/waiting-list/entries",
    "GET /api/initial-call/{event_id:int}",
    "GET /api/events/{event_id:int}/asks",
    "POST /api/tickets/find",
    "GET /api/tickets/found/{token:str}",
    "POST /api/messages/replies",
    "POST /api/messages/reports",
    "POST /api/payments/{provider:str}/notices",
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


def undeclared(app: Litestar) -> list[str]:
    """The operators' routes that do not say which role they need, and those that ask for it at an event not named."""
    found = []
    for name, handler in handlers(app):
        if " /api/ops/" not in name or name in PUBLIC:
            continue
        needs: Need | None = handler.opt.get("needs")
        if needs is None or (needs.where == "event") != ("{event_id:int}" in name):
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


def test_every_route_for_operators_says_which_role_it_needs(app: Litestar) -> None:
    assert undeclared(app) == []


def test_a_route_that_says_no_role_or_a_wrong_place_is_found() -> None:
    operators = operator_router("stray")

    @operators.get("/api/ops/stray")
    async def stray(request: AnyRequest) -> None: ...

    @operators.get("/api/ops/misplaced", needs=at_event(VIEWER))
    async def misplaced(request: AnyRequest) -> None: ...

    @operators.get("/api/ops/rooms/{event_id:int}/wide", needs=at_site(VIEWER))
    async def wide(request: AnyRequest, event_id: PathEvent) -> None: ...

    assert undeclared(Litestar([*operators.handlers])) == [
        "GET /api/ops/stray",
        "GET /api/ops/misplaced",
        "GET /api/ops/rooms/{event_id:int}/wide",
    ]


async def test_a_route_that_says_no_role_is_for_owners_alone(app: Litestar) -> None:
    operators = operator_router("stray")

    @operators.get("/api/ops/stray")
    async def stray(request: AnyRequest) -> None: ...

    assert await refused(app, stray, operator_token(app, Grants(STEWARD))) == "not_your_role"
    assert await refused(app, stray, operator_token(app, Grants(None, {1: OWNER}))) == "not_your_role"


ACTS: dict[str, OperatorRole | None] = {
    "GET /api/ops/session": None,
    "GET /api/ops/rooms": VIEWER,
    "GET /api/ops/rooms/{event_id:int}": VIEWER,
    "GET /api/ops/rooms/{event_id:int}/codes": VIEWER,
    "POST /api/ops/rooms/{event_id:int}/codes": STEWARD,
    "GET /api/ops/events/{event_id:int}/vouchers": VIEWER,
    "POST /api/ops/events/{event_id:int}/vouchers": STEWARD,
    "PUT /api/ops/events/{event_id:int}/asks": OWNER,
    "GET /api/ops/events/{event_id:int}/orders": STEWARD,
    "GET /api/ops/events/{event_id:int}/orders.csv": OWNER,
    "GET /api/ops/events/{event_id:int}/invoices.csv": OWNER,
    "GET /api/ops/events/{event_id:int}/seller": STEWARD,
    "PUT /api/ops/events/{event_id:int}/seller": OWNER,
    "GET /api/ops/events/{event_id:int}/orders/{purchase_id:uuid}/invoice.pdf": STEWARD,
    "POST /api/ops/events/{event_id:int}/gifts": OWNER,
    "PATCH /api/ops/rooms/{event_id:int}": OWNER,
    "PATCH /api/ops/events/{event_id:int}": OWNER,
    "POST /api/ops/events": OWNER,
    "POST /api/ops/webhooks": OWNER,
    "POST /api/ops/shops": OWNER,
    "GET /api/ops/shops/{event_id:int}": VIEWER,
    "PUT /api/ops/shops/{event_id:int}": OWNER,
    "POST /api/ops/shops/{event_id:int}/figures": DOOR,
    "POST /api/ops/messages/resend": STEWARD,
    "POST /api/ops/events/{event_id:int}/entries": DOOR,
    "GET /api/ops/rooms/{event_id:int}/entries": VIEWER,
}
"""What each of these routes needs, as the documents for operators have it."""
ALLOWED: dict[OperatorRole | None, set[OperatorRole | None]] = {
    None: {None},
    DOOR: {None, DOOR},
    VIEWER: {None, VIEWER},
    STEWARD: {None, VIEWER, STEWARD, DOOR},
    OWNER: {None, VIEWER, STEWARD, DOOR, OWNER},
}


@pytest.mark.parametrize("role", ALLOWED, ids=str)
@pytest.mark.parametrize("name", ACTS)
async def test_a_role_may_do_what_it_includes_and_no_more(app: Litestar, name: str, role: OperatorRole | None) -> None:
    needs: Need = dict(handlers(app))[name].opt["needs"]
    assert needs.role == ACTS[name]
    at_site, at_this, at_another = (
        Grants(role),
        Grants(None, {} if role is None else {1: role}),
        Grants(None, {2: OWNER}),
    )
    is_allowed = ACTS[name] in ALLOWED[role]
    assert may(needs, at_site) == is_allowed
    assert may(needs, at_this) == (is_allowed and (needs.where != "site" or needs.role is None))
    assert may(needs, at_another) == (needs.where == "somewhere")


def may(needs: Need, grants: Grants) -> bool:
    try:
        needs.check(Session(0, "operator", "j", "Ada", grants=grants), {"event_id": 1})
    except ProblemError as error:
        return bool(error.document["code"] != "not_your_role")
    return True


def test_roles_are_not_in_force_before_the_second_factor() -> None:
    held_back = Session(0, "operator", "j", "Ada", grants=Grants(OWNER, is_held_back=True))
    SIGNED_IN.check(held_back, {})
    with pytest.raises(ProblemError, match="second_factor_needed"):
        at_event(VIEWER).check(held_back, {"event_id": 1})


def test_a_scripts_token_has_no_account() -> None:
    with pytest.raises(ProblemError, match="not_your_role"):
        IN_PERSON.check(Session(0, "operator", "j", "token x", grants=Grants(OWNER), is_token=True), {})


async def test_no_handlers_function_runs_without_its_subject(app: Litestar) -> None:
    services: Services = app.state["services"]
    fan, operator = services.identity.new_fan()[0], operator_token(app, Grants(OWNER))
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

    @operators.post("/operator", needs=SIGNED_IN)
    async def of_operator(request: AnyRequest, operator: Session) -> None:
        given.append(operator.name)

    token, user_id = services.identity.new_fan()
    await of_fan.fn(request=request_of(app, token))
    await of_body.fn(request=request_of(app, token), data=SimpleNamespace(user_id=user_id))
    await of_operator.fn(request=request_of(app, operator_token(app, Grants())))
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


def test_the_steps_of_a_sale_are_weighed_and_nobody_is_kept_from_buying_a_hold(app: Litestar) -> None:
    weighed = {name: handler.opt["weighed"] for name, handler in handlers(app) if handler.opt.get("weighed")}
    assert {name: (one.step.value, one.highest.word) for name, one in weighed.items()} == {
        "POST /api/queue/{event_id:int}": ("join", "refuse"),
        "POST /api/queue/{event_id:int}/claim": ("claim", "nothing"),
        "POST /api/reserve": ("reserve", "refuse"),
        "POST /api/checkout": ("checkout", "nothing"),
        "PUT /api/checkout": ("checkout", "nothing"),
        "DELETE /api/reservations/{reservation_id:uuid}": ("release", "nothing"),
        "POST /api/purchases/{purchase_id:uuid}/cancel": ("cancel", "nothing"),
    }
