"""The rules of joining a line: the limit of the network, the captcha, the access code, and the restored place.

A join takes at most three round trips to Redis (ADR 28). The first counts the join, and reads the fan's standing if the
request has a token or code that depends on it. The second is for the captcha or the pass, the third for the place.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from gateway.captcha.captcha import Captcha, Solver
from gateway.captcha.checks import require_solved
from gateway.identity.limits import JOINS, RateLimits
from gateway.identity.networks import Networks
from gateway.identity.sessions import Session
from gateway.identity.sightings import PROOF, REHEARSED
from gateway.line.codes import AccessCodes
from gateway.line.finding import Finding
from gateway.line.patience import Patience
from gateway.line.restoring import Restoring
from gateway.wire.addresses import below
from gateway.wire.problems import ProblemError
from gateway.wire.settings import LimitSettings
from waiting_room.limits import Allowance, address_prefix
from waiting_room.model import RoomCounts, Standing
from waiting_room.tokens import AdmissionPass, PlaceToken

FAN_STATES_WITH_PLACE: Final = frozenset({"lobby", "waiting", "called", "admitted"})
PLACES_OF_FREE_JOINS: Final = 5_000
"""A room of so many places (slots and line) lets a network have all its free joins; a smaller one its part of them."""
FREE_JOINS_MIN: Final = 150
"""A smaller room lets a network have so many nevertheless, as far as they are not more than a quarter of its places."""
FREE_JOINS_LEAST: Final = 40
"""The smallest room has so many: a class and an office come from one network."""
PATIENCE_SECONDS: Final = 20
PATIENCE_SECONDS_MAX: Final = 600
"""A fan without scripts, who can solve no captcha, waits instead: longer, the more joins come from the network."""
ROOM_STATES_WITHOUT_LINE: Final = frozenset({"off", "closed", "sold_out"})


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinAsk:
    """A fan's request to join. Its tokens are verified, and are of this event; ``place`` may name another fan."""

    event_id: int
    fan: Session
    address: str
    place: PlaceToken | None = None
    admission: AdmissionPass | None = None
    captcha_token: str | None = None
    patience: str | None = None
    access_code: str | None = None
    is_suspicious: bool = False
    """What the session did asks for a proof, however few the network's joins."""

    @property
    def needs_standing(self) -> bool:
        """Whether the request has a token or code, whose use depends on the fan's standing."""
        return any(proof is not None for proof in (self.place, self.admission, self.captcha_token, self.access_code))


