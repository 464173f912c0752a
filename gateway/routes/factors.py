"""Operators' second factors: an authenticator with recovery codes, and passkeys."""

from __future__ import annotations

from typing import Annotated, Final

import segno
from litestar import Response
from litestar.params import Parameter

from db.change_log.changes import Change
from db.operators import accounts, factors
from db.texts import tidy
from gateway.contract.factors import (
    FactorCodeBody,
    FactorsAnswer,
    NewAuthenticator,
    OwnPasswordBody,
    PasskeyAnswer,
    PasskeyBody,
    PasskeyOptions,
    PasskeySignInBody,
    RecoveryCodes,
)
from gateway.contract.sessions import OperatorAnswer
from gateway.identity.cookies import refuse_cross_site
from gateway.identity.needs import IN_PERSON
from gateway.identity.passkeys import credential_id_of, id_of, text_of
from gateway.identity.sessions import Session
from gateway.routes.operators import BODY_REFUSED, NO_STORE, signed_in
from gateway.routes.routers import operator_router, public_router
from gateway.services import Services, network, services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest, origin_of

public = public_router("factors")
operators = operator_router("factors")

PROVED_REFUSED: Final = (*BODY_REFUSED, "rate_limited", "sign_in_busy", "wrong_password")
PASSKEY_SIGN_INS_PER_MINUTE: Final = 60
PathPasskey = Annotated[str, Parameter(min_length=1, max_length=1400, description="the passkey's passkeyId")]


async def _prove(services: Services, request: AnyRequest, operator: Session, data: OwnPasswordBody) -> None:
    """Raises:
    ProblemError: ``wrong_password``, ``rate_limited`` or ``sign_in_busy``.
    """
    if not await services.sign_in.is_own_password(operator.name, data.password, network(request)):
        raise ProblemError("wrong_password")


@operators.get("/api/ops/factors", needs=IN_PERSON)
async def own_factors(request: AnyRequest, operator: Session) -> FactorsAnswer:
    """What the operator has beside the password."""
    async with services_of(request).engine.connect() as connection:
        found = await factors.factors_of(connection, operator.name)
    return FactorsAnswer(
        authenticator=found.has_totp,
        recovery_codes=found.recovery_codes,
        passkeys=tuple(
            PasskeyAnswer(
                passkey_id=text_of(row.credential_id), label=row.label, made_at=row.made_at, used_at=row.used_at
            )
            for row in found.passkeys
        ),
    )


@operators.post("/api/ops/authenticator", status_code=201, needs=IN_PERSON, refuses=(*PROVED_REFUSED, "factor_there"))
async def begin_authenticator(
    request: AnyRequest, operator: Session, data: OwnPasswordBody
) -> Response[NewAuthenticator]:
    """Begin to use an authenticator app. It counts once a code of it was sent (PUT)."""
    services = services_of(request)
    await _prove(services, request, operator, data)
    enrolment = services.authenticators.begin(operator.name)
    async with services.engine.begin() as connection:
        if not await factors.begin_totp(connection, operator.name, enrolment.kept):
            raise ProblemError("factor_there")
    picture = segno.make_qr(enrolment.uri, error="m").svg_data_uri(border=4, omitsize=True, dark="#000", light="#fff")
    return Response(NewAuthenticator(secret=enrolment.secret, uri=enrolment.uri, picture=picture), headers=NO_STORE)


@operators.put("/api/ops/authenticator", needs=IN_PERSON, refuses=(*BODY_REFUSED, "second_factor_wrong"))
async def confirm_authenticator(
    request: AnyRequest, operator: Session, data: FactorCodeBody
) -> Response[RecoveryCodes]:
    """Ask for the authenticator's codes from now on. The answer has recovery codes, told this once."""
    services = services_of(request)
    codes = services.authenticators.recovery_codes()
    async with services.engine.begin() as connection:
        kept = await factors.waiting_totp(connection, operator.name)
        step = None if kept is None else services.authenticators.step_of(operator.name, kept, data.code)
        hashes = [services.authenticators.hash_of(operator.name, code) for code in codes]
        if step is None or not await factors.confirm_totp(connection, operator.name, step, hashes):
            raise ProblemError("second_factor_wrong")
        await accounts.log(connection, Change(f"{operator.name} authenticator", "", "added"), operator.name)
    services.operators.forget()
    return Response(RecoveryCodes(codes=tuple(codes)), headers=NO_STORE)


