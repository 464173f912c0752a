from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import pytest
import redis
from redis import asyncio as aioredis

from admitone.settings import Settings
from booking_lane.clients import jobs_client
from booking_lane.commands import Command
from booking_lane.results import decode_record, job_key
from booking_lane.settings import HoldSettings, LaneSettings
from db.audit.invariants import audit
from db.ids import first_id_of
from db.messages.addresses import hash_of, opened
from tests.integration.engine.books import GRACE_SECONDS, HOLD_SECONDS, Books, bodies, connect
from tests.services import free_port
from tests.unit.booking_lane.asks import batch, checkout, reserve
from tests.whole_line import WholeLine
from waiting_room.line import Slots
from waiting_room.model import RoomConfig, Stock
from waiting_room.tokens import HOLD_MARGIN_SECONDS
from workers import housekeeping as housekeeping_module
from workers import jobs
from workers.alarms.watch import Watch
from workers.booking import Booking
from workers.engine.engine import Engine
from workers.housekeeping import Housekeeping
from workers.setbacks import Setbacks
from workers.settings import WorkerSettings

A1, A2, A3 = (1, 1, 1), (1, 1, 2), (1, 1, 3)
PASS_SECONDS = 120
KEEP_HOURS = 24
SETTINGS = Settings(
    lane=LaneSettings(count=1, result_ttl_seconds=60, command_keep_hours=KEEP_HOURS),
    hold=HoldSettings(seconds=HOLD_SECONDS, grace_seconds=GRACE_SECONDS),
).part(WorkerSettings)


@dataclass
class House:
    """A room whose fans are in, with the worker's two halves: what books, and what keeps the room in step."""

    books: Books
    client: redis.Redis
    line: WholeLine
    engine: Engine
    housekeeping: Housekeeping

    @property
    def event(self) -> int:
        return self.books.event

    def booking(self, slots: Slots | None = None) -> Booking:
        return Booking(
            self.engine,
            self.client,
            slots or Slots(self.client),
            SETTINGS.lane,
            SETTINGS.hold,
            now_ms=lambda: 0,
            probe=lambda point: None,
        )

    async def admit(self, *fans: int) -> None:
        for fan in fans:
            await self.line.join(self.event, fan)
        while (await self.line.admit(self.event)).more:
            pass
        for fan in fans:
            await self.line.claim(self.event, fan)
        assert set(await self.passes()) >= set(fans)

    async def passes(self) -> dict[int, int]:
        """The ends of live passes, in ms."""
        ends: dict[int, int] = {}
        cursor = -1
        while cursor:
            page = await self.line.admitted_page(self.event, max(cursor, 0))
            ends |= {fan.fan: fan.pass_until_ms for fan in page.fans}
            cursor = page.cursor
        return ends

    async def stock(self) -> Stock | None:
        return (await self.line.counts(self.event)).stock

    def pass_end_ms(self, fan: int) -> object:
        """The end of the fan's hold and the margin, but for a rounded millisecond."""
        end_ms = self.books.number(
            "SELECT (extract(epoch FROM max(expires_at)) * 1000)::bigint FROM reservation WHERE user_id = %s", fan
        )
        return pytest.approx(end_ms + HOLD_MARGIN_SECONDS * 1000, rel=0, abs=1)


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    client = jobs_client(redis_url)
    with connect(database_url) as connection:
        books = Books(database_url, connection, 0)
        books.event = books.event_new(room="open")
        engine = Engine(database_url, lambda: 0, SETTINGS.hold, outage_seconds_max=5)
        async with aioredis.Redis.from_url(redis_url, socket_timeout=10) as line_client:
            line = WholeLine(line_client)
            await line.configure(
                books.event, RoomConfig(rate_per_minute=60_000, capacity=1000, pass_seconds=PASS_SECONDS)
            )
            slots = Slots(client)
            watch = Watch(client, slots, SETTINGS.lane.count, SETTINGS.alarm)
            housekeeping = Housekeeping(engine, client, slots, Setbacks(client, 3), watch, SETTINGS)
            yield House(books, client, line, engine, housekeeping)
        engine.close()
    client.connection_pool.disconnect()
    assert audit(database_url, grace_seconds=GRACE_SECONDS) == []


def a_days_bookings(house: House) -> list[Command]:
    """Fan 1 buys, fan 2 holds, fan 3 holds what it then buys, and a hold besides."""
    return [
        reserve(house.event, 1, A1),
        checkout(house.event, 1, A1),
        reserve(house.event, 2, A2),
        reserve(house.event, 3, A3),
        checkout(house.event, 3, A3),
        reserve(house.event, 3, (1, 2, 1)),
    ]


