"""Any sequence of batches on real Postgres, by two engines in turn, and on the model of `tests.unit.workers.model`.

One small hall an example, all in one database, which `db.audit.invariants` looks through when all are done.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from rq.timeouts import JobTimeoutException

from booking_lane.commands import Cancel, Command, Outcome, Sweep, command_id_for
from booking_lane.settings import HoldSettings
from tests.factories import OFF, PRICES, make_event, one_type, plan_event
from tests.integration.engine.books import body
from tests.unit.booking_lane.asks import best, cancel, checkout, merge, release, reserve, sweep
from tests.unit.workers.model import Model
from workers.engine.engine import Applied, Engine

HOLD_SECONDS, GRACE_SECONDS = 600, 15
CANCEL_UNTIL_HOURS = 24
SEATS = tuple([(1, row, seat) for row in (1, 2) for seat in (1, 2, 3, 4)] + [(2, 1, 1), (2, 1, 2)])
POINTS = ("locked", "decided", "written", "committed")
NOW_MS = 1_000_000
NOBODYS = uuid.UUID(int=9)

fans = st.integers(1, 3)
seats = st.lists(st.sampled_from((*SEATS, (1, 9, 9))), min_size=1, max_size=3, unique=True).map(
    lambda chosen: tuple(sorted(chosen))
)
which = st.integers(0, 8)
asks = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["reserve"] * 12 + ["buy seats", "buy seats", "late"]), fans, seats),
        st.tuples(st.just("best"), fans, st.tuples(st.sampled_from([1, 1, 1, 2, 2, 3]), st.integers(1, 4))),
        st.tuples(
            st.sampled_from(["buy own", "buy own", "buy", "buy own seats", "release own", "release"]), fans, which
        ),
        st.tuples(st.sampled_from(["cancel own", "cancel own", "cancel some", "cancel"]), fans, which),
        st.tuples(st.sampled_from(["again", "sweep"]), fans, which),
    ),
    min_size=1,
    max_size=6,
)


def hall_new(connection: psycopg.Connection[Any], seats_per_fan_max: int) -> int:
    hall = (one_type("Hall", rows=2, seats_per_row=4), one_type("VIP", price=PRICES[2], seats_per_row=2))
    return make_event(connection, plan_event(hall=hall, room=OFF, seats_per_fan_max=seats_per_fan_max))


class Faults:
    """Ends the job at a point, as RQ's limit of its time does, once it is set."""

    def __init__(self) -> None:
        self.point = ""

    def __call__(self, point: str) -> None:
        if point == self.point:
            self.point = ""
            raise JobTimeoutException


