"""Passkeys of fans' accounts: a device that proves its person by itself takes the password's place."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response

from db.accounts import passkeys as db
from db.texts import tidy
from gateway.accounts.accounts import Accounts
from gateway.contract.accounts import (
    AccountPasskeyList,
    AccountPasskeySignInBody,
    AccountProofBody,
    AccountSessionAnswer,
)
from gateway.contract.factors import PasskeyAnswer, PasskeyBody, PasskeyOptions
from gateway.identity.passkeys import credential_id_of, id_of, text_of
from gateway.identity.sessions import Session
from gateway.routes.accounts import BODY_REFUSED, NO_STORE, refuse_visitor, signed_in, visitor
from gateway.routes.factors import PASSKEY_SIGN_INS_PER_MINUTE, PathPasskey
from gateway.routes.routers import fan_router, public_router
from gateway.services import network, services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest, origin_of

public = public_router("accountPasskeys")
fans = fan_router("accountPasskeys")

LIMIT: Final = "account-passkey"
PUBLIC_REFUSED: Final = ("cross_site", "network_denied", "rate_limited", "accounts_off")


def _require_offered(accounts: Accounts) -> None:
    if not accounts.is_offered:
        raise ProblemError("accounts_off")


@fans.get("/api/account/passkeys", refuses=("account_required",))
async def passkeys(request: AnyRequest, fan: Session) -> Response[AccountPasskeyList]:
    """The account's passkeys."""
    services = services_of(request)
    await services.accounts.of(fan)
    async with services.engine.connect() as connection:
        rows = await db.passkeys_of(connection, fan.user_id)
    found = tuple(
        PasskeyAnswer(passkey_id=text_of(row.credential_id), label=row.label, made_at=row.made_at, used_at=row.used_at)
        for row in rows
    )
    return Response(AccountPasskeyList(passkeys=found), headers=NO_STORE)


@fans.post(
    "/api/account/passkeys/options",
    status_code=200,
    refuses=(*BODY_REFUSED, "account_required", "wrong_password", "rate_limited", "sign_in_busy"),
)
async def begin_passkey(request: AnyRequest, fan: Session, data: AccountProofBody) -> Response[PasskeyOptions]:
    """What to ask the browser for a new passkey. It asks for the password once more; an account without one must have
    signed in minutes ago.
    """
    services = services_of(request)
    account = await services.accounts.prove(fan, data.password, network(request))
    async with services.engine.connect() as connection:
        known = [row.credential_id for row in await db.passkeys_of(connection, fan.user_id)]
    name = account.mail or f"fan {account.user_id}"
    return Response(
        PasskeyOptions(options=await services.passkeys.registration(origin_of(request), name, known)), headers=NO_STORE
    )


@fans.post(
    "/api/account/passkeys",
    status_code=204,
    refuses=(*BODY_REFUSED, "account_required", "passkey_refused", "factor_there"),
)
async def add_passkey(request: AnyRequest, fan: Session, data: PasskeyBody) -> None:
    """Keep a passkey that the browser made."""
    services = services_of(request)
    account = await services.accounts.of(fan)
    name = account.mail or f"fan {account.user_id}"
    made = await services.passkeys.registered(origin_of(request), name, data.credential)
    async with services.engine.begin() as connection:
        if not await db.add_passkey(connection, fan.user_id, tidy(data.label) or "Passkey", *made):
            raise ProblemError("factor_there")


@fans.delete(
    "/api/account/passkeys/{passkey_id:str}",
    refuses=("invalid_request", "account_required", "not_found", "last_way_in"),
)
async def remove_passkey(request: AnyRequest, fan: Session, passkey_id: PathPasskey) -> None:
    """Forget one of the account's passkeys, unless it is the last way in."""
    services = services_of(request)
    await services.accounts.of(fan)
    await services.linking.forget_passkey(fan.user_id, id_of(passkey_id))


@public.post("/api/account/session/passkey/options", status_code=200, refuses=PUBLIC_REFUSED)
async def passkey_challenge(request: AnyRequest) -> Response[PasskeyOptions]:
    """What to ask the browser for a sign-in by passkey. It names no account."""
    services = services_of(request)
    refuse_visitor(request)
    _require_offered(services.accounts)
    await services.limits.count(LIMIT, network(request), PASSKEY_SIGN_INS_PER_MINUTE)
    options = await services.passkeys.authentication(origin_of(request))
    return Response(PasskeyOptions(options=options), headers=NO_STORE)


@public.post(
    "/api/account/session/passkey",
    status_code=201,
    refuses=(*BODY_REFUSED, *PUBLIC_REFUSED, "passkey_refused", "unfinished", "account_joined"),
)
async def passkey_session(request: AnyRequest, data: AccountPasskeySignInBody) -> Response[AccountSessionAnswer]:
    """Sign in by a passkey, as by a password."""
    services = services_of(request)
    refuse_visitor(request)
    await count_passkey_try(request)
    who = visitor(request, leaves=data.leave)
    await services.accounts.require_finished(who)
    user_id = await proved_by_passkey(request, data.credential)
    return signed_in(request, await services.accounts.begin(user_id, who))


async def count_passkey_try(request: AnyRequest) -> None:
    """Count a try to prove an account by a passkey.

    Raises:
        ProblemError: ``accounts_off`` or ``rate_limited``.
    """
    services = services_of(request)
    _require_offered(services.accounts)
    await services.limits.count(LIMIT, network(request), PASSKEY_SIGN_INS_PER_MINUTE)


async def proved_by_passkey(request: AnyRequest, credential: dict[str, Any]) -> int:
    """The account whose passkey has answered a challenge.

    Raises:
        ProblemError: ``passkey_refused``.
    """
    services = services_of(request)
    credential_id = credential_id_of(credential)
    async with services.engine.begin() as connection:
        proof = await db.passkey(connection, credential_id)
        if proof is None:
            raise ProblemError("passkey_refused")
        sign_count = await services.passkeys.used(
            origin_of(request), credential, bytes(proof.public_key), proof.sign_count
        )
        await db.use_passkey(connection, credential_id, sign_count)
    return proof.user_id


ROUTERS = (public, fans)
