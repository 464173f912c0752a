"""Moves a place to the new session of the fan whose signed token proves it (ADR 42)."""

from __future__ import annotations

from typing import Final

from gateway.identity.limits import RateLimits
from gateway.line.restoring import Restoring
from gateway.wire.problems import ProblemError
from waiting_room.errors import RetryLater
from waiting_room.limits import address_prefix
from waiting_room.line import Line
from waiting_room.model import Standing
from waiting_room.tokens import PlaceToken

MOVES: Final = "move"


class Moving:
    """Moves places between sessions.

    Args:
        moves_per_minute: how many tokens of other sessions one network may show in a minute.
    """

    def __init__(self, line: Line, restoring: Restoring, limits: RateLimits, moves_per_minute: int) -> None:
        self._line = line
        self._restoring = restoring
        self._limits = limits
        self._moves_per_minute = moves_per_minute

    async def move(self, event_id: int, fan: int, place: PlaceToken, address: str) -> Standing | None:
        """Give this fan, who has no place, the place of a verified token that names another fan.

        Returns:
            The fan's standing with the place; None if the token moves none: the place has ended, was moved before to
            somebody else, or is admitted; or its fan holds seats or has bought.

        Raises:
            ProblemError: ``rate_limited``, or ``rebuilding`` while the lobby's places are drawn.
            waiting_room.errors.RoomUnknown: Redis has no such room.
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError: Postgres or Redis does not answer.
        """
        await self._limits.count(MOVES, address_prefix(address), self._moves_per_minute)
        return await self._move(event_id, fan, place)

    async def into_account(self, event_id: int, fan: int, place: PlaceToken) -> bool:
        """Give the fan of an account the place of the session that signs in; say whether it has moved. While the
        lobby's places are drawn it stays where it is, and the page's own token brings it a moment later.

        Raises:
            waiting_room.errors.RoomUnknown: Redis has no such room.
            sqlalchemy.exc.SQLAlchemyError, redis.exceptions.RedisError: Postgres or Redis does not answer.
        """
        try:
            standing = await self._move(event_id, fan, place)
        except ProblemError:
            return False
        return standing is not None and standing.joined == "restored"

    async def _move(self, event_id: int, fan: int, place: PlaceToken) -> Standing | None:
        movable = await self._restoring.movable(event_id, place)
        try:
            # That the place has left its fan may be known already where another question of the page has moved it.
            standing = await (
                self._line.standing(event_id, fan) if movable is None else self._line.move(event_id, fan, movable)
            )
        except RetryLater as later:
            raise ProblemError(later.code, retry_after_seconds=later.retry_after_seconds) from None
        # Two questions of one page may come together, and the other one has moved it: then the fan has the place now.
        return None if standing.state == "none" else standing
