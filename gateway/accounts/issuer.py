"""Issuers of OpenID Connect: their descriptions and keys, the exchange of a code, and what an ID token says.

Algorithms, audience, issuer, nonce and times are checked by `joserfc`; no algorithm is taken that the settings do not
name, so a token can choose neither ``none`` nor our own secret as its key.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from gateway.accounts.settings import IssuerSettings, OidcSettings
from gateway.wire.problems import ProblemError

# `Issuer` loads these packages, because a gateway without issuers starts without them.
if TYPE_CHECKING:
    import aiohttp
    from joserfc import jwt
    from joserfc.jwk import Key, KeySet

logger = logging.getLogger(__name__)

ANSWER_BYTES_MAX: Final = 262_144
LEEWAY_SECONDS: Final = 30
"""Clocks of two sites differ."""
AGE_SECONDS_MAX: Final = 600
KEYS_PAUSE_SECONDS: Final = 10.0
"""For an unknown key id the keys are read anew, but no sooner than so long after the last reading: a token with made-up
ids must not send us to the issuer each time."""
SUBJECT_CHARS_MAX: Final = 255
AWAY_RETRY_SECONDS: Final = 5


class Person(NamedTuple):
    """Whom an ID token names. ``mail`` is an address that the issuer says it has verified, where we trust its word."""

    issuer: str
    subject: str
    mail: str | None


class _Description(msgspec.Struct):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class _Tokens(msgspec.Struct):
    id_token: str


class Issuer:
    """Talks to one issuer.

    Args:
        of_all: what holds for all issuers of the site.
        https_only: ask no address without TLS, as in production.
        now: the clock that ends tokens (Unix time, seconds).
    """

    def __init__(
        self, settings: IssuerSettings, of_all: OidcSettings, *, https_only: bool, now: Callable[[], float]
    ) -> None:
        import aiohttp
        import joserfc.jwk
        import joserfc.jwt  # noqa: F401 - so that no sign-in waits for the packages to load

        self.settings = settings
        self._scopes = settings.scopes or of_all.scopes
        self._algorithms = (settings.algorithms or of_all.algorithms).split(",")
        self._timeout = aiohttp.ClientTimeout(total=of_all.timeout_seconds)
        self._keys_seconds = of_all.keys_seconds
        self._https_only = https_only
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._reading = asyncio.Lock()
        self._description: _Description | None = None
        self._keys: KeySet | None = None
        self._description_at = self._keys_at = 0.0

    async def address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where a browser is sent to sign in.

        Raises:
            ProblemError: ``unavailable``: the issuer does not answer.
        """
        description = await self._described()
        asked = urlencode(
            {
                "response_type": "code",
                "client_id": self.settings.client_id,
                "redirect_uri": redirect_uri,
                "scope": self._scopes,
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge_of(verifier),
                "code_challenge_method": "S256",
            }
        )
        joint = "&" if urlsplit(description.authorization_endpoint).query else "?"
        return f"{description.authorization_endpoint}{joint}{asked}"

    async def person(self, code: str, redirect_uri: str, nonce: str, verifier: str) -> Person:
        """The person who comes back with a code.

        Raises:
            ProblemError: ``issuer_refused``, or ``unavailable``: the issuer does not answer.
        """
        description = await self._described()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self.settings.client_id,
            "code_verifier": verifier,
        }
        if self.settings.client_secret:
            form["client_secret"] = self.settings.client_secret
        answer = await self._asked("POST", description.token_endpoint, form)
        try:
            token = msgspec.json.decode(answer, type=_Tokens).id_token
        except msgspec.MsgspecError:
            raise self._refused("its answer has no ID token") from None
        return await self.verified(token, nonce)

    async def verified(self, id_token: str, nonce: str) -> Person:
        """Whom an ID token names that was made for this nonce.

        Raises:
            ProblemError: ``issuer_refused`` or ``unavailable``.
        """
        from joserfc import jwt
        from joserfc.errors import JoseError

        settings, now = self.settings, int(self._now())
        try:
            token = await self._decoded(id_token)
            jwt.JWTClaimsRegistry(
                now=now,
                leeway=LEEWAY_SECONDS,
                iss={"essential": True, "value": settings.issuer},
                aud={"essential": True, "value": settings.client_id},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(token.claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise self._refused(type(error).__name__) from None
        return self._person(token.claims, now)

    def _person(self, claims: Mapping[str, Any], now: int) -> Person:
        audience, party = claims["aud"], claims.get("azp")
        several = isinstance(audience, list) and len(audience) > 1
        if (several or party is not None) and party != self.settings.client_id:
            raise self._refused("the token is for another party")
        if claims["iat"] < now - AGE_SECONDS_MAX:
            raise self._refused("the token is old")
        subject = claims["sub"]
        if not 0 < len(subject) <= SUBJECT_CHARS_MAX or "\0" in subject:
            raise self._refused("the subject is empty or too long")
        mail = claims.get("email")
        is_verified = claims.get("email_verified") is True and isinstance(mail, str)
        return Person(self.settings.issuer, subject, mail if is_verified and self.settings.trust_mail else None)

    async def _decoded(self, id_token: str) -> jwt.Token:
        """The token, once its signature is checked. For an unknown key id the keys are read anew, for they may have
        been changed.
        """
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError

        keys = await self._known_keys()
        try:
            return jwt.decode(id_token, keys, algorithms=self._algorithms)
        except InvalidKeyIdError:
            if time.monotonic() - self._keys_at < KEYS_PAUSE_SECONDS:
                raise
        return jwt.decode(id_token, await self._known_keys(anew=True), algorithms=self._algorithms)

    async def _described(self) -> _Description:
        async with self._reading:
            known = self._description
            if known is not None and time.monotonic() - self._description_at < self._keys_seconds:
                return known
            url = self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
            answer = await self._asked("GET", url)
            try:
                description = msgspec.json.decode(answer, type=_Description)
            except msgspec.MsgspecError:
                raise self._away("its description is none") from None
            # OpenID Connect Discovery 1.0, 4.3: else one issuer could speak for another.
            if description.issuer != self.settings.issuer:
                raise self._away("its description names another issuer")
            self._description, self._description_at = description, time.monotonic()
            return description

    async def _known_keys(self, *, anew: bool = False) -> KeySet:
        from joserfc.errors import JoseError

        description = await self._described()
        asked_at = time.monotonic()
        async with self._reading:
            is_fresh = time.monotonic() - self._keys_at < self._keys_seconds
            # Of several who wait for new keys the first reads them for all.
            if self._keys is not None and (self._keys_at > asked_at if anew else is_fresh):
                return self._keys
            answer = await self._asked("GET", description.jwks_uri)
            try:
                keys = _signing_keys(msgspec.json.decode(answer, type=dict[str, Any]))
            except (JoseError, msgspec.MsgspecError, ValueError, KeyError, TypeError):
                raise self._away("its keys are none") from None
            self._keys, self._keys_at = keys, time.monotonic()
            return keys

    async def _asked(self, method: str, url: str, form: Mapping[str, str] | None = None) -> bytes:
        """The body of an answer of 200.

        Raises:
            ProblemError: ``issuer_refused`` for an answer of 400 to 499, else ``unavailable``.
        """
        import aiohttp

        if self._https_only and urlsplit(url).scheme != "https":
            raise self._away("an address has no TLS")
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.request(
                method, url, data=form, allow_redirects=False, headers={"Accept": "application/json"}
            ) as answer:
                body = bytearray()
                async for chunk in answer.content.iter_chunked(16_384):
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        raise self._away("its answer is too long")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._away(type(error).__name__) from None
        if answer.status == 200:
            return bytes(body)
        if form is not None and 400 <= answer.status < 500:
            raise self._refused(f"it answered {answer.status}")
        raise self._away(f"it answered {answer.status}")

    def _refused(self, why: str) -> ProblemError:
        logger.warning("a sign-in by the issuer %s is refused: %s", self.settings.issuer, why)
        return ProblemError("issuer_refused")

    def _away(self, why: str) -> ProblemError:
        logger.warning("the issuer %s does not answer as it should: %s", self.settings.issuer, why)
        return ProblemError("unavailable", retry_after_seconds=AWAY_RETRY_SECONDS, failing="issuer")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class Issuers:
    """The issuers that the settings name.

    Args:
        https_only, now: as `Issuer` takes them.
    """

    def __init__(self, settings: OidcSettings, *, https_only: bool, now: Callable[[], float]) -> None:
        self._issuers = {one.key: Issuer(one, settings, https_only=https_only, now=now) for one in settings.named()}

    def __iter__(self) -> Iterator[Issuer]:
        """The issuers in the order in which fans are offered them."""
        return iter(self._issuers.values())

    def __bool__(self) -> bool:
        return bool(self._issuers)

    def of(self, key: str) -> Issuer:
        """The issuer with this key.

        Raises:
            ProblemError: ``not_found``.
        """
        found = self._issuers.get(key)
        if found is None:
            raise ProblemError("not_found")
        return found

    async def close(self) -> None:
        """Close the connections to all of them."""
        for issuer in self:
            await issuer.close()


def challenge_of(verifier: str) -> str:
    """The challenge S256 of a code verifier (RFC 7636)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _signing_keys(document: dict[str, Any]) -> KeySet:
    """The issuer's keys for signatures. Symmetric ones have no place in a public document."""
    from joserfc.jwk import KeySet

    read = KeySet.import_key_set(document)  # type: ignore[arg-type]
    keys: list[Key] = [key for key in read if key.key_type != "oct" and key.get("use") in (None, "sig")]
    if not keys:
        raise ValueError("no key signs")
    return KeySet(keys)
