"""The rules of joining a line: the limit of the network, the captcha, the access code, and the place that comes back.

A join asks Redis in three round trips at most: what is known before (the limit, and where the fan stands if the request
brings anything that depends on it), what the captcha or the pass need, and the place itself (ADR 28).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from gateway.captcha.captcha import Captcha
from gateway.captcha.checks import require_solved
from gateway.identity.limits import RateLimits
from gateway.identity.sessions import Session
from gateway.line.codes import AccessCodes
from gateway.line.finding import Finding
from gateway.line.restoring import Restoring
from gateway.wire.problems import ProblemError
from gateway.wire.settings import LimitSettings
from waiting_room.limits import Allowance, address_prefix
from waiting_room.model import RoomCounts, Standing
from waiting_room.tokens import AdmissionPass, PlaceToken

HOLDING: Final = frozenset({"lobby", "waiting", "called", "admitted"})
"""States of a fan who holds a place."""
CLOSED: Final = frozenset({"off", "closed", "sold_out"})
"""States of a room that takes nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinAsk:
    """What a join brings; the tokens are verified ones of this event and fan."""

    event_id: int
    fan: Session
    address: str
    place: PlaceToken | None = None
    admission: AdmissionPass | None = None
    captcha_token: str | None = None
    access_code: str | None = None

    @property
    def needs_standing(self) -> bool:
        """What it brings is of use or not, depending on where the fan stands."""
        return any(
            brought is not None for brought in (self.place, self.admission, self.captcha_token, self.access_code)
        )


class Joining:
    """Lets fans join."""

    def __init__(
        self,
        finding: Finding,
        restoring: Restoring,
        limits: RateLimits,
        codes: AccessCodes,
        captcha: Captcha,
        settings: LimitSettings,
    ) -> None:
        self._finding = finding
        self._restoring = restoring
        self._limits = limits
        self._codes = codes
        self._captcha = captcha
        self._settings = settings

    async def join(self, ask: JoinAsk) -> tuple[Standing, RoomCounts]:
        """Join the line, or find the place already held; with an access code, in the priority class.

        Raises:
            ProblemError: ``rate_limited`` whatever else is wrong; ``captcha_required``, ``captcha_failed``,
                ``captcha_unavailable``; ``line_full``, ``rebuilding``; as `AccessCodes.redeem`; as
                `Finding.require_room`.
        """
        network = await self._network(ask)
        # What begins further calls of its own stands first, so that all of it leaves for Redis together.
        code_allowance, used, standing = await asyncio.gather(
            self._code_allowance(ask),
            self._limits.count("join", network, self._settings.joins_per_minute),
            self._standing(ask),
        )
        await self._finding.require_room(ask.event_id, ask.fan)
        counts, entered = await asyncio.gather(
            self._finding.counts(ask.event_id), self._enter(ask, used, standing, code_allowance)
        )
        return entered, counts

    async def _network(self, ask: JoinAsk) -> str:
        if not ask.fan.rehearses:
            return address_prefix(ask.address)
        # All simulated fans come from one machine, and real ones from everywhere: each counts as a network of its own.
        await self._finding.require_room(ask.event_id, ask.fan)
        return f"rehearsal:{ask.fan.user_id}"

    async def _standing(self, ask: JoinAsk) -> Standing | None:
        # An event that is new to this process costs Postgres a query: not before the limit was asked.
        if not ask.needs_standing or not self._finding.knows_room(ask.event_id):
            return None
        return await self._finding.standing(ask.event_id, ask.fan)

    async def _code_allowance(self, ask: JoinAsk) -> Allowance | None:
        if ask.access_code is None:
            return None
        return await self._codes.allowance(ask.fan.user_id, address_prefix(ask.address))

    async def _enter(
        self, ask: JoinAsk, used: int, standing: Standing | None, code_allowance: Allowance | None
    ) -> Standing:
        captcha_due = self._captcha.provider != "off" and used > self._settings.joins_free_per_minute
        if standing is None and (captcha_due or ask.needs_standing):
            standing = await self._finding.standing(ask.event_id, ask.fan)
        if captcha_due and standing is not None and standing.state not in HOLDING:
            await self._require_captcha(ask)
        redeemed = False
        if code_allowance is not None and standing is not None:
            redeemed = await self._redeem(ask, standing, code_allowance)
        if standing is not None and standing.state in HOLDING and not redeemed:
            return standing
        place = ask.place
        if standing is not None and standing.state == "none" and (place is not None or ask.admission is not None):
            place = await self._restoring.restore(ask.event_id, ask.fan.user_id, place, ask.admission)
            standing = None
        return await self._finding.enter(ask.event_id, ask.fan, place, redeemed=redeemed, standing=standing)

    async def _require_captcha(self, ask: JoinAsk) -> None:
        if ask.captcha_token is None:
            raise ProblemError("captcha_required", href="/api/captcha")
        await require_solved(
            self._captcha,
            ask.captcha_token,
            action="join",
            address=ask.address,
            command_id=f"join:{ask.event_id}:{ask.fan.user_id}",
        )

    async def _redeem(self, ask: JoinAsk, standing: Standing, allowance: Allowance) -> bool:
        """Redeem the code where it is of any use: the line takes fans, and this one is neither called nor of the
        priority class yet.
        """
        if standing.room_state in CLOSED or standing.priority or standing.state in ("called", "admitted"):
            return False
        assert ask.access_code is not None
        prefix = address_prefix(ask.address)
        await self._codes.redeem(ask.event_id, ask.fan.user_id, prefix, ask.access_code, allowance)
        return True
