"""Issuers that sign fans in to their accounts: listed, linked, unlinked."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from litestar import Response
from litestar.params import Parameter

from db.texts import NO_NUL
from gateway.contract.accounts import IdentityAnswer, IdentityBody, IdentityList, IdentityStart
from gateway.identity.sessions import Session
from gateway.routes.accounts import BODY_REFUSED, NO_STORE
from gateway.routes.routers import fan_router
from gateway.services import network, services_of
from gateway.wire.addresses import below
from gateway.wire.requests import AnyRequest

fans = fan_router("accountIdentities")

QueryIssuer = Annotated[str, Parameter(query="issuer", max_length=32, pattern=NO_NUL)]


def issuer_address(key: str, **query: str) -> str:
    """Where a browser goes to sign in by an issuer."""
    path = below(f"/account/issuer/{key}" if key else "/account/issuer")
    return f"{path}?{urlencode(query)}" if query else path


@fans.get("/api/account/identities", refuses=("account_required",))
async def identities(request: AnyRequest, fan: Session) -> Response[IdentityList]:
    """The site's issuers, and which of them sign the fan in to this account."""
    services = services_of(request)
    await services.accounts.of(fan)
    linked = await services.linking.issuers_of(fan.user_id)
    found = tuple(
        IdentityAnswer(
            issuer=one.settings.key,
            name=one.settings.name,
            linked_at=linked[one.settings.key].linked_at if one.settings.key in linked else None,
        )
        for one in services.issuers
    )
    return Response(IdentityList(identities=found), headers=NO_STORE)


@fans.post(
    "/api/account/identities",
    status_code=200,
    refuses=(*BODY_REFUSED, "account_required", "wrong_password", "rate_limited", "sign_in_busy", "not_found"),
)
async def begin_link(request: AnyRequest, fan: Session, data: IdentityBody) -> Response[IdentityStart]:
    """Begin to link an issuer. It asks for the password once more; an account without one must have signed in minutes
    ago.
    """
    services = services_of(request)
    await services.accounts.prove(fan, data.password, network(request))
    proof = services.linking.begin(fan.user_id, data.issuer)
    return Response(IdentityStart(href=issuer_address(data.issuer, proof=proof)), headers=NO_STORE)


@fans.delete("/api/account/identities", refuses=("invalid_request", "account_required", "not_found", "last_way_in"))
async def unlink(request: AnyRequest, fan: Session, issuer: QueryIssuer = "") -> None:
    """Let an issuer sign nobody in to the account any more, unless it is the last way in."""
    services = services_of(request)
    await services.accounts.of(fan)
    await services.linking.unlink(fan.user_id, issuer)


ROUTERS = (fans,)
