"""An issuer of OpenID Connect on a real socket: whom its tokens name, and which of them are refused."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import jwt
import pytest

import gateway.accounts.issuer as module
from gateway.accounts.issuer import Issuer, Issuers, Person
from gateway.accounts.settings import OidcSettings
from gateway.wire.problems import ProblemError
from tests.openid import CLIENT_ID, CLIENT_SECRET, Provider

NONCE = "a nonce of this sign-in"
BACK = "http://127.0.0.1/back"


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.person, running.spoil, running.algorithm, running.key = {"sub": "person-1"}, dict, "RS256", None
    running.asked = {}
    return running


def settings_of(provider: Provider, **others: Any) -> OidcSettings:
    return OidcSettings(issuer=provider.issuer, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, **others)


def made(settings: OidcSettings, *, https_only: bool = False) -> Issuer:
    (only,) = Issuers(settings, https_only=https_only, now=time.time)
    return only


@pytest.fixture
async def issuer(provider: Provider) -> AsyncIterator[Issuer]:
    issuer = made(settings_of(provider))
    yield issuer
    await issuer.close()


async def code_of(issuer: Issuer, verifier: str) -> str:
    """The code with which the issuer sends a browser back."""
    address = await issuer.address(BACK, "state", NONCE, verifier)
    assert issuer._session is not None
    async with issuer._session.get(address, allow_redirects=False) as answer:
        return str(answer.headers["Location"].partition("code=")[2].partition("&")[0])


async def test_a_code_is_exchanged_for_the_person(provider: Provider, issuer: Issuer) -> None:
    provider.person = {"sub": "person-2", "email": "Ada@example.org", "email_verified": True}
    code = await code_of(issuer, "v" * 64)
    assert await issuer.person(code, BACK, NONCE, "v" * 64) == Person(provider.issuer, "person-2", "Ada@example.org")


async def test_a_code_is_good_with_its_own_verifier_and_once(issuer: Issuer) -> None:
    code = await code_of(issuer, "v" * 64)
    with pytest.raises(ProblemError, match="issuer_refused"):
        await issuer.person(code, BACK, NONCE, "w" * 64)
    with pytest.raises(ProblemError, match="issuer_refused"):
        await issuer.person(code, BACK, NONCE, "v" * 64)


@pytest.mark.parametrize(
    "claims", [{"email": "ada@example.org"}, {"email": "ada@example.org", "email_verified": "true"}]
)
async def test_an_address_that_the_issuer_has_not_verified_is_none(
    provider: Provider, issuer: Issuer, claims: dict[str, Any]
) -> None:
    person = await issuer.verified(provider.id_token(NONCE, **claims), NONCE)
    assert person.mail is None


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"aud": "another client"},
        {"aud": [CLIENT_ID, "another client"]},
        {"aud": [CLIENT_ID, "another client"], "azp": "another client"},
        {"azp": "another client"},
        {"iss": "http://127.0.0.1:1"},
        {"exp": -60},
        {"iat": 600},
        {"iat": -3600},
        {"sub": ""},
        {"sub": "s" * 300},
        {"sub": 7},
    ],
    ids=lambda claims: "-".join(claims),
)
async def test_a_token_that_is_not_for_this_sign_in_is_refused(
    provider: Provider, issuer: Issuer, claims: dict[str, Any]
) -> None:
    now = int(time.time())
    claims = {name: value + now if name in ("exp", "iat") else value for name, value in claims.items()}
    # PyJWT itself writes no subject that is no text.
    token = provider.id_token(NONCE, **claims) if claims.get("sub") != 7 else raw_token(provider, {"sub": 7})
    with pytest.raises(ProblemError, match="issuer_refused"):
        await issuer.verified(token, NONCE)


def raw_token(provider: Provider, claims: dict[str, Any]) -> str:
    good = jwt.decode(provider.id_token(NONCE), options={"verify_signature": False})
    payload = jwt.utils.base64url_encode(json.dumps(good | claims).encode())
    header = jwt.utils.base64url_encode(json.dumps({"alg": "RS256", "kid": provider.kid}).encode())
    signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(
        header + b"." + payload, provider._private
    )
    return b".".join([header, payload, jwt.utils.base64url_encode(signature)]).decode()


@pytest.mark.parametrize("missing", ["nonce", "aud", "iss", "exp", "iat", "sub"])
async def test_a_token_without_a_claim_is_refused(provider: Provider, issuer: Issuer, missing: str) -> None:
    provider.spoil = lambda claims: {name: value for name, value in claims.items() if name != missing}
    with pytest.raises(ProblemError, match="issuer_refused"):
        await issuer.verified(provider.id_token(NONCE), NONCE)


async def test_a_token_signed_by_nobody_is_refused(provider: Provider, issuer: Issuer) -> None:
    provider.algorithm, provider.key = "none", ""
    with pytest.raises(ProblemError, match="issuer_refused"):
        await issuer.verified(provider.id_token(NONCE), NONCE)


async def test_a_token_signed_by_a_secret_is_refused(provider: Provider, issuer: Issuer) -> None:
    provider.algorithm, provider.key = "HS256", CLIENT_SECRET * 3
    with pytest.raises(ProblemError, match="issuer_refused"):
        await issuer.verified(provider.id_token(NONCE), NONCE)


async def test_an_algorithm_that_the_settings_do_not_name_is_refused(provider: Provider) -> None:
    provider.algorithm = "RS512"
    for algorithms, is_taken in (("RS256,ES256", False), ("RS512", True)):
        issuer = made(settings_of(provider, algorithms=algorithms))
        provider.published[0].pop("alg", None)
        with contextlib.nullcontext() if is_taken else pytest.raises(ProblemError, match="issuer_refused"):
            await issuer.verified(provider.id_token(NONCE), NONCE)
        await issuer.close()


async def test_another_key_under_a_known_id_is_refused(provider: Provider, issuer: Issuer) -> None:
    await issuer.verified(provider.id_token(NONCE), NONCE)
    kid, published = provider.kid, provider.published
    provider.rotate()
    provider.kid = kid
    try:
        with pytest.raises(ProblemError, match="issuer_refused"):
            await issuer.verified(provider.id_token(NONCE), NONCE)
    finally:
        provider.rotate()
    assert published


async def test_keys_are_kept_and_read_anew_for_an_unknown_id(
    provider: Provider, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        await issuer.verified(provider.id_token(NONCE), NONCE)
    assert provider.asked == {"description": 1, "keys": 1}
    provider.rotate()
    with pytest.raises(ProblemError, match="issuer_refused"):
        # So soon after the last reading the keys are not read anew, whatever ids a token makes up.
        await issuer.verified(provider.id_token(NONCE), NONCE)
    assert provider.asked["keys"] == 1
    monkeypatch.setattr(module, "KEYS_PAUSE_SECONDS", 0.0)
    await issuer.verified(provider.id_token(NONCE), NONCE)
    assert provider.asked == {"description": 1, "keys": 2}


async def test_an_issuer_that_does_not_answer_is_away(provider: Provider) -> None:
    gone = made(OidcSettings(issuer="http://127.0.0.1:1", client_id=CLIENT_ID))
    with pytest.raises(ProblemError, match="unavailable"):
        await gone.address(BACK, "state", NONCE, "v" * 64)
    await gone.close()


async def test_in_production_an_issuer_needs_tls(provider: Provider) -> None:
    issuer = made(settings_of(provider), https_only=True)
    with pytest.raises(ProblemError, match="unavailable"):
        await issuer.address(BACK, "state", NONCE, "v" * 64)
    assert provider.asked == {}
    await issuer.close()


async def test_one_issuer_cannot_speak_for_another(provider: Provider) -> None:
    issuer = made(OidcSettings(issuer=provider.issuer + "/", client_id=CLIENT_ID))
    with pytest.raises(ProblemError, match="unavailable"):
        await issuer.address(BACK, "state", NONCE, "v" * 64)
    await issuer.close()


def listed(provider: Provider, key: str, **others: Any) -> dict[str, Any]:
    """An issuer as the list of further ones names it."""
    named = {"key": key, "name": key.title(), "issuer": provider.issuer, "clientId": CLIENT_ID}
    return {**named, "clientSecret": CLIENT_SECRET, **others}


async def test_each_of_several_issuers_speaks_for_its_own_people_alone(provider: Provider) -> None:
    with Provider() as club:
        settings = settings_of(provider, issuers=json.dumps([listed(club, "club")]))
        issuers = Issuers(settings, https_only=False, now=time.time)
        assert [one.settings.name for one in issuers] == ["OpenID", "Club"]
        person = await issuers.of("club").verified(club.id_token(NONCE), NONCE)
        assert person == Person(club.issuer, "person-1", None)
        assert (await issuers.of("").verified(provider.id_token(NONCE), NONCE)).issuer == provider.issuer
        # The club signs for a person of the other issuer, under its own key, and under the other's name for the key.
        for kid in (club.kid, provider.kid):
            club.kid = kid
            forged = club.id_token(NONCE, iss=provider.issuer)
            for key in ("", "club"):
                with pytest.raises(ProblemError, match="issuer_refused"):
                    await issuers.of(key).verified(forged, NONCE)
        code = await code_of(issuers.of("club"), "v" * 64)
        with pytest.raises(ProblemError, match="issuer_refused"):
            await issuers.of("").person(code, BACK, NONCE, "v" * 64)
        await issuers.close()


async def test_an_address_counts_where_the_settings_trust_the_issuers_word(provider: Provider) -> None:
    mail = {"email": "ada@example.org", "email_verified": True}
    for trusts, told in ((False, None), (True, "ada@example.org")):
        issuer = made(OidcSettings(issuers=json.dumps([listed(provider, "club", trustMail=trusts)])))
        assert (await issuer.verified(provider.id_token(NONCE, **mail), NONCE)).mail == told
        await issuer.close()
