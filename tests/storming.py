"""Sixty-four clients storm the same twenty seats: shared by the storm and by its negative controls."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from admitone.fan.seats import Seat, seats_of
from tests.client import Answer, Fan, solve_captcha

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


def storm(fans: Sequence[Fan], event_id: int, gateways: Sequence[str], *, buy: bool = True) -> Storm:
    """All at once, each fan tries `TRIES` seats in turn until one is held, each fan from another seat on.

    With ``buy`` those who hold a seat then buy it, all at once too, and impatiently: each sends the same
    checkout to every one of ``gateways``.
    """
    found = Storm()
    lock = threading.Lock()
    start = threading.Barrier(len(fans))

    def reserve(number: int) -> str:
        start.wait(30)
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
        return ""

    with ThreadPoolExecutor(len(fans)) as pool:
        reservation_ids = list(pool.map(reserve, range(len(fans))))
    if not buy:
        return found
    clicks = [
        (clicker, reservation_id, solve_captcha(fan))
        for fan, reservation_id in zip(fans, reservation_ids, strict=True)
        if reservation_id
        for clicker in map(fan.at, gateways)
    ]
    click_start = threading.Barrier(len(clicks))

    def checkout(click: tuple[Fan, str, str]) -> None:
        fan, reservation_id, captcha = click
        click_start.wait(30)
        answer = fan.checkout(event_id, reservation_id, captcha=captcha, wait=30)
        with lock:
            found.answers.append(answer)
            found.checkouts[answer.code or "bought"] += 1
            if not answer.code:
                found.purchases[answer.result["purchaseId"]] = seats_of(answer.result["details"])

    with ThreadPoolExecutor(len(clicks)) as pool:
        list(pool.map(checkout, clicks))
    return found
