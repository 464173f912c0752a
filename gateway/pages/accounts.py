"""The pages and forms of fans' accounts. All of them work without scripts.

A link in a mail changes nothing when it is opened, because mail scanners open links: its page has a form.
"""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import msgspec
from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.params import Parameter

from db.accounts.identities import LinkedIssuer
from db.accounts.merging import MergedRow
from db.passwords import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from gateway.accounts.issuer import Issuer, Person
from gateway.accounts.settings import IssuerSettings
from gateway.contract.accounts import AccountJoinProofBody
from gateway.identity.cookies import cookie_name
from gateway.identity.sessions import Session
from gateway.pages.languages import N_, current, gettext, prefix
from gateway.pages.look import page
from gateway.pages.plain import OTHER
from gateway.pages.plain import WORDS as PLAIN_WORDS
from gateway.routes.account_identities import issuer_address
from gateway.routes.account_joins import proved
from gateway.routes.accounts import refuse_visitor, sign_in_cookies, visitor
from gateway.services import Services, network, services_of
from gateway.wire.addresses import cookie_path
from gateway.wire.problems import ProblemError
from gateway.wire.requests import origin_of
from waiting_room.errors import TokenInvalid
from waiting_room.key_ring import KeyGroup
from waiting_room.signing import Signer

FIELD_CHARACTERS_MAX: Final = 1100
TO_CHARACTERS_MAX: Final = 60
CODE_CHARACTERS_MAX: Final = 2048
FLOW_COOKIE: Final = "admitone_issuer"
FLOW_SECONDS: Final = 600
ISSUER_STARTS_PER_MINUTE: Final = 600
"""Sign-ins by issuers that a network may begin."""
_is_destination: Final = re.compile(r"/(?:events/[0-9]{1,16}|purchases|account)", re.ASCII).fullmatch

WORDS: Final = {
    "unauthenticated": N_("The address or the password is wrong."),
    "rate_limited": N_("Too many tries. Please wait a little, then try again."),
    "sign_in_busy": PLAIN_WORDS["overloaded"],
    "link_spent": N_("This link was used before, or has ended. Ask for a new one."),
    "wrong_password": N_("The password that you have now is another one."),
    "short_password": N_("A password has eight characters or more."),
    "invalid_request": N_("That is no address that we can write to. Please check it."),
    "unfinished": N_(
        "You hold seats in this browser, or are let in to choose some. They cannot come along: buy them or give them "
        "back first."
    ),
    "issuer_refused": N_("Your sign-in was not confirmed. Please try again."),
    "account_joined": N_("That account was joined to another one. Sign in to that one."),
    "join_refused": N_("That is this account, or you were away for too long. Prove the other account once more."),
    "other_password": N_("The address or the password of the other account is wrong."),
    "sign_in_anew": N_("Sign in anew first, and do this within ten minutes."),
    "last_way_in": N_("Without it you could not sign in any more. Add a passkey first."),
}
"""What the page says about a problem, by its code; of others `OTHER`."""
TOLD: Final = {
    "link": N_("Look into your mail: we have sent you a link. It works once, for an hour."),
    "password": N_("Your password is changed, and you are signed out everywhere else."),
    "elsewhere": N_("You are signed out everywhere else."),
    "in": N_("You are signed in."),
    "linked": N_("You can sign in that way too from now on."),
    "unlinked": N_("You cannot sign in that way any more."),
    "joined": N_("The two accounts are one now. All that you had there is here within seconds."),
}
"""What the page says after one of its forms, by the word in its address."""

To = Annotated[str, Parameter(max_length=TO_CHARACTERS_MAX)]
Word = Annotated[str, Parameter(max_length=32)]
Proof = Annotated[str, Parameter(max_length=FIELD_CHARACTERS_MAX)]
IssuerKey = Annotated[str, Parameter(max_length=32)]


class Flow(msgspec.Struct, frozen=True):
    """A sign-in by an issuer that is under way in a browser, which alone has this in a cookie."""

    state: str
    nonce: str
    verifier: str
    to: str
    leave: bool
    issuer: str = ""
    linked_to: int = 0
    """The account that the person of the issuer is to be linked with; 0 for a sign-in."""