def _free_joins_in(places: int, free: int) -> int:
    """How many of its ``free`` joins a network has in a room of so many places."""
    of_small = min(FREE_JOINS_MIN, max(FREE_JOINS_LEAST, places // 4))
    return max(of_small, free * places // PLACES_OF_FREE_JOINS)


def _has_place(standing: Standing | None) -> bool:
    return standing is not None and standing.state in FAN_STATES_WITH_PLACE


class Joining:
    """Lets fans join lines, by the rules."""

    def __init__(
        self,
        finding: Finding,
        restoring: Restoring,
        limits: RateLimits,
        codes: AccessCodes,
        captcha: Captcha,
        settings: LimitSettings,
        patience: Patience,
        networks: Networks,
    ) -> None:
        self._networks = networks
        self._patience = patience
        self._finding = finding
        self._restoring = restoring
        self._limits = limits
        self._codes = codes
        self._captcha = captcha
        self._settings = settings

    async def join(self, ask: JoinAsk) -> tuple[Standing, RoomCounts]:
        """Have the fan join the line, with an access code in the priority class; or find the place that the fan holds.

        Raises:
            ProblemError: ``network_denied`` and ``rate_limited``, before every other problem; ``captcha_required``,
                ``captcha_failed``, ``captcha_unavailable``; ``account_required``, ``line_full``, ``rebuilding``; and
                what `AccessCodes.redeem` and `Finding.require_room` raise.
        """
        self._networks.refuse(ask.address)
        network = await self._network(ask)
        counting = self._limits.take(JOINS, network, self._settings.joins_per_minute)
        code_allowance: Allowance | None = None
        standing: Standing | None = None
        if ask.needs_standing:
            # The call that begins further calls comes first, so that all of them are sent to Redis together.
            code_allowance, allowance, standing = await asyncio.gather(
                self._code_allowance(ask), counting, self._standing(ask)
            )
        else:
            # As most fans join; to gather would cost a task for each of the three.
            allowance = await counting
        if not allowance.allowed and not _has_place(standing or await self._finding.standing(ask.event_id, ask.fan)):
            self._limits.refuse(allowance)
        await self._finding.require_room(ask.event_id, ask.fan)
        await self._finding.require_account(ask.event_id, ask.fan)
        begun = self._finding.begin_counts(ask.event_id)
        entered = await self._enter(ask, network, allowance.used, standing, code_allowance)
        counts = await self._finding.counts(ask.event_id, begun)
        had_place = _has_place(standing) or (
            not ask.needs_standing and entered.joined == "known" and _has_place(entered)
        )
        if allowance.allowed and had_place:
            # Who has a place costs the neighbours nothing, however often the page asks for it.
            await self._limits.give_back(JOINS, network)
        return entered, counts

    async def _network(self, ask: JoinAsk) -> str:
        if not ask.fan.rehearses:
            return address_prefix(ask.address)
        # All simulated fans share one machine, unlike real ones. So each counts as a network of its own.
        await self._finding.require_room(ask.event_id, ask.fan)
        return f"{REHEARSED}{ask.fan.user_id}"

    async def _standing(self, ask: JoinAsk) -> Standing | None:
        # An event that is new to this process costs a query of Postgres, which is made only after the limit's check.
        if not self._finding.knows_room(ask.event_id):
            return None
        return await self._finding.standing(ask.event_id, ask.fan)

    async def _code_allowance(self, ask: JoinAsk) -> Allowance | None:
        if ask.access_code is None:
            return None
        return await self._codes.allowance(ask.fan.user_id, address_prefix(ask.address))

    def _captcha_due(self, ask: JoinAsk, used: int) -> bool:
        """Whether so many joins of the network ask for a proof: in a small room sooner than in a large one, or one
        network would fill it.
        """
        free = self._settings.joins_free_per_minute
        if not ask.fan.rehearses:
            free = min(free, _free_joins_in(self._finding.places_in_all(ask.event_id), free))
        due = used > free or ask.is_suspicious
        return due and self._captcha.provider != "off" and not self._networks.lets_through(ask.address)

    async def _enter(
        self, ask: JoinAsk, network: str, used: int, standing: Standing | None, code_allowance: Allowance | None
    ) -> Standing:
        captcha_due = self._captcha_due(ask, used)
        if standing is None and (captcha_due or ask.needs_standing):
            standing = await self._finding.standing(ask.event_id, ask.fan)
        if not captcha_due or _has_place(standing) or self._has_waited(ask):
            return await self._place(ask, standing, code_allowance)
        if not await self._prove(ask, network):
            return await self._place(ask, standing, code_allowance)
        stands_seconds = self._settings.proof_stands_seconds
        entered, _ = await asyncio.gather(
            self._place(ask, standing, code_allowance),
            self._limits.stand_proof(ask.event_id, ask.fan.user_id, stands_seconds),
        )
        return entered

    def _has_waited(self, ask: JoinAsk) -> bool:
        return self._patience.has_waited(ask.patience, ask.event_id, ask.fan.user_id)

    async def _prove(self, ask: JoinAsk, network: str) -> bool:
        """See to the captcha; return whether it shows that this fan is a person."""
        try:
            is_person = await self._require_captcha(ask)
            self._limits.seen.note(network, PROOF)
            return is_person
        except ProblemError as refused:
            self._limits.seen.note(network, refused.document["code"])
            if refused.document["code"] == "captcha_failed":
                # A wrong proof counts twice, because it is no mistake of a page's.
                await self._limits.take(JOINS, network, self._settings.joins_per_minute)
            raise

    async def patience(self, ask: JoinAsk) -> tuple[str, int]:
        """A ticket for a fan who was refused for want of a captcha and can solve none, and how many seconds to wait
        until it is good: the more, the more joins come from the network.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        user_id = ask.fan.user_id
        if ask.patience is not None:
            left = self._patience.seconds_left(ask.patience, ask.event_id, user_id)
            if left:
                return ask.patience, left
        allowance = await self._limits.take(JOINS, address_prefix(ask.address), self._settings.joins_per_minute)
        used = allowance.used
        times = max(1, used // max(FREE_JOINS_MIN, self._settings.joins_free_per_minute))
        seconds = min(PATIENCE_SECONDS_MAX, PATIENCE_SECONDS * times)
        return self._patience.ticket(ask.event_id, user_id, seconds), seconds

    async def _place(self, ask: JoinAsk, standing: Standing | None, code_allowance: Allowance | None) -> Standing:
        place = ask.place
        if place is not None and place.fan != ask.fan.user_id:
            if standing is not None and standing.state == "none":
                standing = await self._finding.move(ask.event_id, ask.fan, place, ask.address) or standing
            place = None
        redeemed = False
        if code_allowance is not None and standing is not None:
            redeemed = await self._redeem(ask, standing, code_allowance)
        if standing is not None and _has_place(standing) and not redeemed:
            return standing
        if standing is not None and standing.state == "none" and (place is not None or ask.admission is not None):
            place = await self._restoring.restore(ask.event_id, ask.fan.user_id, place, ask.admission)
            standing = None
        return await self._finding.enter(ask.event_id, ask.fan, place, redeemed=redeemed, standing=standing)

    async def _require_captcha(self, ask: JoinAsk) -> bool:
        if ask.captcha_token is None:
            raise ProblemError("captcha_required", href=below("/api/captcha"))
        return await require_solved(
            self._captcha,
            ask.captcha_token,
            Solver(address=ask.address, fan=ask.fan.user_id, event_id=ask.event_id, action="join"),
            command_id=f"join:{ask.event_id}:{ask.fan.user_id}",
        )

    async def _redeem(self, ask: JoinAsk, standing: Standing, allowance: Allowance) -> bool:
        """Redeem the code if the fan gains by it: the room must have a line, and the fan must be neither called nor in
        the priority class yet.
        """
        if (
            standing.room_state in ROOM_STATES_WITHOUT_LINE
            or standing.priority
            or standing.state in ("called", "admitted")
        ):
            return False
        assert ask.access_code is not None
        prefix = address_prefix(ask.address)
        await self._codes.redeem(ask.event_id, ask.fan.user_id, prefix, ask.access_code, allowance)
        return True
