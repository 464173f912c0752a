"""The check that a shop's proxy or edge asks of each request: whether its fan has a pass.

A pass that this process has verified is found by its bytes; nothing is asked of Redis until its renewal is due. The
answers are plain ASGI, because the check stands before each request of a shop (ADR 101).
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

from redis import asyncio as aioredis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from db.ids import new_user_id
from db.rooms.rooms import RoomRow
from db.rooms.states import RoomState
from db.shops.model import Shop
from gateway.health.metrics import Traffic
from gateway.identity.limits import JOINS, RateLimits
from gateway.identity.networks import Networks
from gateway.line.counts import Counts
from gateway.line.registry import RoomRegistry
from gateway.line.restoring import Restoring
from gateway.shops.addresses import (
    ARRIVAL,
    address_of,
    arrival_in,
    is_address_of,
    return_address,
    waiting_address,
    without_arrival,
)
from gateway.shops.asked import COOKIE, Asked, read
from gateway.shops.seen import Crowd, SeenPass, SeenPasses
from gateway.shops.verdict import THROUGH, Verdict, answer
from gateway.wire.addresses import origin
from gateway.wire.problems import ProblemError
from gateway.wire.settings import LimitSettings
from waiting_room.errors import RoomError, TokenInvalid
from waiting_room.keys import arrived_key
from waiting_room.limits import address_prefix
from waiting_room.line import Line
from waiting_room.model import News, Renewed
from waiting_room.shop_passes import ARRIVAL_SECONDS, Kind, ShopPass, ShopPasses, agent_hash, audience
from waiting_room.tokens import AdmissionPass

logger = logging.getLogger(__name__)

ROUTE: Final = "/gate/{event_id}"
RENEW_SECONDS_MAX: Final = 30
"""A pass that is used is renewed no more often, and at the latest after a quarter of its idle life."""
RENEWING_SECONDS: Final = 2.0
"""Other requests with the same pass wait no longer for one that renews it: they pass meanwhile."""
AWAY_SECONDS: Final = 1.0
"""After Redis or Postgres did not answer, none is asked for so long."""
_ARRIVAL_IN_QUERY: Final = f"{ARRIVAL}="
_AWAY: Final = (RedisError, SQLAlchemyError, OSError)


def cookie_name(shop: Shop, event_id: int) -> str:
    """The cookie of a pass at the shop's host. Its prefix has browsers take it from this very host alone."""
    return f"{'__Host-' if shop.origin.startswith('https:') else ''}{COOKIE}{event_id}"


