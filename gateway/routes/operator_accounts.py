"""All operators and scripts' tokens, for owners."""

from __future__ import annotations

from typing import Annotated, Final

from litestar.params import Parameter
from sqlalchemy.ext.asyncio import AsyncConnection

from db.change_log.changes import Subject, change_rows, select_changes
from db.operators import accounts, sessions
from db.operators.roles import OWNER, OperatorRole
from db.passwords import hash_password
from gateway.contract.operators import (
    NewOperatorBody,
    OperatorFactorsBody,
    OperatorList,
    OperatorListed,
    OperatorLog,
    OperatorLogLine,
    OperatorPasswordBody,
    OperatorRoleBody,
    ScriptToken,
    ScriptTokenBody,
    ScriptTokenList,
    ScriptTokenMade,
)
from gateway.identity.needs import Need, at_site
from gateway.identity.sessions import Session
from gateway.routes.operators import BODY_REFUSED
from gateway.routes.routers import operator_router
from gateway.services import network, services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

operators = operator_router("operatorAccounts")

IN_PERSON_OWNER: Final = Need(OWNER, "site", in_person=True)
"""A script's token makes no operators."""
LOG_LINES: Final = 50
PROVED_REFUSED: Final = (*BODY_REFUSED, "rate_limited", "sign_in_busy", "wrong_password")
QueryName = Annotated[
    str, Parameter(query="name", min_length=1, max_length=accounts.NAME_CHARS_MAX, description="the operator's name")
]
PathToken = Annotated[str, Parameter(min_length=1, max_length=32, description="the token's tokenId")]


async def _prove(request: AnyRequest, operator: Session, password: str) -> None:
    """Return if it is the password of the owner who asks: whoever finds an open console gives nobody a way in.

    Raises:
        ProblemError: ``wrong_password``, ``rate_limited`` or ``sign_in_busy``.
    """
    if not await services_of(request).sign_in.is_own_password(operator.name, password, network(request)):
        raise ProblemError("wrong_password")


@operators.get("/api/ops/operators", needs=IN_PERSON_OWNER)
async def all_operators(request: AnyRequest) -> OperatorList:
    """All operators by their names."""
    async with services_of(request).engine.connect() as connection:
        rows = await accounts.operators(connection)
    return OperatorList(
        operators=tuple(
            OperatorListed(
                name=row.name,
                role=None if row.role is None else OperatorRole(row.role),
                events={event_id: OperatorRole(role) for event_id, role in row.event_roles.items()},
                sessions=row.sessions,
                signed_in_at=row.signed_in_at,
                authenticator=row.has_totp,
                passkeys=row.passkeys,
                created_at=row.created_at,
            )
            for row in rows
        )
    )


@operators.post(
    "/api/ops/operators",
    status_code=204,
    needs=IN_PERSON_OWNER,
    refuses=(*PROVED_REFUSED, "unknown_event", "operator_exists", "too_many_operators"),
)
async def add(request: AnyRequest, operator: Session, data: NewOperatorBody) -> None:
    """Make an operator. The owner who asks sends the own password once more."""
    await _prove(request, operator, data.password)
    services = services_of(request)
    password_hash = await services.sign_in.hashed(lambda: hash_password(data.new_password), network(request))
    try:
        async with services.engine.begin() as connection:
            site_role = data.role if data.event_id is None else None
            name = await accounts.create_operator(connection, data.name, password_hash, site_role, operator.name)
            if data.event_id is not None:
                await accounts.set_role(connection, name, data.role, operator.name, event_id=data.event_id)
    except accounts.OperatorExistsError:
        raise ProblemError("operator_exists") from None
    except accounts.TooManyOperatorsError:
        raise ProblemError("too_many_operators") from None
    except ValueError as error:
        raise ProblemError("invalid_request", f"{error}.") from None
    except LookupError:
        raise ProblemError("unknown_event") from None


@operators.delete(
    "/api/ops/operators", needs=IN_PERSON_OWNER, refuses=("invalid_request", "unknown_operator", "last_owner")
)
async def remove(request: AnyRequest, operator: Session, name: QueryName) -> None:
    """Dismiss an operator: the sessions end at all gateways within a second."""
    services = services_of(request)
    async with services.engine.begin() as connection:
        stored = await _stored(connection, name)
        await _keep_an_owner(connection, stored)
        await accounts.remove_operator(connection, stored, operator.name)
    services.operators.forget()


@operators.put(
    "/api/ops/operators/role",
    status_code=204,
    needs=IN_PERSON_OWNER,
    refuses=(*PROVED_REFUSED, "unknown_operator", "unknown_event", "last_owner"),
)
async def change_role(request: AnyRequest, operator: Session, data: OperatorRoleBody) -> None:
    """Give an operator another role, at all gateways within a second, or take it away. The owner who asks sends the
    own password once more.
    """
    await _prove(request, operator, data.password)
    services = services_of(request)
    async with services.engine.begin() as connection:
        stored = await _stored(connection, data.name)
        if data.event_id is None and data.role is not OWNER:
            await _keep_an_owner(connection, stored)
        try:
            await accounts.set_role(connection, stored, data.role, operator.name, event_id=data.event_id)
        except LookupError:
            raise ProblemError("unknown_event") from None
    services.operators.forget()


