"""Many fans ask for the best seats of a large hall, until it is full."""

from __future__ import annotations

import random

from booking_lane.commands import Command
from db.events.seed import RoomSeed
from tests.factories import make_event, one_type, plan_event
from tests.integration.engine.books import Books, bodies
from tests.unit.booking_lane.asks import best

FANS, ROWS, SEATS = 160, 80, 100


def test_160_fans_fill_8000_seats_and_nobody_is_refused_whom_a_row_could_seat(books: Books) -> None:
    hall = (one_type("Hall", rows=ROWS, seats_per_row=SEATS),)
    event = make_event(books.database_url, plan_event(hall=hall, room=RoomSeed(state="off"), seats_per_fan_max=1000))
    engine, generator = books.engine(), random.Random(8000)
    rows = ["#" * SEATS for _ in range(ROWS)]
    free, refused = ROWS * SEATS, 0
    while free:
        # Near the end more fans ask for single seats, so that the hall fills up.
        largest = 8 if free > 200 else 2
        asked = [generator.randint(1, largest) for _ in range(FANS)]
        commands: list[Command] = [best(event, fan, 1, quantity) for fan, quantity in enumerate(asked, 1)]
        for quantity, answer in zip(asked, bodies(engine.apply(commands), *commands), strict=True):
            if "code" in answer:
                assert answer["code"] in ("no_block", "sold_out")
                assert not any("#" * quantity in row for row in rows), f"{quantity} seats side by side are free"
                refused += 1
                continue
            seats = sorted((seat["rowNumber"], seat["seatNumber"]) for seat in answer["seats"])
            (row, first), count = seats[0], len(seats)
            assert (count, seats) == (quantity, [(row, first + step) for step in range(quantity)])
            assert rows[row - 1][first - 1 : first - 1 + count] == "#" * count, "given once"
            rows[row - 1] = rows[row - 1][: first - 1] + "." * count + rows[row - 1][first - 1 + count :]
            free -= count
    assert set("".join(rows)) == {"."}
    assert refused < FANS * 2
