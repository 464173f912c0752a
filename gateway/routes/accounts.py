"""Fans' accounts: a link by mail, sign-in and sign-out, sessions, and the password."""

from __future__ import annotations

from typing import Final

from litestar import Response
from litestar.datastructures import Cookie

from gateway.accounts.accounts import SignedIn, Visitor
from gateway.contract.accounts import (
    AccountAnswer,
    AccountPasswordBody,
    AccountSessionAnswer,
    AccountSessionEntry,
    AccountSessionList,
    AccountSignInBody,
    ChangedPasswordBody,
    LinkBody,
)
from gateway.identity.cookies import DEVICE_COOKIES, cookie_name, device_cookie, refuse_cross_site
from gateway.identity.password_tries import DEVICE_SECONDS
from gateway.identity.sessions import Session
from gateway.routes.routers import fan_router, public_router
from gateway.services import address, network, services_of
from gateway.wire.requests import AnyRequest

public = public_router("accounts")
fans = fan_router("accounts")

NO_STORE: Final = {"Cache-Control": "no-store"}
DEVICE_CHARS_MAX: Final = 1024
BODY_REFUSED: Final = ("invalid_request", "body_too_large", "unsupported_media_type")
PUBLIC_REFUSED: Final = (*BODY_REFUSED, "cross_site", "network_denied", "rate_limited", "accounts_off")
SIGN_IN_REFUSED: Final = (*PUBLIC_REFUSED, "sign_in_busy", "unfinished", "account_joined")


def visitor(request: AnyRequest, *, leaves: bool = False) -> Visitor:
    """Who signs in with this request."""
    services = services_of(request)
    name = cookie_name(DEVICE_COOKIES["fan"], secure=services.settings.site.production)
    return Visitor(
        network=network(request),
        agent=request.headers.get("user-agent", ""),
        device=request.cookies.get(name, "")[:DEVICE_CHARS_MAX],
        session=services.identity.known(request),
        leaves=leaves,
    )


def sign_in_cookies(request: AnyRequest, proved: SignedIn) -> list[Cookie]:
    """The cookies of whoever has just signed in."""
    services = services_of(request)
    cookies = [services.identity.cookie(proved.token)]
    if proved.device:
        secure = services.settings.site.production
        cookies.append(device_cookie(proved.device, "fan", DEVICE_SECONDS, secure=secure))
    return cookies


def signed_in(request: AnyRequest, proved: SignedIn) -> Response[AccountSessionAnswer]:
    """The answer to whoever has just signed in."""
    answer = AccountSessionAnswer(token=proved.token, user_id=proved.user_id, moved=tuple(proved.moved))
    return Response(answer, cookies=sign_in_cookies(request, proved), headers=NO_STORE)


def refuse_visitor(request: AnyRequest) -> None:
    """Refuse another site's request, and a network that an operator turned away.

    Raises:
        ProblemError: ``cross_site`` or ``network_denied``.
    """
    refuse_cross_site(request)
    services_of(request).networks.refuse(address(request))


@public.post("/api/account/links", status_code=204, refuses=PUBLIC_REFUSED)
async def ask_link(request: AnyRequest, data: LinkBody) -> None:
    """Send the owner of an address a link by which an account is made, or the password of one is set anew.

    The answer is the same whether or not there is an account. The link is good once, and for an hour; an address gets
    one in ten minutes at most.
    """
    refuse_visitor(request)
    await services_of(request).accounts.ask_link(data.mail, data.language, network(request))


@public.post("/api/account/password", status_code=201, refuses=(*SIGN_IN_REFUSED, "link_spent"))
async def set_password(request: AnyRequest, data: AccountPasswordBody) -> Response[AccountSessionAnswer]:
    """Set the password by a mail's link, and sign in. It makes the account where there is none, and ends all other
    sessions of one that there is.
    """
    refuse_visitor(request)
    proved = await services_of(request).accounts.set_by_link(
        data.link, data.password, data.language, visitor(request, leaves=data.leave)
    )
    return signed_in(request, proved)


@public.post("/api/account/session", status_code=201, refuses=(*SIGN_IN_REFUSED, "unauthenticated"))
async def sign_in(request: AnyRequest, data: AccountSignInBody) -> Response[AccountSessionAnswer]:
    """Sign in: a session of the account's own fan, on any number of devices.

    Sent in a session without an account, that session's waiting places come along, each where the account has none in
    its line; what it bought is listed with the account's own purchases. A fan who holds seats there, or is let in, is
    answered ``unfinished`` and finishes first, or sends ``leave``. Wrong tries alone are counted.
    """
    refuse_visitor(request)
    proved = await services_of(request).accounts.sign_in(data.mail, data.password, visitor(request, leaves=data.leave))
    return signed_in(request, proved)


@fans.get("/api/account", refuses=("account_required",))
async def account(request: AnyRequest, fan: Session) -> Response[AccountAnswer]:
    """Whose account it is."""
    found = await services_of(request).accounts.of(fan)
    answer = AccountAnswer(user_id=found.user_id, mail=found.mail, has_password=found.password_hash is not None)
    return Response(answer, headers=NO_STORE)


@fans.get("/api/account/sessions", refuses=("account_required",))
async def sessions(request: AnyRequest, fan: Session) -> Response[AccountSessionList]:
    """The account's live sessions, the newest first."""
    accounts = services_of(request).accounts
    await accounts.of(fan)
    rows = await accounts.sessions(fan)
    entries = tuple(
        AccountSessionEntry(
            network=row.network,
            agent=row.agent,
            began_at=row.made_at,
            ends_at=row.ends_at,
            current=row.session_id == fan.jti,
        )
        for row in rows
    )
    return Response(AccountSessionList(sessions=entries), headers=NO_STORE)


@fans.delete("/api/account/sessions", refuses=("account_required",))
async def end_other_sessions(request: AnyRequest, fan: Session) -> None:
    """Sign out everywhere else."""
    accounts = services_of(request).accounts
    await accounts.of(fan)
    await accounts.end_others(fan)


@fans.put(
    "/api/account/password",
    status_code=204,
    refuses=(*BODY_REFUSED, "account_required", "wrong_password", "rate_limited", "sign_in_busy"),
)
async def change_password(request: AnyRequest, fan: Session, data: ChangedPasswordBody) -> None:
    """Change the account's password. It ends all other sessions of the account."""
    await services_of(request).accounts.change_password(fan, data.password, data.new_password, network(request))


ROUTERS = (public, fans)
