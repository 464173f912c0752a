"""An event on real Postgres, engines that book it, and what Postgres says afterwards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, LiteralString

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from booking_lane.commands import Command, Outcome
from booking_lane.settings import HoldSettings
from db.events.seed import EventPlan, RoomSeed
from tests.factories import PRICES, make_event, one_type, plan_event
from tests.integration.on_citus import with_citus
from workers.engine.engine import Applied, Engine

HOLD_SECONDS = 600
GRACE_SECONDS = 15
ROWS, SEATS_PER_ROW = 20, 20
VIP_SEATS = 4


def plan(
    *,
    on_sale_at: dt.datetime | None = None,
    seats_per_fan_max: int = 10,
    room: str = "off",
    payments: str = "",
) -> EventPlan:
    hall = (
        one_type("Hall", price=PRICES[1], rows=ROWS, seats_per_row=SEATS_PER_ROW),
        one_type("VIP", price=PRICES[2], seats_per_row=VIP_SEATS),
    )
    return plan_event(
        on_sale_at=on_sale_at,
        hall=hall,
        room=RoomSeed(state=room),
        seats_per_fan_max=seats_per_fan_max,
        payments=payments,
    )


@dataclass
class Books:
    """One database with one event; more by `event_new`."""

    database_url: str
    connection: psycopg.Connection[dict[str, Any]]
    event: int
    now_ms: int = 0
    engines: list[Engine] = field(default_factory=list)

    def event_new(self, **changes: Any) -> int:
        return make_event(self.database_url, plan(**changes))

    def engine(self, *, outage_seconds_max: int = 10, probe: Callable[[str], None] = lambda point: None) -> Engine:
        engine = Engine(
            with_citus(self.database_url),
            lambda: self.now_ms,
            HoldSettings(seconds=HOLD_SECONDS, grace_seconds=GRACE_SECONDS),
            outage_seconds_max=outage_seconds_max,
            probe=probe,
        )
        self.engines.append(engine)
        return engine

    def rows(self, statement: LiteralString, *parameters: object) -> list[dict[str, Any]]:
        return self.connection.execute(statement, parameters).fetchall()

    def number(self, statement: LiteralString, *parameters: object) -> int:
        (row,) = self.rows(statement, *parameters)
        return int(next(iter(row.values())))

    def version(self, event: int | None = None) -> int:
        return self.number("SELECT version FROM event WHERE event_id = %s", event or self.event)

    def statuses(self) -> dict[tuple[int, int, int], str]:
        found = self.rows(
            "SELECT * FROM seat WHERE event_id = %s AND status <> 'available'",
            self.event,
        )
        return {(row["ticket_type_id"], row["row_number"], row["seat_number"]): row["status"] for row in found}

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All that bookings change, to see that nothing did."""
        return {
            "event": self.rows("SELECT event_id, version FROM event ORDER BY 1"),
            "ticket": self.rows("SELECT * FROM ticket ORDER BY 1, 2"),
            "seat": self.rows("SELECT * FROM seat WHERE status <> 'available' ORDER BY 1, 2, 3, 4"),
            "reservation": self.rows("SELECT * FROM reservation ORDER BY 1, 2"),
            "purchase": self.rows("SELECT * FROM purchase ORDER BY 1, 2"),
            "purchase_detail": self.rows("SELECT * FROM purchase_detail ORDER BY 1, 2, 3, 4, 5"),
            "outbox": self.rows("SELECT * FROM outbox ORDER BY 1, 2"),
        }

    def pass_time(self, seconds: float) -> None:
        """Make every hold, and what a bank works on, so much older."""
        older = dt.timedelta(seconds=seconds)

        def made(*columns: str) -> sql.Composed:
            # In UTC no setting of the session is asked for, which a node of a cluster would have to ask of itself.
            term = sql.SQL("{0} = ({0} AT TIME ZONE 'UTC' - %(older)s) AT TIME ZONE 'UTC'")
            return sql.SQL(", ").join(term.format(sql.Identifier(column)) for column in columns)

        for statement in (
            sql.SQL("UPDATE reservation SET {}").format(
                made("created_at", "expires_at", "lifetime_ends_at", "ended_at")
            ),
            sql.SQL("UPDATE seat SET {} WHERE held_until IS NOT NULL").format(made("held_until")),
            sql.SQL("UPDATE payment SET {} WHERE processing_at IS NOT NULL AND state = 'open'").format(
                made("processing_at", "expires_at")
            ),
        ):
            self.connection.execute(statement, {"older": older})


def connect(database_url: str) -> psycopg.Connection[dict[str, Any]]:
    return psycopg.connect(database_url, autocommit=True, row_factory=dict_row)


def body(outcome: Outcome) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(outcome.body)
    return decoded


def bodies(applied: Applied, *commands: Command) -> list[dict[str, Any]]:
    """Results and problems of the recorded commands, in their order; a result has no ``code``."""
    answers = {outcome.command_id: body(outcome) for outcome in applied.outcomes}
    assert len(answers) == len(applied.outcomes), "one outcome a command"
    asked = [command for command in commands if command.is_recorded]
    assert set(answers) == {command.command_id for command in asked}
    found = [answers[command.command_id] for command in asked]
    return [answer["result"] if answer["status"] == "succeeded" else answer["problem"] for answer in found]


def codes(applied: Applied, *commands: Command) -> list[str]:
    return [found.get("code", "ok") for found in bodies(applied, *commands)]
