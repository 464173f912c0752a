"""Passkeys (WebAuthn, level 2): a key in a device that proves its person by itself, and takes the password's place.

The library is loaded when the first passkey is made or used: it costs a gateway's start a third of a second.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from redis import asyncio as aioredis

from gateway.wire.problems import ProblemError

CHALLENGE_SECONDS: Final = 300
CREDENTIAL_ID_BYTES_MAX: Final = 1023
_ANYBODY: Final = "anybody"


class NewPasskey(NamedTuple):
    """A passkey that has proved to be one."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


class _ClientData(msgspec.Struct):
    challenge: str


class Passkeys:
    """Challenges devices and checks what they answer. A challenge is good once, at any gateway."""

    def __init__(self, redis: aioredis.Redis) -> None:
        self._redis = redis

    async def registration(self, origin: str, name: str, known: list[bytes]) -> dict[str, Any]:
        """What a browser is asked for a new passkey of an operator, as ``navigator.credentials.create`` takes it.

        Args:
            origin: of the site, for example ``https://venue.example``.
            known: the ids of the operator's passkeys: a device has one.
        """
        import webauthn
        from webauthn.helpers import structs

        options = webauthn.generate_registration_options(
            rp_id=_host(origin),
            rp_name="Admit One",
            user_name=name,
            user_id=hashlib.sha256(name.encode()).digest(),
            exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=one) for one in known],
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.REQUIRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
        )
        await self._remember(options.challenge, name)
        return dict(json.loads(webauthn.options_to_json(options)))

    async def registered(self, origin: str, name: str, credential: dict[str, Any]) -> NewPasskey:
        """The passkey that a browser made for the operator.

        Raises:
            ProblemError: ``passkey_refused``.
        """
        import webauthn
        from webauthn.helpers.exceptions import WebAuthnException

        challenge = await self._recalled(credential, name)
        try:
            made = webauthn.verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=_host(origin),
                expected_origin=origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError):
            raise ProblemError("passkey_refused") from None
        return NewPasskey(made.credential_id, made.credential_public_key, made.sign_count)

    async def authentication(self, origin: str) -> dict[str, Any]:
        """What a browser is asked for a sign-in, as ``navigator.credentials.get`` takes it. It names no operator."""
        import webauthn
        from webauthn.helpers import structs

        options = webauthn.generate_authentication_options(
            rp_id=_host(origin), user_verification=structs.UserVerificationRequirement.REQUIRED
        )
        await self._remember(options.challenge, _ANYBODY)
        return dict(json.loads(webauthn.options_to_json(options)))

    async def used(self, origin: str, credential: dict[str, Any], public_key: bytes, sign_count: int) -> int:
        """How often the passkey has signed by now, once its signature has proved right.

        Raises:
            ProblemError: ``passkey_refused``.
        """
        import webauthn
        from webauthn.helpers.exceptions import WebAuthnException

        challenge = await self._recalled(credential, _ANYBODY)
        try:
            proved = webauthn.verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=_host(origin),
                expected_origin=origin,
                credential_public_key=public_key,
                credential_current_sign_count=sign_count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError):
            raise ProblemError("passkey_refused") from None
        return proved.new_sign_count

    async def _remember(self, challenge: bytes, whose: str) -> None:
        await self._redis.set(_key(challenge), whose, ex=CHALLENGE_SECONDS)

    async def _recalled(self, credential: dict[str, Any], whose: str) -> bytes:
        """The challenge that the credential answers, which is good no more."""
        try:
            said = msgspec.json.decode(_bytes_of(credential["response"]["clientDataJSON"]), type=_ClientData)
            challenge = _bytes_of(said.challenge)
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError):
            raise ProblemError("passkey_refused") from None
        if await self._redis.getdel(_key(challenge)) != whose.encode():
            raise ProblemError("passkey_refused", "That took too long; begin anew.")
        return challenge


def credential_id_of(credential: dict[str, Any]) -> bytes:
    """The id of the passkey that the browser used.

    Raises:
        ProblemError: ``passkey_refused``.
    """
    try:
        return _bytes_of(credential["rawId"])[:CREDENTIAL_ID_BYTES_MAX]
    except (ValueError, KeyError, TypeError):
        raise ProblemError("passkey_refused") from None


def text_of(credential_id: bytes) -> str:
    """A passkey's id in base64url."""
    return base64.urlsafe_b64encode(credential_id).rstrip(b"=").decode()


def id_of(text: str) -> bytes:
    """The id that `text_of` wrote; nothing where it wrote no such text."""
    try:
        return _bytes_of(text)
    except ValueError:
        return b""


def _bytes_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _host(origin: str) -> str:
    return urlsplit(origin).hostname or ""


def _key(challenge: bytes) -> str:
    return f"passkey:{hashlib.sha256(challenge).hexdigest()[:32]}"