def renew_seconds(pass_seconds: int) -> int:
    """How long a pass is used before it is renewed."""
    return max(1, min(RENEW_SECONDS_MAX, pass_seconds // 4))


class ShopChecks:
    """Answers a shop's proxy.

    Args:
        now: the clock that ends passes (Unix time, seconds).
    """

    def __init__(
        self,
        line: Line,
        line_redis: aioredis.Redis,
        rooms: RoomRegistry,
        counts: Counts,
        restoring: Restoring,
        limits: RateLimits,
        networks: Networks,
        passes: ShopPasses,
        settings: LimitSettings,
        traffic: Traffic,
        now: Callable[[], float],
    ) -> None:
        self._line = line
        self._redis = line_redis
        self._rooms = rooms
        self._counts = counts
        self._restoring = restoring
        self._limits = limits
        self._networks = networks
        self.passes = passes
        self._settings = settings
        self._traffic = traffic
        self._now = now
        self._seen = SeenPasses(now())
        self._verified_by = passes.made_of
        self._away_until = 0.0

    # -- what the line says

    def on_news(self, news: News) -> None:
        """Take a message about a room."""
        row = self._rooms.rows.get(news.event)
        if row is not None and row.shop is not None:
            self._seen.on_news(news, self._now())

    def on_gap(self) -> None:
        """News may have been missed."""
        self._seen.forget(self._now())

    # -- the wire

    async def answers(self, scope: Any, send: Any) -> None:
        """Answer a request for a check, whose path begins with `PATH`."""
        began_at = time.perf_counter()
        asked = read(scope, scope["path"])
        verdict = None if asked is None else self.known(asked)
        if verdict is None:
            verdict = await self._judged(scope["method"], asked)
        await answer(send, asked, verdict)
        self._traffic.note("GET", ROUTE, verdict.status, time.perf_counter() - began_at)

    def known(self, asked: Asked) -> Verdict | None:
        """Let a pass through that was verified before; None where it takes a closer look."""
        seen = self._seen.by_token.get(asked.token)
        if (
            seen is None
            or seen.event_id != asked.event_id
            or seen.agent != asked.agent
            or self._now() >= seen.good_until
            or asked.address not in seen.crowd.addresses
            or self.passes.made_of is not self._verified_by
            or asked.dialect == "end"
            or _ARRIVAL_IN_QUERY in asked.path
        ):
            return None
        return THROUGH

    async def _judged(self, method: str, asked: Asked | None) -> Verdict:
        if asked is None:
            return Verdict(404, code="unknown_event")
        try:
            row = await self._rooms.row(asked.event_id)
        except _AWAY as error:
            logger.warning("event %d: a check found no room: %s", asked.event_id, error)
            return Verdict(503, code="unavailable")
        if row is None or row.shop is None:
            return Verdict(404, code="unknown_event")
        if asked.dialect == "end":
            return await self._ended(asked, row) if method == "POST" else Verdict(405, code="method_not_allowed")
        return await self.check(asked, row, row.shop)

    async def check(self, asked: Asked, row: RoomRow, shop: Shop) -> Verdict:
        """Judge a request of the shop."""
        if self.passes.made_of is not self._verified_by:
            self._seen.forget(self._now())
            self._verified_by = self.passes.made_of
        if row.state is RoomState.OFF:
            return THROUGH
        token = arrival_in(asked.path)
        if token is not None:
            arrived = await self._arrived(asked, row, shop, token.encode("latin-1", "replace"))
            if arrived is not None:
                return arrived
        if asked.token:
            passed = await self._passed(asked, row, shop)
            if passed is not None:
                return passed
        if not shop.protects(asked.path):
            return THROUGH
        return await self._without_pass(asked, row, shop)

    # -- with a pass

    async def _passed(self, asked: Asked, row: RoomRow, shop: Shop) -> Verdict | None:
        """Let a pass through, renewed where that is due; None for one that is not good."""
        now = self._now()
        seen = self._seen.by_token.get(asked.token)
        if seen is None or seen.event_id != asked.event_id or seen.agent != asked.agent:
            try:
                claims = self.passes.verify(asked.token, "pass", asked.event_id)
            except TokenInvalid:
                return None
            if claims.ua != agent_hash(asked.agent):
                return None
            good_until: float = min(claims.exp, claims.iat + renew_seconds(row.pass_seconds))
            if self._seen.must_ask(asked.event_id, claims.fan, claims.iat):
                good_until = now
            seen = SeenPass(asked.event_id, claims.fan, asked.agent, good_until, claims.exp)
            self._seen.keep(asked.token, seen)
        if seen.is_refused or now >= seen.ends or not seen.crowd.takes(asked.address):
            return None
        if now < seen.good_until:
            return THROUGH
        return await self._renewed(asked, row, shop, seen)

    async def _renewed(self, asked: Asked, row: RoomRow, shop: Shop, seen: SeenPass) -> Verdict | None:
        now = self._now()
        if not self._may_ask():
            return THROUGH
        seen.good_until = min(seen.ends, now + RENEWING_SECONDS)
        try:
            renewed = await self._line_renews(row.event_id, seen.fan, seen.ends)
        except _AWAY:
            # The signature proves the pass until its end; there is nobody to ask whether it was called back.
            self._note_away()
            return THROUGH
        if renewed is None:
            seen.is_refused, seen.good_until = True, 0.0
            return None
        seen.good_until = min(seen.ends, now + renew_seconds(row.pass_seconds))
        return Verdict(200, cookie=self._pass_cookie(asked, row, shop, seen.fan, renewed, seen.crowd))

    async def _line_renews(self, event_id: int, fan: int, ends: int) -> Renewed | None:
        """Have the slot last longer; one that Redis lost is given back first."""
        renewed = await self._admitted(event_id, fan)
        if renewed is not None:
            return renewed
        # Redis may have lost the slot, or the room. If it has not, restoring changes nothing.
        row = self._rooms.rows.get(event_id)
        if row is not None:
            await self._rooms.configure(row)
        lost = AdmissionPass(event=event_id, fan=fan, until_ms=ends * 1000)
        await self._restoring.restore(event_id, fan, None, lost)
        return await self._admitted(event_id, fan)

    def _pass_cookie(
        self, asked: Asked, row: RoomRow, shop: Shop, fan: int, renewed: Renewed, crowd: Crowd | None = None
    ) -> bytes:
        """The cookie of a new pass, which is noted as verified."""
        now = int(self._now())
        claims = self._claims("pass", row.event_id, fan, asked.agent, renewed)
        token = self.passes.sign(claims)
        good_until = min(claims.exp, now + renew_seconds(row.pass_seconds))
        seen = SeenPass(row.event_id, fan, asked.agent, good_until, claims.exp, crowd or Crowd())
        seen.crowd.takes(asked.address)
        self._seen.keep(token.encode(), seen)
        secure = shop.origin.startswith("https:")
        # A payment provider sends fans back by another site's form, with which no Lax cookie comes.
        return (
            f"{cookie_name(shop, row.event_id)}={token}; Path=/; Max-Age={max(1, claims.exp - now)}; HttpOnly; "
            f"{'SameSite=None; Secure' if secure else 'SameSite=Lax'}"
        ).encode()

    async def _ended(self, asked: Asked, row: RoomRow) -> Verdict:
        """End the pass that the request carries: its slot is free for the next fan."""
        try:
            claims = self.passes.verify(asked.token, "pass", row.event_id)
            await self._line.leave(row.event_id, claims.fan)
        except TokenInvalid:
            return Verdict(401)
        except (RoomError, *_AWAY):
            return Verdict(503, code="unavailable")
        self._seen.end(row.event_id, claims.fan, self._now())
        return THROUGH

    # -- without one

    async def _arrived(self, asked: Asked, row: RoomRow, shop: Shop, token: bytes) -> Verdict | None:
        """Give the fan a pass who comes from the waiting page, and send them to the address without its token."""
        try:
            claims = self.passes.verify(token, "arrival", row.event_id)
        except TokenInvalid:
            return None
        if claims.ua != agent_hash(asked.agent):
            return None
        try:
            used = arrived_key(row.event_id, claims.jti)
            if not await self._redis.set(used, "1", nx=True, ex=2 * ARRIVAL_SECONDS):
                return None
            renewed = await self._line_renews(row.event_id, claims.fan, claims.exp)
        except _AWAY:
            self._note_away()
            renewed = Renewed((int(self._now()) + row.pass_seconds) * 1000, claims.end * 1000)
        if renewed is None:
            return None
        cookie = self._pass_cookie(asked, row, shop, claims.fan, renewed)
        return Verdict(401, self._return_to(asked, shop), cookie)

    async def arrival(self, event_id: int, fan: int, agent: bytes) -> str | None:
        """The token by which an admitted fan is given a pass at the shop; None for one who is not admitted.

        Args:
            agent: the ``User-Agent`` of the fan's browser.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        renewed = await self._admitted(event_id, fan)
        if renewed is None:
            return None
        return self.passes.sign(self._claims("arrival", event_id, fan, agent, renewed))

    async def token(self, event_id: int, fan: int, agent: bytes) -> tuple[str, int] | None:
        """An admitted fan's pass and its end (Unix time, seconds), for an app that keeps no cookies; None for a fan who
        is not admitted.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        renewed = await self._admitted(event_id, fan)
        if renewed is None:
            return None
        claims = self._claims("pass", event_id, fan, agent, renewed)
        return self.passes.sign(claims), claims.exp

    async def _admitted(self, event_id: int, fan: int) -> Renewed | None:
        try:
            return await self._line.renew(event_id, fan)
        except RoomError:
            return None

    def _claims(self, kind: Kind, event_id: int, fan: int, agent: bytes, renewed: Renewed) -> ShopPass:
        now = int(self._now())
        until = renewed.until_ms // 1000
        return ShopPass(
            iss=origin(),
            aud=audience(kind, event_id),
            sub=str(fan),
            jti=secrets.token_urlsafe(8),
            iat=now,
            exp=until if kind == "pass" else min(now + ARRIVAL_SECONDS, until),
            end=renewed.ends_at_ms // 1000,
            ua=agent_hash(agent),
        )

    async def _without_pass(self, asked: Asked, row: RoomRow, shop: Shop) -> Verdict:
        if not self._may_ask():
            return THROUGH if shop.fail_open else self._to_wait(asked, shop)
        try:
            counts = await self._counts.of(row.event_id)
            has_room = counts is not None and counts.state == RoomState.OPEN and not counts.waiting
            if not shop.always and has_room and counts is not None and counts.slots_free > 0:
                let_in = await self._let_straight_in(asked, row, shop)
                if let_in is not None:
                    return let_in
        except _AWAY as error:
            logger.warning("event %d: the line does not answer a check: %s", row.event_id, error)
            self._note_away()
            if shop.fail_open:
                return THROUGH
        return self._to_wait(asked, shop)

    async def _let_straight_in(self, asked: Asked, row: RoomRow, shop: Shop) -> Verdict | None:
        """Admit a fan who comes while there is room; None where the waiting page has to see to it."""
        network = address_prefix(asked.address)
        try:
            self._networks.refuse(asked.address)
        except ProblemError:
            return None
        allowance = await self._limits.take(JOINS, network, self._settings.joins_per_minute)
        if not allowance.allowed or allowance.used > self._settings.joins_free_per_minute:
            return None
        fan = new_user_id()
        try:
            standing = await self._line.join(row.event_id, fan)
            if standing.pass_until_ms is None:
                await self._line.leave(row.event_id, fan)
                return None
        except RoomError:
            return None
        life_seconds = max(row.pass_life_seconds, row.pass_seconds) if row.pass_life_seconds else 2 * row.pass_seconds
        renewed = Renewed(standing.pass_until_ms, standing.now_ms + life_seconds * 1000)
        return Verdict(200, cookie=self._pass_cookie(asked, row, shop, fan, renewed))

    def _to_wait(self, asked: Asked, shop: Shop) -> Verdict:
        return Verdict(401, waiting_address(shop, asked.event_id, self._return_to(asked, shop)))

    @staticmethod
    def _return_to(asked: Asked, shop: Shop) -> str:
        if asked.is_read:
            return address_of(shop, asked.host, without_arrival(asked.path))
        # A form cannot be sent again by its address, but filled in again.
        if is_address_of(shop, asked.sent_from):
            return return_address(shop, asked.sent_from)
        return address_of(shop, asked.host, shop.paths[0] if "/" not in shop.paths else "/")

    # -- while the line is away

    def _may_ask(self) -> bool:
        return time.monotonic() >= self._away_until

    def _note_away(self) -> None:
        self._away_until = time.monotonic() + AWAY_SECONDS
