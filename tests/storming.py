"""Sixty-four clients storm the same twenty seats: shared by the storm and by its negative controls."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.client import Answer, Fan, Seat, seats_of, solve_captcha

FANS = 64
SEATS: tuple[Seat, ...] = tuple((1, row, number) for row in (1, 2) for number in range(1, 11))
TRIES = 4
"""Three fans or more begin at each seat: so every seat finds its fan, and most fans find none."""


@dataclass
class Storm:
    """What the fans were told: how often each answer came, who was promised what."""

    reserves: Counter[str] = field(default_factory=Counter)
    checkouts: Counter[str] = field(default_factory=Counter)
    held: Counter[Seat] = field(default_factory=Counter)
    purchases: dict[str, list[Seat]] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)

    @property
    def bought(self) -> Counter[Seat]:
        """In how many told purchases each seat is."""
        return Counter(seat for seats in self.purchases.values() for seat in seats)


def storm(fans: Sequence[Fan], event_id: int, *, also_at: str = "", buy: bool = True) -> Storm:
    """All at once, each fan tries `TRIES` seats in turn until one is held, each fan from another seat on.

    With ``buy`` those who hold a seat buy it, impatiently: the same checkout at the gateway ``also_at`` as well.
    """
    found = Storm()
    lock = threading.Lock()
    start = threading.Barrier(len(fans))
    captchas = [(solve_captcha(fan), solve_captcha(fan)) for fan in fans]

    def reserve(number: int) -> str | None:
        for step in range(TRIES):
            seat = SEATS[(number + step) % len(SEATS)]
            answer = fans[number].reserve(event_id, [seat], wait=30)
            with lock:
                found.answers.append(answer)
                found.reserves[answer.code or "held"] += 1
                found.held[seat] += not answer.code
            if not answer.code:
                reservation_id: str = answer.result["reservationId"]
                return reservation_id
        return None

    def checkout(fan: Fan, reservation_id: str, captcha: str) -> None:
        answer = fan.checkout(event_id, reservation_id, captcha=captcha, wait=30)
        with lock:
            found.answers.append(answer)
            found.checkouts[answer.code or "bought"] += 1
            if not answer.code:
                found.purchases[answer.result["purchaseId"]] = seats_of(answer.result["details"])

    def storm_in(number: int) -> None:
        start.wait(30)
        reservation_id = reserve(number)
        if reservation_id is None or not buy:
            return
        fan, (first, second) = fans[number], captchas[number]
        with ThreadPoolExecutor(2) as clicks:
            twice = (
                clicks.submit(checkout, fan, reservation_id, first),
                clicks.submit(checkout, fan.at(also_at or fan.url), reservation_id, second),
            )
            for click in twice:
                click.result()

    with ThreadPoolExecutor(len(fans)) as pool:
        list(pool.map(storm_in, range(len(fans))))
    return found
