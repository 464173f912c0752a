"""The bank of a benchmark with payments: it pays what the test provider opened, and posts the notices of it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from bench.client import Address, answer_of, request, run
from bench.servers import SECRET, System
from payments.notices import TEST_SIGNATURE, test_signature

BANK: Final = "bench-bank"
"""How Postgres lists the bank's connection."""
LOOK_SECONDS: Final = 0.05
NOTICES_AT_ONCE: Final = 64
AGAIN_SECONDS: Final = 1.0
"""Providers send a notice again that was not answered by 200, though later than this."""
TRIES_MAX: Final = 60
PAY: Final = """
UPDATE provider_intent i
   SET state = 'captured', captured_amount = i.amount
  FROM payment p
 WHERE p.event_id = i.event_id AND p.payment_id = i.payment_id AND p.state = 'open' AND i.state = 'open'
RETURNING i.event_id, i.payment_id
"""


class Bank:
    """Pays at once, in a thread of its own, and tells the gateways of the payments in turn, as a provider does behind
    whose address they stand. The fans read no page to pay.
    """

    def __init__(self, system: System, gateways: Sequence[Address]) -> None:
        self._system = system
        self._gateways = itertools.cycle(gateways)
        self._end = threading.Event()
        self._failure: BaseException | None = None
        self.sent_again: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Pay no more.

        Raises:
            RuntimeError: a notice was refused, so that the sale was not the one that was to be measured.
        """
        self._end.set()
        self._thread.join()
        if self._failure is not None:
            raise RuntimeError("the bank stopped") from self._failure

    def _work(self) -> None:
        try:
            run(self._pay())
        except BaseException as failure:
            self._failure = failure

    async def _pay(self) -> None:
        turn = asyncio.Semaphore(NOTICES_AT_ONCE)
        async with asyncio.TaskGroup() as notices:
            with self._system.connect() as connection:
                connection.execute("SELECT set_config('application_name', %s, false)", (BANK,))
                while not self._end.is_set():
                    for event_id, payment_id in connection.execute(PAY).fetchall():
                        body = msgspec.json.encode({"eventId": event_id, "paymentId": payment_id})
                        notices.create_task(self._notify(turn, body))
                    await asyncio.sleep(LOOK_SECONDS)

    async def _notify(self, turn: asyncio.Semaphore, body: bytes) -> None:
        signed = f"{TEST_SIGNATURE}: {test_signature(SECRET, body)}"
        notice = request("POST", "/api/payments/test/notices", signed, body=body)
        for _ in range(TRIES_MAX):
            async with turn:
                status, answer = await answer_of(next(self._gateways), notice)
            if status == 200:
                return
            self.sent_again[f"{status} {answer[:200]!r}"] += 1
            await asyncio.sleep(AGAIN_SECONDS)
        raise RuntimeError(f"a notice was not taken in {TRIES_MAX} tries: {self.sent_again}")
