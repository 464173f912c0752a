"""Ranks that this process counts itself: each fan's is asked once, and followed by what moves in the line after that.

The line keeps a record of what left its order and what came into the middle of it (places.lua). Whoever joins stands
behind all others, and changes nobody's rank. One question a turn reads the moves since the last one, with the ranks of
fans who are new here. Where moves were missed, or a rank that is asked for proof is another one, all are asked anew.
"""

from __future__ import annotations

import logging
import random
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from waiting_room.line import Line
from waiting_room.model import Mark, Positions, Ranks
from waiting_room.operations import RANKS, chunks

logger = logging.getLogger(__name__)

PROOFS: Final = 2
"""So many counted ranks are asked with each question, so that whatever was counted wrongly is soon found."""
MOVES_MAX: Final = 4096
"""With more moves than this in the middle of a line the ranks are added up, and counted on from there."""
NOT_IN_LINE: Final = (-1, False)


class _Counted(NamedTuple):
    """A fan's rank when it was asked or added up last, less what had moved before the place until then."""

    score: int
    priority: bool
    base: int


class _Order:
    """The fans of one class who are known here, and what moved in the class."""

    def __init__(self) -> None:
        self.fans: list[tuple[int, int]] = []
        """(score, fan) of each, in order."""
        self._came: list[int] = []
        self._went: list[int] = []
        self._from_front = 0
        self.passed = 0
        """How many went from the front since this process follows the line."""

    @property
    def moves(self) -> tuple[Sequence[int], Sequence[int], int]:
        """Since they were added up last: the scores of the places that came in and that went, in order, and how many
        went from the front.
        """
        return self._came, self._went, self._from_front

    @property
    def is_long(self) -> bool:
        return len(self._came) + len(self._went) > MOVES_MAX

    def moved_before(self, score: int) -> int:
        """How many came in before a place, less those who went, since the moves were added up last."""
        return bisect_left(self._came, score) - bisect_left(self._went, score) - self._from_front

    def take(self, sign: str, number: int) -> None:
        if sign == "f":
            self._from_front += number
            self.passed += number
        else:
            insort(self._came if sign == "+" else self._went, number)

    def forget_moves(self) -> None:
        self._came.clear()
        self._went.clear()
        self._from_front = 0

    def at(self, score: int) -> list[int]:
        """The fans whose places have that score."""
        found = []
        for at in range(bisect_left(self.fans, (score,)), len(self.fans)):
            if self.fans[at][0] != score:
                break
            found.append(self.fans[at][1])
        return found


class EventRanks:
    """The ranks of the fans of one event whose streams are here."""

    def __init__(self, line: Line, event_id: int) -> None:
        self._line = line
        self._event_id = event_id
        self._mark = Mark()
        self._counted: dict[int, _Counted] = {}
        self._orders = {False: _Order(), True: _Order()}

    async def of(self, fans: Sequence[int]) -> Positions:
        """The true rank of each fan in the own class, as of now.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        answered: dict[int, tuple[int, bool]] = {}
        known = [fan for fan in fans if fan in self._counted]
        asked = [fan for fan in fans if fan not in self._counted]
        asked += random.sample(known, min(PROOFS, len(known)))
        waiting = 0
        while True:
            for chunk in list(chunks(asked, RANKS)) or [[]]:
                ranks = await self._line.ranks(self._event_id, self._mark, chunk)
                waiting = ranks.waiting
                self._take(ranks, chunk, answered)
            asked = [fan for fan in fans if fan not in self._counted and fan not in answered]
            if not asked:
                break
        return self._positions(fans, waiting, answered)

    def _positions(self, fans: Sequence[int], waiting: int, answered: Mapping[int, tuple[int, bool]]) -> Positions:
        """This is the hot loop, so it calls as little as it can."""
        counted_of = self._counted.get
        orders = [self._orders[priority].moves for priority in (False, True)]
        ranks: list[int] = []
        preferred: list[int] = []
        for at, fan in enumerate(fans):
            counted = counted_of(fan)
            if counted is None:
                rank, priority = answered.get(fan, NOT_IN_LINE)
            else:
                score, priority, base = counted
                came, went, from_front = orders[priority]
                rank = base + bisect_left(came, score) - bisect_left(went, score) - from_front
            ranks.append(rank)
            if priority:
                preferred.append(at)
        return Positions(waiting, ranks, frozenset(preferred))

    def passed(self, *, priority: bool) -> int:
        """How many of a class went from the front since this process follows it; the count may begin again."""
        return self._orders[priority].passed

    def forget(self, fan: int) -> None:
        """The fan has no stream here any more, or must be asked for anew."""
        counted = self._counted.pop(fan, None)
        if counted is not None:
            in_order = self._orders[counted.priority].fans
            del in_order[bisect_left(in_order, (counted.score, fan))]

    def forget_all(self) -> None:
        """All must be asked for anew, because moves may have been missed."""
        self._counted.clear()
        self._orders = {False: _Order(), True: _Order()}

    def _take(self, ranks: Ranks, asked: Sequence[int], answered: dict[int, tuple[int, bool]]) -> None:
        self._mark = ranks.mark
        if ranks.moves is None:
            self.forget_all()
        else:
            self._follow(ranks.moves)
        found = [(rank, score, at in ranks.priority) for at, (rank, score) in enumerate(ranks.ranks)]
        for fan, (rank, _, priority) in zip(asked, found, strict=True):
            counted = self._rank(fan)
            if counted is not None and counted != (rank, priority):
                logger.info("event %d: ranks were counted wrongly, all are asked anew", self._event_id)
                self.forget_all()
                break
        for fan, (rank, score, priority) in zip(asked, found, strict=True):
            answered[fan] = rank, priority
            if rank >= 0 and fan not in self._counted:
                order = self._orders[priority]
                insort(order.fans, (score, fan))
                self._counted[fan] = _Counted(score, priority, rank - order.moved_before(score))

    def _rank(self, fan: int) -> tuple[int, bool] | None:
        counted = self._counted.get(fan)
        if counted is None:
            return None
        return counted.base + self._orders[counted.priority].moved_before(counted.score), counted.priority

    def _follow(self, moves: bytes) -> None:
        for record in moves.decode().split(";")[:-1]:
            for move in record.split(" ")[1:]:
                if move == "r":
                    self.forget_all()
                else:
                    self._move(self._orders[move[0] == "p"], move[1], int(move[2:]))
        for order in self._orders.values():
            if order.is_long:
                self._add_up(order)

    def _move(self, order: _Order, sign: str, number: int) -> None:
        order.take(sign, number)
        if sign == "f":
            # Who is counted to be before the first has gone with them.
            while order.fans and self._is_gone(order.fans[0][1]):
                self.forget(order.fans[0][1])
        else:
            for fan in order.at(number):
                self.forget(fan)

    def _is_gone(self, fan: int) -> bool:
        rank = self._rank(fan)
        return rank is not None and rank[0] < 0

    def _add_up(self, order: _Order) -> None:
        for score, fan in order.fans:
            counted = self._counted[fan]
            self._counted[fan] = counted._replace(base=counted.base + order.moved_before(score))
        order.forget_moves()
