"""Permits commands: counts them with their fan and network, and checks what proves that the fan is a person."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable
from typing import Final, NoReturn

import msgspec
from redis import asyncio as aioredis

from booking_lane.commands import Command, Proof
from gateway.captcha.captcha import Captcha, Solver
from gateway.captcha.checks import require_solved
from gateway.identity.networks import Networks
from gateway.identity.sightings import PROOF, Sightings
from gateway.wire.addresses import below
from gateway.wire.problems import ProblemError, limited
from gateway.wire.settings import LimitSettings
from waiting_room.limits import Paced, Paces, address_prefix, stand_proof

WINDOW_SECONDS: Final = 60
FAN_TOO_FAST: Final = "You ask for more in a minute than one person does; wait and try again."
NETWORK_TOO_FAST: Final = "More is asked for from your network than is taken; wait and try again."


class Permits:
    """Permits commands to their lanes. A rehearsal's simulated fans count with no network."""

    def __init__(
        self,
        line_redis: aioredis.Redis,
        captcha: Captcha,
        settings: LimitSettings,
        networks: Networks,
        seen: Sightings,
    ) -> None:
        self._seen = seen
        self._networks = networks
        self._redis = line_redis
        self._paces = Paces(
            line_redis,
            fan_per_minute=settings.commands_per_minute,
            network_per_minute=settings.network_commands_per_minute,
        )
        self._captcha = captcha
        self._settings = settings

    def counting(self, command: Command, address: str) -> asyncio.Future[Paced]:
        """Begin to count the command with its fan and network; `count` or `permit` takes what comes of it. Meanwhile
        other questions of this request may leave for Redis together with it.

        Raises:
            ProblemError: ``network_denied``.
        """
        self._networks.refuse(address)
        return self._paces.count(command.event_id, command.user_id, address_prefix(address))

    async def count(self, counting: asyncio.Future[Paced], address: str) -> Paced:
        """Return if the command is taken.

        Raises:
            ProblemError: ``rate_limited``.
            redis.RedisError: Redis does not answer.
        """
        paced = await counting
        if paced.over:
            self._refuse(paced, address)
        return paced

    def _refuse(self, paced: Paced, address: str) -> NoReturn:
        self._seen.note(address_prefix(address), "rate_limited")
        is_fan = paced.over == "fan"
        allowed = self._settings.commands_per_minute if is_fan else self._settings.network_commands_per_minute
        raise limited(
            "rate_limited",
            FAN_TOO_FAST if is_fan else NETWORK_TOO_FAST,
            policy="commands",
            most=allowed,
            window_seconds=WINDOW_SECONDS,
            retry_after_seconds=paced.retry_after_seconds,
        )

    async def permit(
        self,
        command: Command,
        address: str,
        command_id: uuid.UUID,
        *,
        action: str,
        token: str | None,
        counting: asyncio.Future[Paced] | None,
    ) -> Command:
        """Check that the command is taken, and the captcha token if there is one, and note in the command who asks and
        how well the fan proved to be a person.

        Args:
            counting: None for a rehearsal's simulated fan, who does not count.

        Raises:
            ProblemError: ``rate_limited``, ``captcha_failed``, ``captcha_unavailable``.
            redis.RedisError: Redis does not answer.
        """
        if counting is None:
            if token is not None:
                await self._verify(command, address, command_id, action, token)
            return command
        paced = await counting
        if paced.over:
            self._refuse(paced, address)
        if self._captcha.provider == "off":
            # Without a captcha nobody could prove anything, so only the pace is kept.
            return command
        fresh = token is not None and await self._seen_proof(
            address, self._verify(command, address, command_id, action, token)
        )
        if fresh and action != "checkout":
            await stand_proof(self._redis, command.event_id, command.user_id, self._settings.proof_stands_seconds)
        proof = Proof.FRESH if fresh else Proof.STANDS if paced.proof_stands else Proof.NONE
        network = "" if self._networks.lets_through(address) else address_prefix(address)
        return msgspec.structs.replace(command, network=network, proof=int(proof))

    async def _seen_proof(self, address: str, verifying: Awaitable[bool]) -> bool:
        try:
            fresh = await verifying
        except ProblemError as refused:
            self._seen.note(address_prefix(address), refused.document["code"])
            raise
        self._seen.note(address_prefix(address), PROOF)
        return fresh

    async def _verify(self, command: Command, address: str, command_id: uuid.UUID, action: str, token: str) -> bool:
        solver = Solver(address=address, fan=command.user_id, event_id=command.event_id, action=action)
        return await require_solved(self._captcha, token, solver, command_id=str(command_id))

    def require_token(self) -> NoReturn:
        """Refuse a checkout that comes without a token.

        Raises:
            ProblemError: ``captcha_failed``.
        """
        href = below("/api/captcha")
        raise ProblemError("captcha_failed", "Checkout needs a captchaToken; /api/captcha says which.", href=href)