async def test_a_batch_settles_the_rooms_slots_at_once(house: House) -> None:
    await house.admit(1, 2, 4)
    before = await house.passes()
    commands: list[Command] = [*a_days_bookings(house)[:3]]
    house.booking().book(batch(*commands))
    after = await house.passes()
    assert set(after) == {2, 4}, "who has bought has left"
    assert after[2] == house.pass_end_ms(2), "a pass outlives its hold"
    assert after[4] == before[4]
    assert await house.stock() == Stock(402, 1, 1)
    assert (await house.line.standing(house.event, 1, touch=False)).state == "done"
    for command in commands:
        found = house.client.get(job_key(command.command_id))
        assert isinstance(found, bytes)
        assert decode_record(found).body


async def test_what_a_crash_left_unsettled_is_reconciled(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await house.admit(1, 2, 3, 4)
    before = await house.passes()
    commands = a_days_bookings(house)
    house.engine.apply(commands)  # and the worker dies before it settles
    assert await house.passes() == before
    for _ in range(2):
        house.housekeeping.reconcile()
        after = await house.passes()
        assert set(after) == {2, 3, 4}
        assert after[2] == house.pass_end_ms(2)
        assert after[3] == house.pass_end_ms(3), "who bought and holds more stays"
        assert after[4] == before[4]
        assert await house.stock() == Stock(400, 2, 1)
    assert caplog.text.count("freed late") == 1


async def test_a_room_that_redis_refuses_keeps_no_other_from_its_turn(house: House) -> None:
    """Whatever the order of rooms, a sound one stands behind the broken one."""
    events = [house.event]
    for _ in range(2):
        house.books.event = house.books.event_new(room="open")
        await house.line.configure(house.event, RoomConfig(rate_per_minute=60_000, capacity=10))
        events.append(house.event)
    before, broken, behind = events
    for event in (before, behind):
        house.books.event = event
        await house.admit(1)
        house.engine.apply([reserve(event, 1, A1), checkout(event, 1, A1)])
    for part in ("config", "stock"):
        house.client.delete(f"room:{{{broken}}}:{part}")
        house.client.set(f"room:{{{broken}}}:{part}", "no hash")
    for work in (house.housekeeping.reconcile, house.housekeeping.remember):
        with pytest.raises(redis.ResponseError):
            work()
    for event in (before, behind):
        house.books.event = event
        assert await house.passes() == {}, "who bought still has a pass"
        assert house.books.number("SELECT count(*) FROM departed_place WHERE event_id = %s", event) == 1


async def test_a_job_whose_connection_postgres_ended_is_left_to_its_next_run(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """As every connection is when Postgres restarts: a failed job would raise an alarm for minutes."""
    jobs.install(house.booking(), house.housekeeping)
    try:
        for job in (jobs.reconcile, jobs.retry_failed, jobs.forget, jobs.seal, jobs.watch, partial(jobs.sweep, 0)):
            caplog.clear()
            pid = house.engine.connection().info.backend_pid
            house.books.number("SELECT pg_terminate_backend(%s, 5000)::int", pid)
            job()
            assert caplog.text.count("is left to its next run") == 1
            job()
            assert caplog.text.count("is left to its next run") == 1, "it has no new connection"
    finally:
        jobs.install()


async def test_a_purchase_counts_for_the_admission_it_was_made_under(house: House) -> None:
    await house.admit(1)
    house.booking().book(batch(*a_days_bookings(house)[:2]))
    assert await house.passes() == {}
    await house.admit(1)
    house.housekeeping.reconcile()
    assert set(await house.passes()) == {1}, "a fan may come again"


async def test_a_lapsed_hold_extends_no_pass(house: House) -> None:
    await house.admit(2)
    house.engine.apply([reserve(house.event, 2, A2)])
    house.books.pass_time(HOLD_SECONDS + 1)
    before = await house.passes()
    house.housekeeping.reconcile()
    assert await house.passes() == before


async def test_a_room_that_redis_lost_is_passed_over(house: House) -> None:
    house.client.flushall()
    house.engine.apply(a_days_bookings(house))
    house.housekeeping.reconcile()


async def test_a_stock_that_postgres_has_lost_is_replaced(house: House) -> None:
    house.booking().book(batch(reserve(house.event, 7, A1)))
    slots = Slots(house.client)
    assert slots.stock_version(house.event) == 1
    assert slots.set_stock(house.event, free=0, held=0, version=105), "of a version that a failover lost"
    house.housekeeping.reconcile()
    stock = (await house.line.counts(house.event)).stock
    assert stock is not None
    assert (stock.held, stock.version) == (1, 1)
    assert not slots.set_stock(house.event, free=0, held=0, version=0, lost_version=105), "an older reading is refused"


async def test_many_admitted_fans_are_reconciled_page_by_page(house: House) -> None:
    fans = range(1, 301)
    await house.admit(*fans)
    house.engine.apply(
        [
            command
            for fan in fans
            for seat in [(1, 1 + (fan - 1) // 20, 1 + (fan - 1) % 20)]
            for command in (reserve(house.event, fan, seat), checkout(house.event, fan, seat))
        ]
    )
    house.housekeeping.reconcile()
    assert await house.passes() == {}


async def test_a_line_out_of_reach_spoils_no_booking(house: House, caplog: pytest.LogCaptureFixture) -> None:
    away = Slots(jobs_client(f"redis://127.0.0.1:{free_port()}"))
    command = reserve(house.event, 2, A2)
    house.booking(away).book(batch(command))
    found = house.client.get(job_key(command.command_id))
    assert isinstance(found, bytes)
    assert decode_record(found).body
    assert "reconciliation will" in caplog.text


async def test_a_sweep_takes_the_lanes_events_with_lapsed_holds(house: House) -> None:
    house.engine.apply([reserve(house.event, 2, A2)])
    house.booking().sweep(0)
    assert house.books.version() == 1
    house.books.pass_time(HOLD_SECONDS + GRACE_SECONDS)
    house.booking().sweep(1)
    assert house.books.version() == 1, "another lane's"
    house.booking().sweep(0)
    assert house.books.statuses() == {}
    assert await house.stock() == Stock(404, 0, 2)


# -- forgetting


async def test_only_what_is_old_is_forgotten_a_bounded_number_a_run(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping_module, "FORGOTTEN_ROWS_MAX", 3)
    monkeypatch.setattr(housekeeping_module, "FORGET_ROUNDS_MAX", 2)
    old = [reserve(house.event, fan, A1) for fan in range(1, 11)]
    house.engine.apply(old)
    house.books.connection.execute(
        "UPDATE booking_command SET recorded_at = recorded_at - make_interval(hours => %s)", (KEEP_HOURS,)
    )
    young = [reserve(house.event, fan, A2) for fan in range(11, 16)]
    bodies(house.engine.apply(young), *young)
    house.books.connection.execute(
        "UPDATE booking_command SET recorded_at = recorded_at - make_interval(hours => %s, mins => -1)"
        " WHERE user_id > 10",
        (KEEP_HOURS,),
    )
    for left in (4, 0, 0):
        house.housekeeping.forget()
        counted = house.books.rows(
            "SELECT count(*) FILTER (WHERE user_id <= 10) AS old, count(*) FILTER (WHERE user_id > 10) AS young"
            " FROM booking_command"
        )
        assert counted == [{"old": left, "young": 5}]


async def test_news_is_forgotten_once_it_is_old_and_nobody_waits_for_it(house: House) -> None:
    def news(name: str, sent_days_ago: int | None) -> None:
        house.books.connection.execute(
            "INSERT INTO outbox (event_id, outbox_id, kind, payload, created_at, sent_at)"
            " VALUES (%s, gen_random_uuid(), %s, '{}', now(), now() - make_interval(days => %s))",
            (house.event, name, sent_days_ago),
        )

    def delivery(name: str, endpoint_id: int, state: str) -> None:
        house.books.connection.execute(
            "INSERT INTO delivery (event_id, outbox_id, channel, recipient_id, state, due_at, created_at, ended_at)"
            " SELECT event_id, outbox_id, 'webhook', %s, %s, now(), now(), CASE WHEN %s <> 'pending' THEN now() END"
            " FROM outbox WHERE kind = %s",
            (endpoint_id, state, state, name),
        )

    enabled, disabled = (
        int(
            house.books.rows(
                "INSERT INTO webhook_endpoint (url, kinds, secret, disabled_at, disabled_why)"
                " VALUES ('', '{x}', '', CASE WHEN %s <> '' THEN now() END, %s) RETURNING endpoint_id",
                why,
                why,
            )[0]["endpoint_id"]
        )
        for why in ("", "gone")
    )
    for name, days in (("new", 6), ("unsent", None), ("old", 8), ("waits", 8), ("waits in vain", 8), ("dead", 8)):
        news(name, days)
    delivery("waits", enabled, "pending")
    delivery("waits in vain", disabled, "pending")
    delivery("dead", enabled, "dead")
    house.housekeeping.forget()
    assert {row["kind"] for row in house.books.rows("SELECT kind FROM outbox")} == {"new", "unsent", "waits"}
    assert house.books.number("SELECT count(*) FROM delivery") == 1


async def test_alerts_of_sales_that_are_over_are_forgotten_a_bounded_number_a_run(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping_module, "FORGOTTEN_ROWS_MAX", 2)
    monkeypatch.setattr(housekeeping_module, "FORGET_ROUNDS_MAX", 2)

    def left() -> dict[int, int]:
        rows = house.books.rows("SELECT event_id, count(*) AS n FROM push_subscription GROUP BY 1")
        return {row["event_id"]: row["n"] for row in rows}

    coming, over, young, cancelled = (house.books.event_new() for _ in range(4))
    events = {coming: 3, over: 5, young: 1, cancelled: 1}
    for event_id, fans in events.items():
        house.books.connection.execute(
            "INSERT INTO push_subscription (event_id, user_id, endpoint, p256dh, auth, language)"
            " SELECT %s, fan, 'https://push.example/' || fan, '', '', 'en' FROM generate_series(1, %s) AS fan",
            (event_id, fans),
        )
    ended = "UPDATE event SET off_sale_at = now() - make_interval(hours => %s) WHERE event_id = %s"
    house.books.connection.execute(ended, (SETTINGS.keep.subscription_hours - 1, young))
    house.housekeeping.forget()
    assert left() == events
    house.books.connection.execute(ended, (SETTINGS.keep.subscription_hours + 1, over))
    house.books.connection.execute("UPDATE event SET state = 'cancelled' WHERE event_id = %s", (cancelled,))
    house.books.connection.execute("INSERT INTO event_cancellation (event_id) VALUES (%s)", (cancelled,))
    house.housekeeping.forget()
    assert sum(left().values()) == sum(events.values()) - 4
    house.housekeeping.forget()
    assert left() == {coming: 3, young: 1}


async def test_networks_of_old_holds_and_old_changes_are_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping_module, "FORGOTTEN_ROWS_MAX", 2)
    hour = 3600
    for age_hours, state in ((2161, "lapsed"), (2161, "lapsed"), (2161, "lapsed"), (2161, "held"), (2159, "lapsed")):
        house.books.connection.execute(
            "INSERT INTO reservation (event_id, reservation_id, user_id, state, ticket_type_ids, row_numbers,"
            "  seat_numbers, total_amount, created_at, expires_at, lifetime_ends_at, network)"
            " VALUES (%s, %s, 1, %s, '{}', '{}', '{}', 0, now(), now(), now(), '192.0.2.0/24')",
            (house.event, made_at(time.time() - age_hours * hour), state),
        )
    for days in (731, 731, 731, 729):
        house.books.connection.execute(
            "INSERT INTO change_log (subject, subject_id, operator, field, at)"
            " VALUES ('room', 1, 'ada', 'x', now() - make_interval(days => %s))",
            (days,),
        )
    house.housekeeping.forget()
    house.housekeeping.forget()
    kept = house.books.rows("SELECT network, count(*) AS n FROM reservation GROUP BY 1 ORDER BY 1")
    assert kept == [{"network": "", "n": 3}, {"network": "192.0.2.0/24", "n": 2}]
    assert house.books.number("SELECT count(*) FROM change_log WHERE subject = 'room'") == 1
    house.books.connection.execute("DELETE FROM reservation")


def made_at(at_seconds: float) -> uuid.UUID:
    """An id that was made then."""
    return uuid.UUID(int=first_id_of(at_seconds).int | uuid.uuid4().int & (1 << 64) - 1)


async def test_plain_rows_are_sealed_by_housekeeping(house: House) -> None:
    house.books.connection.execute(
        "INSERT INTO contact (event_id, user_id, channel, address, language)"
        " VALUES (%s, 1, 'mail', 'a@b.example', 'en')",
        (house.event,),
    )
    house.housekeeping.seal()
    (row,) = house.books.rows("SELECT address, address_hash FROM contact")
    assert opened(row["address"]) == "a@b.example"
    assert row["address"] != "a@b.example"
    assert bytes(row["address_hash"]) == hash_of("a@b.example")
