"""Questions to a server that are asked in one turn of the event loop leave together and share one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar

GATHERED_MAX: Final = 500
"""At most this many questions share a round trip, so that a slow one delays a bounded number of others."""

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Gathering(Generic[Question, Answer]):
    """Gathers questions. None waits longer for it than until the loop's next turn.

    Args:
        ask_all: asks them together; it gives an answer, or the exception that is one, for each. What it raises is the
            answer to all.
        given_up: makes the answer of those whose asking was cancelled, as it is by a loop that ends.
        under_way_max: while so many groups have no answer, gather on. Under load questions then leave in fewer and
            larger groups, each at most one round trip later. None: any number.
    """

    def __init__(
        self,
        ask_all: Callable[[Sequence[Question]], Awaitable[Sequence[Answer | Exception]]],
        given_up: Callable[[], Exception],
        *,
        under_way_max: int | None = None,
    ) -> None:
        self._ask_all = ask_all
        self._given_up = given_up
        self._under_way_max = under_way_max
        self._asked: list[tuple[Question, asyncio.Future[Answer]]] = []
        self.sending: set[asyncio.Task[None]] = set()

    def ask(self, question: Question) -> asyncio.Future[Answer]:
        """The question's answer, which comes later."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        if not self._asked and self._may_leave:
            loop.call_soon(self._send_gathered)
        self._asked.append((question, answer))
        return answer

    @property
    def _may_leave(self) -> bool:
        return self._under_way_max is None or len(self.sending) < self._under_way_max

    @property
    def is_idle(self) -> bool:
        """Whether no question waits for its answer."""
        return not self._asked and not self.sending

    def _send_gathered(self) -> None:
        asked, self._asked = self._asked, []
        for start in range(0, len(asked), GATHERED_MAX):
            together = asked[start : start + GATHERED_MAX]
            sending = asyncio.get_running_loop().create_task(self._send(together))
            self.sending.add(sending)
            sending.add_done_callback(partial(self._on_sent, together))

    def _on_sent(self, asked: Sequence[tuple[Any, asyncio.Future[Answer]]], sending: asyncio.Task[None]) -> None:
        self.sending.discard(sending)
        if sending.cancelled():
            # A loop that ends cancels its tasks, some before they begin. Who asked must not wait for ever then.
            if self._under_way_max is not None:
                asked = [*asked, *self._asked]
                self._asked = []
            for _, waiting in asked:
                if not waiting.done():
                    waiting.set_exception(self._given_up())
        elif self._under_way_max is not None and self._asked and self._may_leave:
            self._send_gathered()

    async def _send(self, asked: Sequence[tuple[Question, asyncio.Future[Answer]]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._ask_all([question for question, _ in asked])
        except Exception as error:
            answers = [error] * len(asked)
        for (_, waiting), answer in zip(asked, answers, strict=True):
            if waiting.done():
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
