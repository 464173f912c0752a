"""Questions to a server that are asked in one turn of the event loop leave together and share one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar

GATHERED_MAX: Final = 500
"""At most this many questions share a round trip, unless fewer are said, so that a slow one delays a bounded number."""

Question = TypeVar("Question")
Answer = TypeVar("Answer")
_Asked = Sequence[tuple[Question, "asyncio.Future[Answer]"]]


async def answers_in_turn(*asked: Awaitable[Any]) -> list[Any]:
    """The answers to questions that were asked already, or are asked without waiting for one before. It is
    `asyncio.gather` without a task for each, which costs as much as a question.

    Raises:
        Exception: that of the first which failed, once all have their answers.
    """
    answers: list[Any] = []
    failed: Exception | None = None
    for one in asked:
        try:
            answers.append(await one)
        except Exception as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return answers


class Gathering(Generic[Question, Answer]):
    """Gathers questions. None waits longer for it than until the loop's next turn, or until a group before it has its
    answers (``under_way_max``).

    Args:
        ask_all: asks them together; it gives an answer, or the exception that is one, for each. What it raises is the
            answer to all. A future costs less than a coroutine.
        given_up: makes the answer of those whose asking was cancelled, as it is by a loop that ends.
        under_way_max: while so many groups have no answer, gather on. Under load questions then leave in fewer and
            larger groups, each at most one round trip later. None: any number.
        together_max: a group has so many questions at most.
    """

    def __init__(
        self,
        ask_all: Callable[[Sequence[Question]], Awaitable[Sequence[Answer | Exception]]],
        given_up: Callable[[], Exception],
        *,
        under_way_max: int | None = None,
        together_max: int = GATHERED_MAX,
    ) -> None:
        self._ask_all = ask_all
        self._given_up = given_up
        self._under_way_max = under_way_max
        self._together_max = together_max
        self._asked: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._is_due = False
        self.sending: set[asyncio.Future[Any]] = set()

    def ask(self, question: Question) -> asyncio.Future[Answer]:
        """The question's answer, which comes later."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        if not self._is_due and self._may_leave:
            self._is_due = True
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
        self._is_due = False
        asked, self._asked = self._asked, []
        for start in range(0, len(asked), self._together_max):
            together = asked[start : start + self._together_max]
            sending = self._begin(together)
            self.sending.add(sending)
            sending.add_done_callback(partial(self._on_sent, together))

    def _begin(self, asked: _Asked[Question, Answer]) -> asyncio.Future[Any]:
        """Ask these. What is returned is done, or cancelled, when they have their answers."""
        try:
            answers = self._ask_all([question for question, _ in asked])
        except Exception as error:
            _give(asked, [error] * len(asked))
            failed = asyncio.get_running_loop().create_future()
            failed.set_result(None)
            return failed
        if isinstance(answers, asyncio.Future):
            # Without a task: it would cost as much as all else that is done here, and the question a turn of the loop.
            answers.add_done_callback(partial(_on_answers, asked))
            return answers
        sending = asyncio.get_running_loop().create_task(self._send(asked, answers))
        if isinstance(answers, Coroutine):
            # A task that is cancelled before it begins leaves it unbegun.
            sending.add_done_callback(lambda _: answers.close())
        return sending

    def _on_sent(self, asked: _Asked[Question, Answer], sending: asyncio.Future[Any]) -> None:
        self.sending.discard(sending)
        if sending.cancelled():
            # A loop that ends cancels its tasks, some before they begin. Who asked must not wait for ever then.
            if self._under_way_max is not None:
                asked = [*asked, *self._asked]
                self._asked = []
            _give(asked, [self._given_up() for _ in asked])
        elif self._asked and not self._is_due and self._may_leave:
            self._send_gathered()

    @staticmethod
    async def _send(asked: _Asked[Question, Answer], answers: Awaitable[Sequence[Answer | Exception]]) -> None:
        try:
            given = await answers
        except Exception as error:
            given = [error] * len(asked)
        _give(asked, given)


def _on_answers(asked: _Asked[Any, Any], answers: asyncio.Future[Sequence[Any]]) -> None:
    if not answers.cancelled():
        error = answers.exception()
        _give(asked, answers.result() if error is None else [error] * len(asked))


def _give(asked: _Asked[Question, Answer], answers: Sequence[Answer | BaseException]) -> None:
    for (_, waiting), answer in zip(asked, answers, strict=True):
        if waiting.done():
            continue
        if isinstance(answer, BaseException):
            waiting.set_exception(answer)
            # Who asked may have gone, being refused for another reason. That is not to be told as a fault.
            waiting.exception()
        else:
            waiting.set_result(answer)
