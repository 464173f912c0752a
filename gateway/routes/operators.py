"""Operators' own sessions: sign-in and sign-out, the sessions that are open, and the password."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from litestar import Response
from litestar.params import Parameter

from db.operators.accounts import set_password
from db.operators.roles import OperatorRole
from db.operators.sessions import end_session, end_sessions, sessions_of
from db.passwords import hash_password
from gateway.contract.sessions import (
    OperatorAnswer,
    OperatorBody,
    OperatorName,
    OperatorSessionAnswer,
    OperatorSessionList,
    PasswordBody,
)
from gateway.identity.cookies import DEVICE_COOKIES, cookie_name, device_cookie, refuse_cross_site
from gateway.identity.needs import IN_PERSON, SIGNED_IN
from gateway.identity.password_tries import DEVICE_SECONDS
from gateway.identity.sessions import Session
from gateway.identity.sign_in import Attempt, SignedIn
from gateway.routes.routers import operator_router, public_router
from gateway.services import network, services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

public = public_router("sessions")
operators = operator_router("sessions")

NO_STORE: Final = {"Cache-Control": "no-store"}
DEVICE_CHARS_MAX: Final = 1024
BODY_REFUSED: Final = ("invalid_request", "body_too_large", "unsupported_media_type")
SIGN_IN_REFUSED: Final = (
    *BODY_REFUSED, "unauthenticated", "second_factor_required", "second_factor_wrong", "cross_site", "rate_limited",
    "sign_in_busy",
)  # fmt: skip
PathSession = Annotated[str, Parameter(min_length=1, max_length=32, description="the session's sessionId")]


@public.post("/api/ops/session", status_code=201, refuses=SIGN_IN_REFUSED)
async def new_operator_session(request: AnyRequest, data: OperatorBody) -> Response[OperatorAnswer]:
    """An operator's session, for a name and a password. An operator with an authenticator sends its ``code`` too, or a
    recovery code.

    Wrong tries alone are counted: each further one of a name waits longer (429). A browser or a network that the
    operator has signed in from before has tries of its own.
    """
    refuse_cross_site(request)
    device = cookie_name(DEVICE_COOKIES["operator"], secure=services_of(request).settings.site.production)
    attempt = Attempt(
        data.name,
        data.password,
        "" if data.code is msgspec.UNSET else data.code,
        network(request),
        request.headers.get("user-agent", ""),
        request.cookies.get(device, "")[:DEVICE_CHARS_MAX],
    )
    return signed_in(request, await services_of(request).sign_in.with_password(attempt))


def signed_in(request: AnyRequest, proved: SignedIn) -> Response[OperatorAnswer]:
    """The answer to whoever has just signed in."""
    services = services_of(request)
    token = services.identity.operator_token(proved.session_id, proved.name)
    secure = services.settings.site.production
    return Response(
        OperatorAnswer(token=token),
        cookies=[
            services.identity.cookie(token, "operator"),
            device_cookie(proved.device, "operator", DEVICE_SECONDS, secure=secure),
        ],
        headers=NO_STORE,
    )


@operators.get("/api/ops/session", needs=SIGNED_IN)
async def operator_session(request: AnyRequest, operator: Session) -> OperatorName:
    """Whose session it is, and what this operator may do."""
    grants = operator.grants
    return OperatorName(
        name=operator.name,
        role=grants.site,
        events={str(event_id): role for event_id, role in grants.events.items()},
        may=tuple(role for role in OperatorRole if grants.allow(role)),
        may_at={
            str(event_id): tuple(role for role in OperatorRole if grants.allow(role, event_id))
            for event_id in grants.events
        },
        second_factor_needed=grants.is_held_back,
    )


@operators.delete("/api/ops/session", needs=IN_PERSON, also={204: None})
async def end_operator_session(request: AnyRequest, operator: Session) -> Response[None]:
    """Sign out: the session's token is good nowhere any more."""
    services = services_of(request)
    async with services.engine.begin() as connection:
        await end_session(connection, operator.jti, operator.name, "signed out")
    services.operators.forget()
    return Response(None, cookies=[services.identity.no_cookie("operator")])


@operators.get("/api/ops/sessions", needs=IN_PERSON)
async def own_sessions(request: AnyRequest, operator: Session) -> OperatorSessionList:
    """The operator's own sessions, the newest first."""
    async with services_of(request).engine.connect() as connection:
        rows = await sessions_of(connection, operator.name)
    return OperatorSessionList(
        sessions=tuple(
            OperatorSessionAnswer(
                session_id=row.session_id,
                network=row.network,
                agent=row.agent,
                began_at=row.made_at,
                ends_at=row.ends_at,
                current=row.session_id == operator.jti,
            )
            for row in rows
        )
    )


@operators.delete("/api/ops/sessions", needs=IN_PERSON)
async def end_other_sessions(request: AnyRequest, operator: Session) -> None:
    """Sign out everywhere else."""
    services = services_of(request)
    async with services.engine.begin() as connection:
        await end_sessions(connection, operator.name, "signed out", but=operator.jti)
    services.operators.forget()


@operators.delete("/api/ops/sessions/{session_id:str}", needs=IN_PERSON, refuses=("invalid_request", "not_found"))
async def end_own_session(request: AnyRequest, operator: Session, session_id: PathSession) -> None:
    """End one of the operator's own sessions, for example of a computer that was left signed in."""
    services = services_of(request)
    async with services.engine.begin() as connection:
        if not await end_session(connection, session_id, operator.name, "signed out"):
            raise ProblemError("not_found", "You have no such session.")
    services.operators.forget()


@operators.put(
    "/api/ops/password",
    status_code=204,
    needs=IN_PERSON,
    refuses=(*BODY_REFUSED, "rate_limited", "sign_in_busy", "wrong_password"),
)
async def change_password(request: AnyRequest, operator: Session, data: PasswordBody) -> None:
    """Change one's own password. It ends all other sessions of the operator."""
    services = services_of(request)
    if not await services.sign_in.is_own_password(operator.name, data.password, network(request)):
        raise ProblemError("wrong_password")
    password_hash = await services.sign_in.hashed(lambda: hash_password(data.new_password), network(request))
    async with services.engine.begin() as connection:
        await set_password(connection, operator.name, password_hash, operator.name, but=operator.jti)
    services.operators.forget()


ROUTERS = (public, operators)
