"""Two accounts of one person are joined: the other one is proved, what moves is told, and the fan confirms it."""

from __future__ import annotations

from typing import Final

from litestar import Response

from gateway.accounts.merging import Preview
from gateway.contract.accounts import (
    AccountJoinBody,
    AccountJoinPreview,
    AccountJoinProofBody,
    JoinedAccount,
    JoinedAccountList,
)
from gateway.identity.sessions import Session
from gateway.routes.account_passkeys import count_passkey_try, proved_by_passkey
from gateway.routes.accounts import BODY_REFUSED, NO_STORE, refuse_visitor, visitor
from gateway.routes.routers import fan_router
from gateway.services import network, services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

fans = fan_router("accountJoins")

JOIN_REFUSED: Final = (
    *BODY_REFUSED,
    "cross_site",
    "network_denied",
    "account_required",
    "account_joined",
    "join_refused",
    "rate_limited",
    "sign_in_busy",
)


async def proved(request: AnyRequest, session: Session, data: AccountJoinProofBody) -> str:
    """A proof of the other account, which is proved as a sign-in proves it.

    Raises:
        ProblemError: ``wrong_password``, or another one that a sign-in is answered with.
    """
    services = services_of(request)
    refuse_visitor(request)
    await services.accounts.of(session)
    if data.credential is not None:
        await count_passkey_try(request)
        return services.merging.proof(session, await proved_by_passkey(request, data.credential))
    if data.link:
        account = await services.accounts.of_link(data.link, network(request))
        return services.merging.proof(session, account.user_id)
    try:
        account = await services.accounts.whose(data.mail, data.password, visitor(request))
    except ProblemError as refused:
        if refused.document["code"] != "unauthenticated":
            raise
        # The session is good, and only the other account is not proved.
        raise ProblemError("wrong_password", "The address or the password is wrong.") from None
    return services.merging.proof(session, account.user_id)


def _answer(preview: Preview) -> AccountJoinPreview:
    had = preview.had
    return AccountJoinPreview(
        proof=preview.proof,
        mail=preview.account.mail,
        purchases=had.purchases,
        holds=had.holds,
        waiting_entries=had.entries,
        places=preview.places,
        passkeys=had.passkeys,
        issuers=had.issuers,
    )


@fans.post(
    "/api/account/joins/proof",
    status_code=200,
    refuses=(*JOIN_REFUSED, "accounts_off", "wrong_password", "passkey_refused", "link_spent"),
)
async def prove_other(request: AnyRequest, fan: Session, data: AccountJoinProofBody) -> Response[AccountJoinPreview]:
    """Prove another account of the fan, as a sign-in does, and see what a join would move. It changes nothing."""
    proof = await proved(request, fan, data)
    return Response(_answer(await services_of(request).merging.preview(fan, proof)), headers=NO_STORE)


@fans.post("/api/account/joins", status_code=204, refuses=(*JOIN_REFUSED, "wrong_password"))
async def join_accounts(request: AnyRequest, fan: Session, data: AccountJoinBody) -> None:
    """Join the proved account to the session's own. It asks for the password of the session's account once more; an
    account without one must have signed in minutes ago.

    The other account's sessions end, nobody signs in to it any more, and both addresses are written to. Purchases,
    holds, places and entries follow within seconds.
    """
    refuse_visitor(request)
    await services_of(request).merging.merge(fan, data.proof, data.password, visitor(request))


@fans.get("/api/account/joins", refuses=("account_required",))
async def joined_accounts(request: AnyRequest, fan: Session) -> Response[JoinedAccountList]:
    """The accounts that were joined to this one."""
    rows = await services_of(request).merging.merged_into(fan)
    found = tuple(JoinedAccount(mail=row.mail, joined_at=row.merged_at, done=row.done_at is not None) for row in rows)
    return Response(JoinedAccountList(joined=found), headers=NO_STORE)


ROUTERS = (fans,)