class EngineMachine(RuleBasedStateMachine):
    """``connection``, ``engines`` and their ``faults`` are set by `machine_on`."""

    connection: ClassVar[psycopg.Connection[tuple[Any, ...]]]
    engines: ClassVar[list[Engine]]
    faults: ClassVar[Faults]
    happened: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(PRICES, SEATS, 4, HOLD_SECONDS, GRACE_SECONDS, CANCEL_UNTIL_HOURS)
        self.told: dict[uuid.UUID, tuple[Command, dict[str, Any]]] = {}
        self.version = 0
        self.keys = 0
        self.cancelled = 0
        self.event = 0

    @initialize(seats_per_fan_max=st.sampled_from([4, 4, 10]))
    def open(self, seats_per_fan_max: int) -> None:
        self.event = hall_new(self.connection, seats_per_fan_max)
        self.model.seats_per_fan_max = seats_per_fan_max

    def teardown(self) -> None:
        """Undo what the audit would hold against the hall, not against the engine: no sweep came, a limit fell."""
        if self.event:
            self.pass_time(HOLD_SECONDS + GRACE_SECONDS)
            self._apply([sweep(self.event)], 0)
            self.change_limit(10)

    # -- what fans ask

    def _command(self, ask: tuple[str, int, Any]) -> Command:
        what, fan, which = ask
        earlier: Command
        event, holds = self.event, list(self.model.holds.items())
        key, hold = holds[-1 - which % len(holds)] if isinstance(which, int) and holds else (NOBODYS, None)
        owner = hold.fan if hold else fan
        self.keys += 1
        named: dict[str, Any] = {
            "command_id": command_id_for(fan, f"key {event}/{self.keys}"),
            "body_hash": b"one body's",
        }
        match what:
            case "reserve":
                return reserve(event, fan, *which, **named)
            case "late":
                return reserve(event, fan, *which, deadline_ms=NOW_MS - 1)
            case "best":
                return best(event, fan, *which, **named)
            case "buy seats":
                return checkout(event, fan, *which, **named)
            case "buy own":
                return checkout(event, owner, hold=key, **named)
            case "buy":
                return checkout(event, fan, hold=key, **named)
            case "buy own seats":
                return checkout(event, owner, *(hold.seats if hold else ((1, 1, 1),)), **named)
            case "release own":
                return release(event, owner, key, **named)
            case "release":
                return release(event, fan, key, **named)
            case "cancel own" | "cancel some" | "cancel":
                bought = [hold for _, hold in holds if hold.purchase_id]
                mine = bought[-1 - which % len(bought)] if bought else None
                buyer = fan if mine is None or what == "cancel" else mine.fan
                some = mine.seats[which % 2 :][: 1 + which % 2] if mine and what == "cancel some" else ()
                return cancel(event, buyer, str(mine.purchase_id) if mine else NOBODYS, *some, **named)
            case "again" if self.told:
                # The same key; what it asks this time must not matter.
                earlier, _ = list(self.told.values())[-1 - which % len(self.told)]
                if which % 2:
                    return earlier
                return reserve(event, earlier.user_id, SEATS[which % len(SEATS)], command_id=earlier.command_id)
            case _:
                return sweep(event)

    @rule(asked=asks, engine=st.integers(0, 1))
    def book(self, asked: list[tuple[str, int, Any]], engine: int) -> None:
        self._apply([self._command(ask) for ask in asked], engine)

    @rule(asked=asks, engine=st.integers(0, 1), point=st.sampled_from(POINTS), also=st.booleans())
    def book_with_a_death(self, asked: list[tuple[str, int, Any]], engine: int, point: str, also: bool) -> None:
        """The worker is ended at a point; another, or the same, takes the batch over, perhaps with more in it."""
        commands = [self._command(ask) for ask in asked]
        self.faults.point = point
        with contextlib.suppress(JobTimeoutException):
            self.engines[engine].apply(commands)
            raise AssertionError("the batch outlived its end")
        self._apply(commands, 1 - engine if also else engine, applied=point == "committed")

    @precondition(lambda self: self.told)
    @rule(which=st.lists(which, min_size=1, max_size=4), engine=st.integers(0, 1))
    def repeat(self, which: list[int], engine: int) -> None:
        """A batch of nothing but known commands: the same answers, and nothing changes."""
        told = list(self.told.values())
        commands = [told[-1 - number % len(told)][0] for number in which]
        self._apply(commands, engine)

    @rule(fan=fans, other=fans, engine=st.integers(0, 1), point=st.sampled_from(("", *POINTS)))
    def merge(self, fan: int, other: int, engine: int, point: str) -> None:
        """All of another fan's is the fan's; the worker may be ended at a point, and then somebody moves the rest."""
        if fan == other:
            return
        self.faults.point = point
        with contextlib.suppress(JobTimeoutException):
            self._merge(fan, other, engine)
        if point == "committed":
            self._merged(fan, other)
        if point:
            self._merge(fan, other, 1 - engine)

    def _merge(self, fan: int, other: int, engine: int) -> None:
        done = self.engines[engine].apply([merge(self.event, fan, other)])
        assert (done.outcomes, done.bought) == ((), ())
        self._merged(fan, other)

    def _merged(self, fan: int, other: int) -> None:
        self.model.apply(merge(self.event, fan, other), {}, dt.datetime.now(dt.UTC))
        self.happened["merge"] += 1
        row = self.connection.execute("SELECT version FROM event WHERE event_id = %s", (self.event,)).fetchone()
        assert row is not None
        self.version = row[0]

    # -- what else happens

    @rule(seconds=st.sampled_from([1, HOLD_SECONDS // 2, HOLD_SECONDS, HOLD_SECONDS + GRACE_SECONDS]))
    def pass_time(self, seconds: int) -> None:
        """Every hold of the hall is so much older."""
        older = dt.timedelta(seconds=seconds)
        with self.connection.transaction():
            self.connection.execute(
                "UPDATE reservation SET created_at = created_at - %s, expires_at = expires_at - %s,"
                " lifetime_ends_at = lifetime_ends_at - %s WHERE event_id = %s",
                (older, older, older, self.event),
            )
            self.connection.execute(
                "UPDATE seat SET held_until = held_until - %s WHERE event_id = %s AND held_until IS NOT NULL",
                (older, self.event),
            )
        for hold in self.model.holds.values():
            hold.expires_at -= older

    @rule(seats_per_fan_max=st.sampled_from([2, 4, 10]))
    def change_limit(self, seats_per_fan_max: int) -> None:
        self.connection.execute(
            "UPDATE event SET seats_per_fan_max = %s WHERE event_id = %s", (seats_per_fan_max, self.event)
        )
        self.model.seats_per_fan_max = seats_per_fan_max

    @rule(hours_to_event=st.sampled_from([CANCEL_UNTIL_HOURS - 1, 30 * 24]))
    def change_date(self, hours_to_event: int) -> None:
        self.connection.execute(
            "UPDATE event SET date = clock_timestamp() + make_interval(hours => %s) WHERE event_id = %s",
            (hours_to_event, self.event),
        )
        self.model.date = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours_to_event)

    # -- comparing

    def _apply(self, commands: list[Command], engine: int, *, applied: bool = False) -> None:
        """Apply the batch, to the model too, and compare; ``applied``: this only repeats what was committed."""
        done = self.engines[engine].apply(commands)
        answers = {outcome.command_id: outcome for outcome in done.outcomes}
        assert len(answers) == len(done.outcomes), "one outcome a command"
        assert set(answers) == {command.command_id for command in commands if not isinstance(command, Sweep)}
        now = self._now(answers)
        purchases = 0
        for command in commands:
            if isinstance(command, Sweep):
                self.model.apply(command, {}, now)
                self.happened["sweep"] += 1
                continue
            outcome = answers[command.command_id]
            if command.command_id in self.told:
                assert body(outcome) == self.told[command.command_id][1], "another answer to the same command"
                self.happened["repeated"] += 1
                continue
            self.told[command.command_id] = command, body(outcome)
            purchases += self._replay(command, outcome, now)
        if applied:
            assert done.changes == ()
            assert done.bought == ()
        else:
            assert len(done.bought) == purchases, "each purchase is told once"
        self._check_version(done, applied)

    def _now(self, answers: dict[uuid.UUID, Outcome]) -> dt.datetime:
        """The batch's clock: a new hold's end tells it, else this moment does as well."""
        new = [body(outcome) for key, outcome in answers.items() if key not in self.told]
        ends = [
            dt.datetime.fromisoformat(answer["result"]["expiresAt"])
            for answer in new
            if answer["status"] == "succeeded"
            and "expiresAt" in answer["result"]
            and uuid.UUID(answer["result"]["reservationId"]) not in self.model.holds
        ]
        assert len(set(ends)) <= 1, "one clock a batch"
        return ends[0] - dt.timedelta(seconds=HOLD_SECONDS) if ends else dt.datetime.now(dt.UTC)

    def _replay(self, command: Command, outcome: Outcome, now: dt.datetime) -> int:
        answer = body(outcome)
        found = answer.get("result") or answer["problem"]
        code = found.get("code", "ok")
        self.happened[f"{outcome.kind}: {code}"] += 1
        if command.deadline_ms < NOW_MS:
            assert code == "timed_out"
            return 0
        expected = self.model.expect(command, now)
        assert code in expected, (command, found, expected)
        bought = sum(hold.state == "purchased" for hold in self.model.holds.values())
        if code == "ok":
            self.cancelled += isinstance(command, Cancel)
            self.model.apply(command, found, now)
        return sum(hold.state == "purchased" for hold in self.model.holds.values()) - bought

    def _check_version(self, done: Applied, applied: bool) -> None:
        row = self.connection.execute("SELECT version FROM event WHERE event_id = %s", (self.event,)).fetchone()
        assert row is not None
        version: int = row[0]
        if not applied:
            assert version == self.version + bool(done.changes), "one version a batch that changes something"
            assert [change.version for change in done.changes] == ([version] if done.changes else [])
        assert version - self.version in (0, 1)
        self.version = version

    @invariant()
    def the_tables_are_the_models(self) -> None:
        if not self.event:
            return
        model = self.model
        row = self.connection.execute(_TABLES, {"event": self.event}).fetchone()
        assert row is not None
        seats, holds, tickets, details, purchases, outbox, commands = row
        assert {tuple(seat[:3]): (seat[3], seat[4]) for seat in seats} == {
            seat: (status, str(model.held_by[seat]) if status == "reserved" else None)
            for seat, status in model.status.items()
        }
        assert {uuid.UUID(key): state for key, state in holds or ()} == {
            key: hold.state for key, hold in model.holds.items()
        }
        for kind, free, held in tickets:
            assert (free, held) == (model.count(kind, "available"), model.count(kind, "reserved"))
        bought = [hold for hold in model.holds.values() if hold.purchase_id]
        sold: dict[str, list[tuple[int, int, int]]] = {}
        for purchase, *seat in details or ():
            sold.setdefault(purchase, []).append((seat[0], seat[1], seat[2]))
        live = {str(hold.purchase_id): sorted(hold.live) for hold in bought if hold.live}
        assert {purchase: sorted(its) for purchase, its in sold.items()} == live
        assert outbox == [len(bought), self.cancelled], "one message a purchase, and one a cancellation"
        assert {purchase: total for purchase, total, _ in purchases or ()} == {
            str(hold.purchase_id): sum(PRICES[seat[0]] for seat in hold.live) for hold in bought
        }
        for purchase, _, status in purchases or ():
            assert status == ("confirmed" if purchase in sold else "cancelled")
        recorded = {uuid.UUID(key) for key in commands or ()}
        assert recorded == set(self.told), "each command is recorded once, with its outcome"


@contextlib.contextmanager
def machine_on(database_url: str) -> Iterator[type[EngineMachine]]:
    """A machine whose examples share two engines and a connection: opening them would take most of the time."""
    faults = Faults()
    hold = HoldSettings(seconds=HOLD_SECONDS, grace_seconds=GRACE_SECONDS, cancel_until_hours=CANCEL_UNTIL_HOURS)
    engines = [Engine(database_url, lambda: NOW_MS, hold, outage_seconds_max=5, probe=faults) for _ in range(2)]
    with psycopg.connect(database_url, autocommit=True) as connection:
        members = {"connection": connection, "engines": engines, "faults": faults, "happened": Counter()}
        yield type("Machine", (EngineMachine,), members)
        for engine in engines:
            engine.close()


_TABLES = """
SELECT (SELECT json_agg(json_build_array(ticket_type_id, row_number, seat_number, status, reservation_id))
          FROM seat WHERE event_id = %(event)s) AS seats,
       (SELECT json_agg(json_build_array(reservation_id, state)) FROM reservation WHERE event_id = %(event)s) AS holds,
       (SELECT json_agg(json_build_array(ticket_type_id, available_count, held_count))
          FROM ticket WHERE event_id = %(event)s) AS tickets,
       (SELECT json_agg(json_build_array(purchase_id, ticket_type_id, row_number, seat_number))
          FROM purchase_detail WHERE event_id = %(event)s AND cancelled_at IS NULL) AS details,
       (SELECT json_agg(json_build_array(purchase_id, total_amount, status))
          FROM purchase WHERE event_id = %(event)s) AS purchases,
       (SELECT json_build_array(count(*) FILTER (WHERE kind = 'purchase.made'),
                                count(*) FILTER (WHERE kind = 'purchase.cancelled'))
          FROM outbox WHERE event_id = %(event)s) AS outbox,
       (SELECT json_agg(command_id) FROM booking_command WHERE event_id = %(event)s) AS commands
"""