def _words(code: str) -> str:
    return gettext(WORDS.get(code, OTHER)) if code else ""


def _destination(to: str) -> str:
    """The fan's page that an address may lead to; empty for any other, which a link's author would have chosen."""
    return to if _is_destination(to) else ""


def _to(path: str, *cookies: Cookie) -> Response[str]:
    headers = {"Location": path, "Cache-Control": "no-store"}
    return Response("", status_code=303, media_type=MediaType.HTML, headers=headers, cookies=list(cookies))


def _account(**query: str) -> str:
    said = urlencode({name: value for name, value in query.items() if value})
    return f"{prefix()}/account{f'?{said}' if said else ''}"


def _join(proof: str) -> str:
    return f"{prefix()}/account/join?{urlencode({'proof': proof})}"


async def _fields(request: Request[Any, Any, Any]) -> dict[str, str]:
    form = await request.form()
    return {name: value for name in form if isinstance(value := form[name], str) and len(value) <= FIELD_CHARACTERS_MAX}


async def _account_page(
    request: Request[Any, Any, Any],
    *,
    to: str = "",
    problem: str = "",
    told: str = "",
    mail: str = "",
    issuer: str = "",
    proof: str = "",
    status: int = 200,
) -> Response[str]:
    services = services_of(request)
    is_unfinished = problem == "unfinished"
    session = services.identity.known(request)
    found, sessions = None, []
    linked: dict[str, LinkedIssuer] = {}
    joined: list[MergedRow] = []
    if session is not None and session.is_account:
        found = await services.accounts.of(session)
        sessions = await services.accounts.sessions(session)
        linked = await services.linking.issuers_of(session.user_id)
        joined = await services.merging.merged_into(session)
    return page(
        "fan_account.html",
        status=status,
        account=found,
        sessions=sessions,
        joined=joined,
        current=session.jti if session is not None else "",
        to=to,
        mail=mail,
        problem=_words(problem),
        is_unfinished=is_unfinished,
        told=gettext(TOLD[told]) if told in TOLD else "",
        has_passwords=services.accounts.has_passwords,
        # Who may leave things behind goes on with the issuer that they came from.
        issuers=[
            (one.name, issuer_address(one.key)) for one in _issuers(services) if not is_unfinished or one.key == issuer
        ],
        identities=[(one.key, one.name, one.key in linked) for one in _issuers(services)],
        # A form cannot lead to another site by the page's policy, so a link does, once the form has proved the fan.
        goes_on=next(
            ((one.name, issuer_address(one.key, proof=proof)) for one in _issuers(services) if one.key == issuer), None
        )
        if proof
        else None,
        password_min=PASSWORD_CHARS_MIN,
        password_max=PASSWORD_CHARS_MAX,
        page_address="/account",
    )


def _issuers(services: Services) -> list[IssuerSettings]:
    return [one.settings for one in services.issuers] if services.accounts.is_offered else []


def _issuer(services: Services, key: str) -> Issuer:
    """The issuer with this key, by which fans may sign in.

    Raises:
        ProblemError: ``accounts_off`` or ``not_found``.
    """
    if not _issuers(services):
        raise ProblemError("accounts_off")
    return services.issuers.of(key)


@get("/account")
async def account_page(
    request: Request[Any, Any, Any],
    to: To = "",
    problem: Word = "",
    told: Word = "",
    issuer: Word = "",
    proof: Proof = "",
) -> Response[str]:
    """The fan's account, or the ways to sign in to one."""
    return await _account_page(request, to=_destination(to), problem=problem, told=told, issuer=issuer, proof=proof)


@post("/account/sign-in")
async def sign_in_form(request: Request[Any, Any, Any]) -> Response[str]:
    """Sign in, and go back to where the fan came from."""
    refuse_visitor(request)
    fields = await _fields(request)
    to, mail = _destination(fields.get("to", "")), fields.get("mail", "")
    who = visitor(request, leaves="leave" in fields)
    try:
        proved = await services_of(request).accounts.sign_in(mail, fields.get("password", ""), who)
    except ProblemError as refused:
        document = refused.document
        return await _account_page(request, to=to, problem=document["code"], mail=mail, status=document["status"])
    return _to(prefix() + to if to else _account(told="in"), *sign_in_cookies(request, proved))


