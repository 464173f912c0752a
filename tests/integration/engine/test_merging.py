"""Two accounts of one person are joined: at an event all is the one's, and nobody gets more than the limit by it."""

from __future__ import annotations

import itertools
import threading
import uuid
from typing import Any

import pytest
from rq.timeouts import JobTimeoutException

from booking_lane.commands import Command
from booking_lane.lane_map import Lanes
from db.booking.merging import EVENTS_OF_MERGING
from tests.integration.engine.books import Books, bodies, codes
from tests.integration.engine.test_payments import SEAT_PRICE, Till
from tests.unit.booking_lane.asks import best, cancel, checkout, leave, merge, reserve, take, wait

STAYS, GOES, FRIEND = 7, 8, 9
LIMIT = 4


def seats(row: int, count: int) -> list[tuple[int, int, int]]:
    return [(1, row, number) for number in range(1, count + 1)]


@pytest.fixture
def limited(books: Books) -> Books:
    books.event = books.event_new(seats_per_fan_max=LIMIT)
    return books


def apply(books: Books, *commands: Command) -> list[dict[str, Any]]:
    return bodies(books.engine().apply(commands), *commands)


def hold(books: Books, fan: int, row: int, count: int) -> uuid.UUID:
    (held,) = apply(books, reserve(books.event, fan, *seats(row, count)))
    return uuid.UUID(held["reservationId"])


def buy(books: Books, fan: int, row: int, count: int) -> uuid.UUID:
    *_, bought = apply(books, checkout(books.event, fan, hold=hold(books, fan, row, count)))
    return uuid.UUID(bought["purchaseId"])


def of_fans(books: Books, table: str) -> list[int]:
    statement: Any = f"SELECT user_id FROM {table} WHERE event_id = %s ORDER BY 1"
    return [row["user_id"] for row in books.rows(statement, books.event)]


def states(books: Books) -> dict[uuid.UUID, str]:
    return {row["reservation_id"]: row["state"] for row in books.rows("SELECT * FROM reservation")}


def left(books: Books) -> list[int]:
    """The events at which a sweep still finds something of the account that goes."""
    which = {**Lanes(1).of_lane(0), "user_ids": [GOES], "events_max": 10}
    return [row["event_id"] for row in books.connection.execute(EVENTS_OF_MERGING, which)]


def test_all_that_the_other_has_is_the_fans(books: Books) -> None:
    purchase, held = buy(books, GOES, 1, 2), hold(books, GOES, 2, 3)
    buy(books, STAYS, 3, 1)
    assert left(books) == [books.event]
    books.engine().apply([merge(books.event, STAYS, GOES)])
    assert left(books) == []
    assert of_fans(books, "purchase") == [STAYS, STAYS]
    assert of_fans(books, "reservation") == [STAYS, STAYS, STAYS]
    ask = checkout(books.event, STAYS, hold=held), cancel(books.event, STAYS, purchase, (1, 1, 1))
    assert codes(books.engine().apply(ask), *ask) == ["ok", "ok"]
    assert codes(books.engine().apply([late := checkout(books.event, GOES, hold=held)]), late) == ["not_your_hold"]
    changed = books.everything()
    books.engine().apply([merge(books.event, STAYS, GOES)])
    assert books.everything() == changed, "done twice is done once"


def test_what_both_bought_stays_and_counts(limited: Books) -> None:
    buy(limited, GOES, 1, 3), buy(limited, STAYS, 2, 3)
    limited.engine().apply([merge(limited.event, STAYS, GOES)])
    assert of_fans(limited, "purchase") == [STAYS, STAYS]
    ask = best(limited.event, STAYS, 1, 1)
    assert codes(limited.engine().apply([ask]), ask) == ["limit_exceeded"]


@pytest.mark.parametrize(("bought_by", "held_by"), [(GOES, STAYS), (STAYS, GOES)])
def test_held_seats_beyond_the_limit_go_back(limited: Books, bought_by: int, held_by: int) -> None:
    buy(limited, bought_by, 1, 3)
    fits, beyond = hold(limited, held_by, 2, 1), hold(limited, held_by, 3, 3)
    limited.engine().apply([merge(limited.event, STAYS, GOES)])
    assert (states(limited)[fits], states(limited)[beyond]) == ("held", "released")
    free = best(limited.event, FRIEND, 1, 1)
    assert codes(limited.engine().apply([free]), free) == ["ok"]
    assert (1, 3, 1) not in limited.statuses()


def test_what_is_being_paid_is_booked_for_the_fan_and_counts(books: Books) -> None:
    books.event = books.event_new(payments="test", seats_per_fan_max=LIMIT)
    till = Till(books, books.engine())
    paying, beyond = [till.hold(fan, *seats(fan, 3)) for fan in (GOES, STAYS)]
    _, payment = till.check_out(GOES, paying)
    books.engine().apply([merge(books.event, STAYS, GOES)])
    assert states(books)[beyond] == "released", "the payment counts first"
    till.pay(payment, 3 * SEAT_PRICE)
    till.confirm(payment, paying, *seats(GOES, 3), fan=STAYS)
    assert (till.row(payment)["state"], till.row(payment)["user_id"]) == ("booked", STAYS)
    assert of_fans(books, "purchase") == [STAYS]


def test_own_holds_stay_where_the_other_has_no_seats(limited: Books) -> None:
    kept = hold(limited, STAYS, 1, 4)
    limited.connection.execute("UPDATE event SET seats_per_fan_max = 2")
    limited.engine().apply([merge(limited.event, STAYS, GOES)])
    assert states(limited)[kept] == "held"
    limited.connection.execute("UPDATE event SET seats_per_fan_max = 4")