@operators.put(
    "/api/ops/operators/password",
    status_code=204,
    needs=IN_PERSON_OWNER,
    refuses=(*PROVED_REFUSED, "unknown_operator"),
)
async def give_password(request: AnyRequest, operator: Session, data: OperatorPasswordBody) -> None:
    """Give an operator a new password, which ends the operator's sessions. The owner who asks sends the own password
    once more.
    """
    await _prove(request, operator, data.password)
    services = services_of(request)
    password_hash = await services.sign_in.hashed(lambda: hash_password(data.new_password), network(request))
    async with services.engine.begin() as connection:
        stored = await _stored(connection, data.name)
        but = operator.jti if stored == operator.name else ""
        await accounts.set_password(connection, stored, password_hash, operator.name, but=but)
    services.operators.forget()


@operators.post(
    "/api/ops/operators/factors/reset",
    status_code=204,
    needs=IN_PERSON_OWNER,
    refuses=(*PROVED_REFUSED, "unknown_operator"),
)
async def reset_factors(request: AnyRequest, operator: Session, data: OperatorFactorsBody) -> None:
    """Forget an operator's authenticator and passkeys, which ends the operator's sessions. The owner who asks sends
    the own password once more.
    """
    await _prove(request, operator, data.password)
    services = services_of(request)
    async with services.engine.begin() as connection:
        await accounts.reset_factors(connection, await _stored(connection, data.name), operator.name)
    services.operators.forget()


@operators.get("/api/ops/operators/log", needs=at_site(OWNER))
async def log(request: AnyRequest) -> OperatorLog:
    """Who changed what about operators, tokens and keys."""
    async with services_of(request).engine.connect() as connection:
        found = await connection.exec_driver_sql(*select_changes(Subject.OPERATOR, limit=LOG_LINES))
        rows = change_rows(found.all())
    return OperatorLog(
        entries=tuple(
            OperatorLogLine(at=row.at, operator=row.operator, what=row.field, before=row.before, after=row.after)
            for row in rows
        )
    )


@operators.get("/api/ops/tokens", needs=at_site(OWNER))
async def script_tokens(request: AnyRequest) -> ScriptTokenList:
    """Scripts' tokens that are good."""
    async with services_of(request).engine.connect() as connection:
        rows = await sessions.tokens(connection)
    return ScriptTokenList(
        tokens=tuple(
            ScriptToken(
                token_id=row.session_id,
                name=row.label,
                role=OperatorRole(row.role),
                event_id=row.event_id,
                made_by=row.made_by,
                made_at=row.made_at,
                ends_at=row.ends_at,
            )
            for row in rows
        )
    )


@operators.post(
    "/api/ops/tokens",
    status_code=201,
    needs=IN_PERSON_OWNER,
    refuses=(*PROVED_REFUSED, "unknown_event", "too_many_tokens"),
)
async def make_token(request: AnyRequest, operator: Session, data: ScriptTokenBody) -> ScriptTokenMade:
    """Make a script's token, as `admitone token` does. The owner who asks sends the own password once more."""
    await _prove(request, operator, data.password)
    services = services_of(request)
    seconds = data.hours * 3600
    try:
        async with services.engine.begin() as connection:
            made = await accounts.make_token(
                connection, data.name, data.role, event_id=data.event_id, by=operator.name, seconds=seconds
            )
    except accounts.TooManyTokensError:
        raise ProblemError("too_many_tokens") from None
    except ValueError as error:
        raise ProblemError("invalid_request", f"{error}.") from None
    except LookupError:
        raise ProblemError("unknown_event") from None
    return ScriptTokenMade(
        token_id=made.session_id, token=services.identity.operator_token(made.session_id, made.name, seconds)
    )


@operators.delete("/api/ops/tokens/{token_id:str}", needs=at_site(OWNER), refuses=("invalid_request", "unknown_token"))
async def revoke_token(request: AnyRequest, operator: Session, token_id: PathToken) -> None:
    """Revoke a script's token, at all gateways within a second."""
    services = services_of(request)
    async with services.engine.begin() as connection:
        if not await accounts.revoke_token(connection, token_id, operator.name):
            raise ProblemError("unknown_token")
    services.operators.forget()


async def _stored(connection: AsyncConnection, name: str) -> str:
    try:
        return await accounts.stored_name(connection, name)
    except accounts.UnknownOperatorError:
        raise ProblemError("unknown_operator") from None


async def _keep_an_owner(connection: AsyncConnection, name: str) -> None:
    """Return unless the operator is the only one who is owner of the whole site.

    Raises:
        ProblemError: ``last_owner``.
    """
    if await accounts.is_last_owner(connection, name):
        raise ProblemError("last_owner")


ROUTERS = (operators,)