@operators.post(
    "/api/ops/authenticator/removal", status_code=204, needs=IN_PERSON, refuses=(*PROVED_REFUSED, "not_found")
)
async def remove_authenticator(request: AnyRequest, operator: Session, data: OwnPasswordBody) -> None:
    """Ask for no codes any more, and forget the recovery codes."""
    services = services_of(request)
    await _prove(services, request, operator, data)
    async with services.engine.begin() as connection:
        if not await factors.remove_totp(connection, operator.name):
            raise ProblemError("not_found", "You have no authenticator.")
        await accounts.log(connection, Change(f"{operator.name} authenticator", "", "removed"), operator.name)
    services.operators.forget()


@operators.post("/api/ops/passkeys/options", status_code=200, needs=IN_PERSON, refuses=PROVED_REFUSED)
async def begin_passkey(request: AnyRequest, operator: Session, data: OwnPasswordBody) -> Response[PasskeyOptions]:
    """What to ask the browser for a new passkey."""
    services = services_of(request)
    await _prove(services, request, operator, data)
    async with services.engine.connect() as connection:
        found = await factors.factors_of(connection, operator.name)
    known = [row.credential_id for row in found.passkeys]
    options = await services.passkeys.registration(origin_of(request), operator.name, known)
    return Response(PasskeyOptions(options=options), headers=NO_STORE)


@operators.post(
    "/api/ops/passkeys", status_code=204, needs=IN_PERSON, refuses=(*BODY_REFUSED, "passkey_refused", "factor_there")
)
async def add_passkey(request: AnyRequest, operator: Session, data: PasskeyBody) -> None:
    """Keep a passkey that the browser made."""
    services = services_of(request)
    made = await services.passkeys.registered(origin_of(request), operator.name, data.credential)
    label = tidy(data.label) or "Passkey"
    async with services.engine.begin() as connection:
        if not await factors.add_passkey(connection, operator.name, label, *made):
            raise ProblemError("factor_there")
        await accounts.log(connection, Change(f"{operator.name} passkey", "", label), operator.name)
    services.operators.forget()


@operators.delete("/api/ops/passkeys/{passkey_id:str}", needs=IN_PERSON, refuses=("invalid_request", "not_found"))
async def remove_passkey(request: AnyRequest, operator: Session, passkey_id: PathPasskey) -> None:
    """Forget one of the operator's passkeys."""
    services = services_of(request)
    async with services.engine.begin() as connection:
        if not await factors.remove_passkey(connection, operator.name, id_of(passkey_id)):
            raise ProblemError("not_found", "You have no such passkey.")
        await accounts.log(connection, Change(f"{operator.name} passkey", "", "removed"), operator.name)
    services.operators.forget()


@public.post("/api/ops/session/passkey/options", status_code=200, refuses=("cross_site", "rate_limited"))
async def passkey_challenge(request: AnyRequest) -> Response[PasskeyOptions]:
    """What to ask the browser for a sign-in by passkey. It names no operator."""
    services = services_of(request)
    refuse_cross_site(request)
    await services.limits.count("passkey", network(request), PASSKEY_SIGN_INS_PER_MINUTE)
    options = await services.passkeys.authentication(origin_of(request))
    return Response(PasskeyOptions(options=options), headers=NO_STORE)


@public.post(
    "/api/ops/session/passkey",
    status_code=201,
    refuses=(*BODY_REFUSED, "cross_site", "rate_limited", "passkey_refused"),
)
async def passkey_session(request: AnyRequest, data: PasskeySignInBody) -> Response[OperatorAnswer]:
    """An operator's session, for a passkey."""
    services = services_of(request)
    refuse_cross_site(request)
    await services.limits.count("passkey", network(request), PASSKEY_SIGN_INS_PER_MINUTE)
    credential_id = credential_id_of(data.credential)
    async with services.engine.begin() as connection:
        proof = await factors.passkey(connection, credential_id)
        if proof is None:
            raise ProblemError("passkey_refused")
        sign_count = await services.passkeys.used(
            origin_of(request), data.credential, bytes(proof.public_key), proof.sign_count
        )
        await factors.use_passkey(connection, credential_id, sign_count)
    agent = request.headers.get("user-agent", "")
    return signed_in(request, await services.sign_in.begin(proof.name, network=network(request), agent=agent))


ROUTERS = (public, operators)