def test_the_limit_of_a_ticket_type_counts_for_both(books: Books) -> None:
    books.connection.execute("UPDATE ticket SET seats_per_fan_max = 3 WHERE ticket_type_id = 1")
    buy(books, STAYS, 1, 2)
    beyond = hold(books, GOES, 2, 2)
    books.engine().apply([merge(books.event, STAYS, GOES)])
    assert states(books)[beyond] == "released"


def test_a_ticket_that_one_gave_the_other_is_the_buyers(books: Books) -> None:
    purchase = buy(books, GOES, 1, 2)
    apply(books, take(books.event, STAYS, purchase, (1, 1, 1)), take(books.event, FRIEND, purchase, (1, 1, 2)))
    books.engine().apply([merge(books.event, STAYS, GOES)])
    rows = books.rows("SELECT holder_user_id FROM purchase_detail ORDER BY seat_number")
    assert [row["holder_user_id"] for row in rows] == [None, FRIEND]


def test_a_ticket_that_the_other_took_is_the_fans(books: Books) -> None:
    purchase = buy(books, FRIEND, 1, 1)
    apply(books, take(books.event, GOES, purchase, (1, 1, 1)))
    books.engine().apply([merge(books.event, STAYS, GOES)])
    assert left(books) == []
    assert [row["holder_user_id"] for row in books.rows("SELECT * FROM purchase_detail")] == [STAYS]


@pytest.mark.parametrize(("first", "second"), [(GOES, STAYS), (STAYS, GOES)])
def test_the_earlier_of_two_entries_stays(books: Books, first: int, second: int) -> None:
    books.connection.execute("UPDATE room SET waiting_list = true WHERE event_id = %s", (books.event,))
    vip = [(2, 1, number) for number in range(1, 5)]
    apply(books, reserve(books.event, FRIEND, *vip), checkout(books.event, FRIEND, *vip))
    apply(books, wait(books.event, first, 2, 1), wait(books.event, second, 2, 2))
    books.engine().apply([merge(books.event, STAYS, GOES)])
    rows = books.rows("SELECT number, user_id, state FROM waiting_entry ORDER BY number")
    assert [tuple(row.values()) for row in rows] == [(1, STAYS, "waiting"), (2, STAYS, "left")]
    assert codes(books.engine().apply([ask := leave(books.event, STAYS)]), ask) == ["ok"]


def test_an_offer_beats_a_place_in_the_list(books: Books) -> None:
    books.connection.execute("UPDATE room SET waiting_list = true WHERE event_id = %s", (books.event,))
    vip = [(2, 1, number) for number in range(1, 5)]
    *_, bought = apply(books, reserve(books.event, FRIEND, *vip), checkout(books.event, FRIEND, *vip))
    apply(books, wait(books.event, STAYS, 2, 4), wait(books.event, GOES, 2, 1))
    apply(books, cancel(books.event, FRIEND, bought["purchaseId"], vip[0]))
    books.engine().apply([merge(books.event, STAYS, GOES)])
    rows = books.rows("SELECT number, user_id, state FROM waiting_entry ORDER BY number")
    assert [tuple(row.values()) for row in rows] == [(1, STAYS, "left"), (2, STAYS, "offered")]
    assert of_fans(books, "reservation") == [STAYS, FRIEND]


@pytest.mark.parametrize("point", ["locked", "decided", "written", "committed"])
def test_a_worker_that_dies_leaves_all_or_nothing(limited: Books, point: str) -> None:
    buy(limited, GOES, 1, 3)
    beyond = hold(limited, STAYS, 2, 3)
    before = limited.everything()

    def die(at: str) -> None:
        if at == point:
            raise JobTimeoutException

    with pytest.raises(JobTimeoutException):
        limited.engine(probe=die).apply([merge(limited.event, STAYS, GOES)])
    assert (limited.everything() == before) == (point != "committed")
    assert left(limited) == ([] if point == "committed" else [limited.event])
    limited.engine().apply([merge(limited.event, STAYS, GOES)])
    assert (states(limited)[beyond], left(limited)) == ("released", [])
    assert limited.number("SELECT count(*) FROM reservation WHERE merged_from = ARRAY[%s::bigint]", GOES) == 1


def test_both_reserve_while_they_are_joined(limited: Books) -> None:
    """Whatever comes first: at the end nobody has more than the limit in seats that can still be bought."""
    started = threading.Barrier(3)
    rows = itertools.count(1)
    codes_of: list[str] = []

    def reserving(fan: int) -> None:
        engine = limited.engine()
        asks = [reserve(limited.event, fan, *seats(next(rows), 2)) for _ in range(8)]
        started.wait()
        for ask in asks:
            codes_of.extend(codes(engine.apply([ask]), ask))

    threads = [threading.Thread(target=reserving, args=(fan,)) for fan in (STAYS, GOES)]
    for thread in threads:
        thread.start()
    started.wait()
    engine = limited.engine()
    for _ in range(5):
        engine.apply([merge(limited.event, STAYS, GOES)])
    for thread in threads:
        thread.join()
    engine.apply([merge(limited.event, STAYS, GOES)])
    assert codes_of.count("ok") >= 2
    assert left(limited) == []
    held = limited.number("SELECT coalesce(sum(cardinality(seat_numbers)), 0) FROM reservation WHERE state = 'held'")
    assert held <= LIMIT
