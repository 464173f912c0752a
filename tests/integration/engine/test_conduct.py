"""What Postgres counts of fans and networks, over holds that lapse, are given back, and are bought."""

from __future__ import annotations

from typing import Any

import msgspec

from booking_lane.commands import Command, Proof
from db.booking.conduct import NETWORK_LIMITS_OFF, READ_NETWORKS, READ_PICTURE, NetworkRow, PictureRow
from db.booking.fans import READ_FANS, FanRow, fan_key
from tests.integration.engine.books import GRACE_SECONDS, HOLD_SECONDS, Books, bodies
from tests.unit.booking_lane.asks import best, cancel, checkout, release, sweep
from workers.engine.statements import run

NETWORK = "198.51.100.0/24"


def of_network(command: Any, proof: Proof = Proof.NONE, network: str = NETWORK) -> Any:
    return msgspec.structs.replace(command, network=network, proof=int(proof))


class Counted:
    """An event whose holds all come from one network, which is bounded."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.event = books.event
        books.connection.execute("UPDATE room SET network_limits_max = 2 WHERE event_id = %s", (self.event,))
        self.engine = books.engine()

    def do(self, command: Command) -> dict[str, Any]:
        (answer,) = bodies(self.engine.apply([command]), command)
        return answer

    def hold(self, fan: int, quantity: int, proof: Proof = Proof.NONE) -> dict[str, Any]:
        return self.do(of_network(best(self.event, fan, 1, quantity), proof))

    def network(self) -> tuple[int, float]:
        rows = self._read(READ_NETWORKS, {"event_id": self.event, "networks": [NETWORK]})
        found = NetworkRow._make(rows[0]) if rows else NetworkRow(self.event, NETWORK, 0, 0.0)
        return found.seats, round(found.unbought_seats, 2)

    def unbought(self, fan: int) -> float:
        (row,) = self._read(READ_FANS, fan_key(self.event, fan))
        return round(FanRow._make(row).unbought_in_all(), 2)

    def _read(self, statement: str, key: Any) -> list[tuple[Any, ...]]:
        """What the engine reads by this key of the event, where it reads it."""
        rows = msgspec.json.encode([key]).decode()
        with self.engine._transaction([sweep(self.event)]) as ours:
            ours.begin()
            found = run(ours.connection, statement, rows=rows).fetchall()
            ours.commit()
        return found


def test_a_networks_seats_count_while_held_or_bought_without_a_proof(books: Books) -> None:
    counted = Counted(books)
    held = [counted.hold(fan, 10) for fan in (1, 2)]
    assert counted.hold(3, 1)["code"] == "captcha_required"
    assert counted.hold(3, 5, Proof.FRESH)["seats"], "a proof lifts it"
    assert counted.network() == (20, 0.0)
    buy = checkout(counted.event, 1, hold=held[0]["reservationId"])
    assert counted.do(of_network(buy, Proof.FRESH))["purchaseId"], "a page's checkout proves its fan"
    assert counted.network() == (10, 0.0)
    buy = checkout(counted.event, 2, hold=held[1]["reservationId"])
    purchase = counted.do(of_network(buy))["purchaseId"]
    assert counted.network() == (10, 0.0)
    counted.do(cancel(counted.event, 2, purchase))
    assert counted.network() == (10, 0.0), "to cancel and buy again frees nothing"
    assert counted.unbought(2) == 1.0


def test_holds_count_by_the_part_of_their_life_that_they_blocked(books: Books) -> None:
    counted = Counted(books)
    at_once = counted.hold(1, 4)
    counted.do(release(counted.event, 1, at_once["reservationId"]))
    assert (counted.unbought(1), counted.network()) == (0.0, (0, 0.0))
    late = counted.hold(1, 4)
    books.pass_time(HOLD_SECONDS / 2)
    counted.do(release(counted.event, 1, late["reservationId"]))
    assert (counted.unbought(1), counted.network()) == (0.5, (0, 2.0))
    counted.hold(1, 4)
    books.pass_time(HOLD_SECONDS + GRACE_SECONDS + 1)
    assert (counted.unbought(1), counted.network()) == (1.5, (0, 6.0)), "before the sweep"
    counted.engine.apply([sweep(counted.event)])
    assert (counted.unbought(1), counted.network()) == (1.5, (0, 6.0)), "and after it"


def test_a_fan_who_lets_holds_lapse_needs_a_proof_for_each_more(books: Books) -> None:
    counted = Counted(books)
    for _ in range(3):
        assert counted.hold(1, 1)["seats"]
        books.pass_time(HOLD_SECONDS + GRACE_SECONDS + 1)
        counted.engine.apply([sweep(counted.event)])
    assert counted.hold(1, 1)["code"] == "captcha_required"
    assert counted.hold(1, 1, Proof.STANDS)["code"] == "captcha_required"
    assert counted.hold(1, 1, Proof.FRESH)["seats"]


def test_a_networks_seats_are_counted_on_from_batch_to_batch_and_anew_where_another_worker_booked(books: Books) -> None:
    counted = Counted(books)
    mine, other = counted.engine, books.engine()
    assert counted.hold(1, 4)["seats"]
    kept = mine._kept_networks
    held = counted.hold(2, 4)
    counts = kept.take(counted.event, books.version())
    assert counts.seats == {NETWORK: 8}, "counted on"
    assert kept.due(counts, {NETWORK, "203.0.113.0/24"}) == ["203.0.113.0/24"], "and not read"
    counted.do(release(counted.event, 2, held["reservationId"]))
    counted.hold(3, 4)
    assert counted.network()[0] == 8
    counted.engine = other
    counted.hold(4, 8)
    counted.engine = mine
    assert counted.hold(5, 5)["code"] == "captcha_required", "the other worker's eight are known"
    assert counted.hold(5, 4)["seats"]


def test_a_hold_that_is_bought_in_its_grace_counts_with_its_network_again(books: Books) -> None:
    counted = Counted(books)
    held = counted.hold(1, 6)
    books.pass_time(HOLD_SECONDS + 1)
    counted.engine = books.engine()
    counted.hold(2, 3)
    assert counted.network() == (3, 6.0), "read while the first is in its grace"
    assert counted.do(of_network(checkout(counted.event, 1, hold=held["reservationId"])))["purchaseId"]
    kept = counted.engine._kept_networks.take(counted.event, books.version()).seats
    assert kept == {NETWORK: counted.network()[0]} == {NETWORK: 9}


def test_a_bound_that_an_operator_sets_counts_what_was_held_before(books: Books) -> None:
    counted = Counted(books)
    set_limits = "UPDATE room SET network_limits_max = %s WHERE event_id = %s"
    books.connection.execute(set_limits, (NETWORK_LIMITS_OFF, counted.event))
    assert counted.hold(1, 10)["seats"]
    assert counted.hold(2, 10)["seats"]
    books.connection.execute(set_limits, (2, counted.event))
    assert counted.hold(3, 1)["code"] == "captcha_required"


def test_a_network_buys_two_limits_worth_without_proofs_however_large_the_hall(books: Books) -> None:
    """Of 404 seats it may hold 161."""
    books.connection.execute("UPDATE room SET network_limits_max = 0 WHERE event_id = %s", (books.event,))
    engine = books.engine()

    def do(command: Any, fan: int, proof: Proof = Proof.NONE) -> dict[str, Any]:
        command = of_network(command, proof, "203.0.113.0/24" if fan == 9 else NETWORK)
        (answer,) = bodies(engine.apply([command]), command)
        return answer

    held = {fan: do(best(books.event, fan, 1, 4), fan)["reservationId"] for fan in (*range(1, 8), 9)}
    bought = [do(checkout(books.event, fan, hold=held[fan]), fan).get("code", "bought") for fan in range(1, 7)]
    assert bought == ["bought"] * 5 + ["captcha_required"]
    assert do(checkout(books.event, 9, hold=held[9]), 9)["purchaseId"], "another network's"
    assert do(checkout(books.event, 6, hold=held[6]), 6, Proof.FRESH)["purchaseId"], "a proof of its own lifts it"
    both = [of_network(best(books.event, 10, 1, 1)), of_network(checkout(books.event, 7, hold=held[7]))]
    assert [one.get("code", "held") for one in bodies(engine.apply(both), *both)] == ["held", "captcha_required"]


def test_large_holds_of_several_networks_block_a_twentieth_of_the_hall(books: Books) -> None:
    """404 seats: 20 of them."""
    books.connection.execute("UPDATE room SET network_limits_max = 0 WHERE event_id = %s", (books.event,))
    engine = books.engine()

    def hold(fan: int, network: int, quantity: int, proof: Proof = Proof.NONE) -> Any:
        return of_network(best(books.event, fan, 1, quantity), proof, f"198.51.{network}.0/24")

    def do(*commands: Any) -> list[str]:
        return [one.get("code", "held") for one in bodies(engine.apply(commands), *commands)]

    assert do(hold(1, 1, 10)) == ["held"]
    assert do(hold(2, 2, 10), hold(3, 3, 5)) == ["held", "captcha_required"], "in one batch as in two"
    assert do(hold(4, 1, 5)) == ["captcha_required"], "nor has a network more for having been first"
    assert do(hold(5, 3, 4), hold(6, 4, 2)) == ["held", "held"], "what most fans take is not asked for a proof"
    assert do(hold(7, 3, 10, Proof.FRESH)) == ["held"]
    books.pass_time(HOLD_SECONDS + 1)
    assert do(hold(8, 3, 10)) == ["captcha_required"], "in their grace holds block their seats still"
    assert do(hold(1, 1, 10)) == ["held"], "a fan's own stand not in the way"
    assert do(hold(8, 3, 10)) == ["captcha_required"]
    books.pass_time(HOLD_SECONDS + GRACE_SECONDS + 1)
    engine.apply([sweep(books.event)])
    assert do(hold(8, 3, 10), hold(9, 3, 10), hold(10, 3, 10)) == ["held"] * 3, "one network alone has its own bound"
    assert do(hold(11, 4, 5)) == ["captcha_required"]


def test_the_picture_tells_what_came_from_each_network(books: Books) -> None:
    counted = Counted(books)
    counted.hold(1, 4)
    counted.hold(2, 2, Proof.FRESH)
    rows = books.connection.execute(READ_PICTURE, {"event_id": counted.event, "networks_max": 5}).fetchall()
    assert [PictureRow(*row.values()) for row in rows] == [PictureRow(NETWORK, 2, 1, 0, 4, 0.0, 6)]