@post("/account/links")
async def link_form(request: Request[Any, Any, Any]) -> Response[str]:
    """Ask for the link that makes an account, or sets its password anew."""
    refuse_visitor(request)
    fields = await _fields(request)
    to = _destination(fields.get("to", ""))
    try:
        await services_of(request).accounts.ask_link(fields.get("mail", ""), current().tag, network(request))
    except ProblemError as refused:
        return _to(_account(problem=refused.document["code"], to=to))
    return _to(_account(told="link", to=to))


def _is_signed_in(request: Request[Any, Any, Any]) -> bool:
    session = services_of(request).identity.known(request)
    return session is not None and session.is_account


def _link_page(request: Request[Any, Any, Any], token: str, problem: str = "", status: int = 200) -> Response[str]:
    link = services_of(request).accounts.link(token)
    if link is None:
        problem = "link_spent"
    return page(
        "account_link.html",
        status=status,
        token=token if link is not None and problem != "link_spent" else "",
        mail=link.mail if link is not None else "",
        is_signed_in=_is_signed_in(request),
        problem=_words(problem),
        is_unfinished=problem == "unfinished",
        password_min=PASSWORD_CHARS_MIN,
        password_max=PASSWORD_CHARS_MAX,
        page_address="/account",
    )


@get("/account/links/{token:str}")
async def link_page(request: Request[Any, Any, Any], token: str) -> Response[str]:
    """The form behind a mail's link."""
    return _link_page(request, token)


@post("/account/links/{token:str}")
async def password_by_link(request: Request[Any, Any, Any], token: str) -> Response[str]:
    """Set the password by a mail's link, and sign in."""
    refuse_visitor(request)
    fields = await _fields(request)
    password = fields.get("password", "")
    if len(password) < PASSWORD_CHARS_MIN:
        return _link_page(request, token, "short_password", 400)
    who = visitor(request, leaves="leave" in fields)
    try:
        proved = await services_of(request).accounts.set_by_link(token, password, current().tag, who)
    except ProblemError as refused:
        return _link_page(request, token, refused.document["code"], refused.document["status"])
    return _to(_account(told="in"), *sign_in_cookies(request, proved))


def _signed_in(request: Request[Any, Any, Any]) -> Session | None:
    """The session of an account, whose forms these are.

    Raises:
        ProblemError: ``cross_site``.
    """
    identity = services_of(request).identity
    identity.refuse_foreign(request)
    session = identity.known(request)
    return session if session is not None and session.is_account else None


@post("/account/password")
async def password_form(request: Request[Any, Any, Any]) -> Response[str]:
    """Change the password."""
    session = _signed_in(request)
    if session is None:
        return _to(_account())
    fields = await _fields(request)
    new = fields.get("newPassword", "")
    if len(new) < PASSWORD_CHARS_MIN:
        return await _account_page(request, problem="short_password", status=400)
    try:
        accounts = services_of(request).accounts
        await accounts.change_password(session, fields.get("password", ""), new, network(request))
    except ProblemError as refused:
        return await _account_page(request, problem=refused.document["code"], status=refused.document["status"])
    return _to(_account(told="password"))


@post("/account/elsewhere")
async def elsewhere_form(request: Request[Any, Any, Any]) -> Response[str]:
    """Sign out everywhere else."""
    session = _signed_in(request)
    if session is None:
        return _to(_account())
    await services_of(request).accounts.end_others(session)
    return _to(_account(told="elsewhere"))


@post("/account/identities")
async def link_identity_form(request: Request[Any, Any, Any]) -> Response[str]:
    """Prove to be the account's fan, before an issuer is linked with it."""
    session = _signed_in(request)
    if session is None:
        return _to(_account())
    services = services_of(request)
    fields = await _fields(request)
    key = fields.get("issuer", "")
    try:
        await services.accounts.prove(session, fields.get("password", ""), network(request))
        proof = services.linking.begin(session.user_id, key)
    except ProblemError as refused:
        problem = refused.document["code"]
        if problem == "wrong_password" and "password" not in fields:
            problem = "sign_in_anew"
        return await _account_page(request, problem=problem, status=refused.document["status"])
    return _to(_account(issuer=key, proof=proof))


