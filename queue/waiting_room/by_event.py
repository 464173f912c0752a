"""What is asked of events' rooms, gathered for each event: one script answers many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError

from db.gathering import GATHERED_MAX, Gathering

EVENTS_MAX: Final = 1000
"""Of so many events at a time what was gathered is remembered; beyond it the idle ones are forgotten."""
TRIPS_UNDER_WAY_MAX: Final = 2
"""Of one event. With one alone half of the fans who come together would wait for a trip that is none of theirs."""

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class ByEvent(Generic[Question, Answer]):
    """While `TRIPS_UNDER_WAY_MAX` trips of an event have no answer, its questions gather, and leave together then.

    Args:
        ask_all: asks an event's questions, as `db.gathering.Gathering` does.
        together_max: a group has so many questions at most.
    """

    def __init__(
        self,
        ask_all: Callable[[int, Sequence[Question]], Awaitable[Sequence[Answer | Exception]]],
        *,
        together_max: int = GATHERED_MAX,
    ) -> None:
        self._ask_all = ask_all
        self._together_max = together_max
        self._of_events: dict[int, Gathering[Question, Answer]] = {}

    def ask(self, event: int, question: Question) -> asyncio.Future[Answer]:
        """The answer, which comes later; a `redis.RedisError` where Redis gives none."""
        gathering = self._of_events.get(event) or self._of_event(event)
        return gathering.ask(question)

    def _of_event(self, event: int) -> Gathering[Question, Answer]:
        if len(self._of_events) >= EVENTS_MAX:
            self._of_events = {one: kept for one, kept in self._of_events.items() if not kept.is_idle}
        made: Gathering[Question, Answer] = Gathering(
            partial(self._ask_all, event),
            given_up,
            under_way_max=TRIPS_UNDER_WAY_MAX,
            together_max=self._together_max,
        )
        self._of_events[event] = made
        return made


def given_up() -> Exception:
    return RedisConnectionError("given up before Redis answered")