@post("/account/identities/remove")
async def unlink_identity_form(request: Request[Any, Any, Any]) -> Response[str]:
    """Let an issuer sign nobody in to the account any more."""
    session = _signed_in(request)
    if session is None:
        return _to(_account())
    fields = await _fields(request)
    try:
        await services_of(request).linking.unlink(session.user_id, fields.get("issuer", ""))
    except ProblemError as refused:
        return await _account_page(request, problem=refused.document["code"], status=refused.document["status"])
    return _to(_account(told="unlinked"))


@post("/account/join/proof")
async def join_proof_form(request: Request[Any, Any, Any]) -> Response[str]:
    """Prove the other account, by its address and password or by a mail's link."""
    session = _signed_in(request)
    if session is None:
        return _to(_account())
    fields = await _fields(request)
    asked = AccountJoinProofBody(
        mail=fields.get("mail", ""), password=fields.get("password", ""), link=fields.get("link", "")
    )
    try:
        proof = await proved(request, session, asked)
    except ProblemError as refused:
        problem = refused.document["code"]
        if problem == "wrong_password":
            problem = "other_password"
        return await _account_page(request, problem=problem, status=refused.document["status"])
    return _to(_join(proof))


@get("/account/join")
async def join_page(request: Request[Any, Any, Any], proof: Proof = "") -> Response[str]:
    """What a join would move, and the form that confirms it."""
    return await _join_page(request, proof)


async def _join_page(
    request: Request[Any, Any, Any], proof: str, problem: str = "", status: int = 200
) -> Response[str]:
    services = services_of(request)
    session = services.identity.known(request)
    if session is None or not session.is_account:
        return _to(_account())
    try:
        preview = await services.merging.preview(session, proof)
    except ProblemError as refused:
        return _to(_account(problem=refused.document["code"]))
    return page(
        "account_join.html",
        status=status,
        preview=preview,
        account=await services.accounts.of(session),
        problem=_words(problem),
        password_max=PASSWORD_CHARS_MAX,
        page_address="/account",
    )


@post("/account/join")
async def join_form(request: Request[Any, Any, Any]) -> Response[str]:
    """Join the proved account to the one that the fan is signed in to."""
    session = _signed_in(request)
    if session is None:
        return _to(_account())
    refuse_visitor(request)
    fields = await _fields(request)
    proof = fields.get("proof", "")
    try:
        await services_of(request).merging.merge(session, proof, fields.get("password", ""), visitor(request))
    except ProblemError as refused:
        problem = refused.document["code"]
        if problem == "wrong_password" and "password" not in fields:
            problem = "sign_in_anew"
        return await _join_page(request, proof, problem, refused.document["status"])
    return _to(_account(told="joined"))


def _flows(services: Services) -> Signer[Flow]:
    return Signer(services.keys.ring, KeyGroup.FANS, "admitone issuer flow v1", Flow, now=services.clock.now)


def _flow_cookie(request: Request[Any, Any, Any], token: str, seconds: int) -> Cookie:
    secure = services_of(request).settings.site.production
    return Cookie(
        key=cookie_name(FLOW_COOKIE, secure=secure),
        value=token,
        max_age=seconds,
        path=cookie_path(),
        httponly=True,
        # The issuer's page sends the browser back here.
        samesite="lax",
        secure=secure,
    )


def _redirect_uri(request: Request[Any, Any, Any], key: str) -> str:
    """Where the issuer sends the browser back. Each has an address of its own, so that none can pass off another's
    code as its own (RFC 9700, 4.4).
    """
    return f"{origin_of(request)}{issuer_address(key)}/back"


@get(["/account/issuer", "/account/issuer/{key:str}"])
async def issuer_start(
    request: Request[Any, Any, Any], key: IssuerKey = "", to: To = "", leave: bool = False, proof: Proof = ""
) -> Response[str]:
    """Send the browser to the issuer, to sign in or, with a proof of the account's fan, to link the two. It is a link
    and no form, because the page's policy keeps forms to this site.
    """
    services = services_of(request)
    issuer = _issuer(services, key)
    await services.limits.count("issuer", network(request), ISSUER_STARTS_PER_MINUTE)
    linked_to = services.linking.account_of(proof, key) if proof else 0
    flow = Flow(
        secrets.token_urlsafe(16),
        secrets.token_urlsafe(16),
        secrets.token_urlsafe(48),
        _destination(to),
        leave,
        key,
        linked_to,
    )
    address = await issuer.address(_redirect_uri(request, key), flow.state, flow.nonce, flow.verifier)
    token = _flows(services).sign(flow, int(services.clock.now()) + FLOW_SECONDS)
    return _to(address, _flow_cookie(request, token, FLOW_SECONDS))


@get(["/account/issuer/back", "/account/issuer/{key:str}/back"])
async def issuer_back(
    request: Request[Any, Any, Any],
    key: IssuerKey = "",
    returned: Annotated[str, Parameter(query="state", max_length=FIELD_CHARACTERS_MAX)] = "",
    code: Annotated[str, Parameter(max_length=CODE_CHARACTERS_MAX)] = "",
    iss: Annotated[str, Parameter(max_length=FIELD_CHARACTERS_MAX)] = "",
) -> Response[str]:
    """The browser comes back from the issuer, to the browser's own sign-in alone (state, and the cookie)."""
    services = services_of(request)
    services.networks.refuse(request.client.host if request.client is not None else "")
    forgotten = _flow_cookie(request, "", 0)
    to = ""
    try:
        issuer = _issuer(services, key)
        flow = _flow_of(request)
        to = flow.to
        if flow.issuer != key or not code or not secrets.compare_digest(flow.state.encode(), returned.encode()):
            raise ProblemError("issuer_refused")
        # RFC 9207: an issuer that names itself must be the one that was asked.
        if iss and iss != issuer.settings.issuer:
            raise ProblemError("issuer_refused")
        person = await issuer.person(code, _redirect_uri(request, key), flow.nonce, flow.verifier)
        if flow.linked_to:
            return _to(await _linked(request, flow, person), forgotten)
        proved = await services.accounts.by_identity(
            person.issuer, person.subject, person.mail, current().tag, visitor(request, leaves=flow.leave)
        )
    except ProblemError as refused:
        return _to(_account(problem=refused.document["code"], to=to, issuer=key), forgotten)
    return _to(prefix() + to if to else _account(told="in"), forgotten, *sign_in_cookies(request, proved))


async def _linked(request: Request[Any, Any, Any], flow: Flow, person: Person) -> str:
    """Link the person with the account whose fan began it, in whose session the browser still is; where the person has
    another account already, ask whether the two are to be joined.

    Raises:
        ProblemError: ``issuer_refused``.
    """
    services = services_of(request)
    session = services.identity.known(request)
    if session is None or not session.is_account or session.user_id != flow.linked_to:
        raise ProblemError("issuer_refused")
    owner = await services.linking.link(session.user_id, person.issuer, person.subject)
    if owner == session.user_id:
        return _account(told="linked")
    # The issuer has just proved the person's other account, too.
    return _join(services.merging.proof(session, owner))


def _flow_of(request: Request[Any, Any, Any]) -> Flow:
    """The sign-in that this browser began.

    Raises:
        ProblemError: ``issuer_refused``.
    """
    services = services_of(request)
    name = cookie_name(FLOW_COOKIE, secure=services.settings.site.production)
    try:
        return _flows(services).verify(request.cookies.get(name, ""))[0]
    except TokenInvalid:
        raise ProblemError("issuer_refused") from None


ACCOUNT_PAGES: Final = (
    account_page,
    sign_in_form,
    link_form,
    link_page,
    password_by_link,
    password_form,
    elsewhere_form,
    link_identity_form,
    unlink_identity_form,
    join_proof_form,
    join_page,
    join_form,
)
"""The pages and forms that a fan sees in the language of the address."""
ISSUER_PAGES: Final = (issuer_start, issuer_back)
"""Addresses that show nothing."""
