"""Deliveries over real HTTP from real Postgres: signed, at least once, one endpoint never in another's way."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import hashlib
import hmac
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from admitone.embedded.process import last_lines, spawn
from db.change_log.changes import Subject, change_rows, select_changes
from db.connections.engines import create_engine
from db.outbox.kinds import OutboxKind
from db.rooms.steering import Ask, steer
from db.webhooks import deliveries as delivered
from db.webhooks import endpoints as webhooks
from tests.integration import on_citus
from tests.integration.engine.books import Books, connect
from tests.integration.workers.receiver import Receiver, receiving
from tests.services import ROOT
from tests.unit.booking_lane.asks import checkout, reserve
from workers.channels.dispatcher import Dispatcher
from workers.channels.webhooks.channel import Webhooks, retry_wait_seconds
from workers.channels.webhooks.post import Poster, WebhookMessage, body_of, headers_of
from workers.channels.webhooks.settings import WebhookSettings

database_url = on_citus.database_url

CONFIG = WebhookSettings(connect_seconds=5, timeout_seconds=10, retry_first_seconds=0.05, retry_seconds_max=0.2)
WAIT_SECONDS_MAX = 30.0


@dataclass
class Site:
    """Books that are sold from, endpoints, and the server they point to."""

    books: Books
    engine: AsyncEngine
    receiver: Receiver

    async def endpoint(self, path: str, *kinds: str, event_id: int | None = None) -> int:
        async with self.engine.begin() as connection:
            row, secret = await webhooks.add_endpoint(
                connection,
                url=self.receiver.url + path,
                kinds=kinds or tuple(OutboxKind),
                event_id=event_id,
                description="",
                operator="Ada",
            )
        self.receiver.secrets[path] = webhooks.secret_text(secret)
        return row.endpoint_id

    async def row(self, endpoint_id: int) -> webhooks.EndpointRow:
        async with self.engine.connect() as connection:
            return await webhooks.endpoint(connection, endpoint_id)

    async def resend(self, endpoint_id: int, outbox_id: uuid.UUID | None = None) -> int:
        async with self.engine.begin() as connection:
            return await delivered.resend(connection, endpoint_id, outbox_id, "Ada")

    async def change(self, endpoint_id: int, **changes: object) -> None:
        async with self.engine.begin() as connection:
            await webhooks.change_endpoint(connection, endpoint_id, changes, "Ada")

    async def steer(self, event: int, ask: Ask) -> None:
        async with self.engine.begin() as connection:
            await steer(connection, event, ask, "Ada", "")

    def sell(self, number: int, first: int = 1) -> None:
        engine = self.books.engine()
        for fan in range(first, first + number):
            seat = (1, 1 + fan // 20, 1 + fan % 20)
            engine.apply([reserve(self.books.event, fan, seat), checkout(self.books.event, fan, seat)])

    async def change_beside(self, statement: LiteralString) -> None:
        """Change rows that the dispatcher may have locked. It is a task of the test's own loop, and could not go on if
        the loop's thread waited for it.
        """
        await asyncio.to_thread(self.books.rows, statement)

    def states(self, endpoint_id: int) -> dict[str, int]:
        rows = self.books.rows(
            "SELECT state, count(*) AS number FROM delivery"
            " WHERE channel = 'webhook' AND recipient_id = %s GROUP BY state",
            endpoint_id,
        )
        return {row["state"]: row["number"] for row in rows}


@pytest.fixture
async def site(database_url: str) -> AsyncIterator[Site]:
    engine = create_engine(on_citus.with_citus(database_url), 2)
    with connect(database_url) as connection:
        books = Books(database_url, connection, 0)
        books.event = books.event_new()
        async with receiving() as receiver:
            yield Site(books, engine, receiver)
        for one in books.engines:
            one.close()
    await engine.dispose()


@contextlib.asynccontextmanager
async def dispatching(site: Site, *, public_only: bool = False, **changes: Any) -> AsyncIterator[None]:
    stop = asyncio.Event()
    webhooks = Webhooks(msgspec.structs.replace(CONFIG, **changes), public_only=public_only)
    task = asyncio.create_task(Dispatcher(on_citus.with_citus(site.books.database_url), [webhooks]).run(stop))
    try:
        yield
        assert not task.done()
    finally:
        stop.set()
        await task


async def await_true(what: str, check: Callable[[], object | Awaitable[object]]) -> None:
    until = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        found = check()
        if await found if isinstance(found, Awaitable) else found:
            return
        assert time.monotonic() < until, f"{what}: not within {WAIT_SECONDS_MAX} s"
        await asyncio.sleep(0.02)


async def test_a_purchase_reaches_every_endpoint_that_asks_for_it(site: Site) -> None:
    everything = await site.endpoint("/ok/everything")
    await site.endpoint("/ok/rooms", "room.paused")
    await site.endpoint("/ok/other-event", event_id=site.books.event_new())
    site.sell(2)
    async with dispatching(site):
        await await_true("both arrive", lambda: site.states(everything) == {"delivered": 2})
    assert set(site.receiver.arrived) == {"/ok/everything"}
    purchases = {str(row["purchase_id"]): row for row in site.books.rows("SELECT * FROM purchase")}
    for told in site.receiver.arrived["/ok/everything"]:
        bought = purchases[told["data"]["purchaseId"]]
        assert set(told) == {"type", "timestamp", "data"}
        assert told["type"] == "purchase.made"
        assert dt.datetime.fromisoformat(told["timestamp"]) == bought["purchase_at"]
        assert told["data"] == {
            "eventId": site.books.event,
            "purchaseId": str(bought["purchase_id"]),
            "userId": bought["user_id"],
            "seats": 1,
            "totalAmount": 4900,
            "currency": "EUR",
        }
    assert abs(site.receiver.timestamps[0] - time.time()) < WAIT_SECONDS_MAX
    assert site.books.number("SELECT count(*) FROM outbox WHERE sent_at IS NULL") == 0
    row = await site.row(everything)
    assert row.delivered_at is not None
    assert row.failing_since is None


async def test_what_happened_before_an_endpoint_was_there_is_not_told_to_it(site: Site) -> None:
    site.sell(1)
    endpoint = await site.endpoint("/ok/late")
    site.sell(1, first=2)
    async with dispatching(site):
        await await_true("all is handed on", lambda: site.states(endpoint) == {"delivered": 1})
    assert [told["data"]["userId"] for told in site.receiver.arrived["/ok/late"]] == [2]


async def test_a_rehearsal_is_nobodys_news(site: Site) -> None:
    endpoint = await site.endpoint("/ok/everything")
    site.books.rows("UPDATE event SET rehearsal_of = event_id RETURNING 1")
    site.sell(1)
    async with dispatching(site):
        await await_true(
            "passed by", lambda: site.books.number("SELECT count(*) FROM outbox WHERE sent_at IS NULL") == 0
        )
    assert site.states(endpoint) == {}


async def test_rooms_are_told_of_once_each_whoever_looks(site: Site) -> None:
    endpoint = await site.endpoint("/ok/rooms")
    event = site.books.event_new(room="open")
    # Two at a time, as with two pools.
    async with dispatching(site), dispatching(site):
        await await_true("opened", lambda: site.states(endpoint) == {"delivered": 1})
        for ask in (Ask(paused=True), Ask(paused=False), Ask(paused=True), Ask(closed=True), Ask(closed=False)):
            await site.steer(event, ask)
        await await_true("six more", lambda: site.states(endpoint) == {"delivered": 6})
        site.books.rows("UPDATE ticket SET available_count = 0 WHERE event_id = %s RETURNING 1", event)
        await await_true("sold out", lambda: site.states(endpoint) == {"delivered": 7})
        site.books.rows("UPDATE ticket SET available_count = 1 WHERE event_id = %s RETURNING 1", event)
        await await_true(
            "not sold out any more",
            lambda: site.books.number("SELECT count(*) FROM room WHERE sold_out_at IS NOT NULL") == 0,
        )
        site.books.rows("UPDATE ticket SET available_count = 0 WHERE event_id = %s RETURNING 1", event)
        await await_true("sold out again", lambda: site.states(endpoint) == {"delivered": 8})
        await asyncio.sleep(2.5)
        assert site.states(endpoint) == {"delivered": 8}, "nothing is told twice"
    told = sorted(site.receiver.arrived["/ok/rooms"], key=lambda one: str(one["timestamp"]))
    assert [one["type"] for one in told] == [
        "room.opened", "room.paused", "room.resumed", "room.paused", "room.closed", "room.opened", "room.sold_out",
        "room.sold_out",
    ]  # fmt: skip
    assert {one["data"]["eventId"] for one in told} == {event}
    assert told[1]["data"] == {"eventId": event, "state": "paused", "revision": 2}


async def test_a_room_opens_at_its_on_sale_and_with_a_lobby_once_it_is_drawn(site: Site) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=3)
    endpoint = await site.endpoint("/ok/rooms", "room.opened")
    event = site.books.event_new(room="open", on_sale_at=soon)
    lobby = site.books.event_new(room="open", on_sale_at=soon)
    site.books.rows("INSERT INTO draw (event_id, seed, seed_hash, fan_key) VALUES (%s, '', '', '') RETURNING 1", lobby)
    async with dispatching(site):
        await await_true("the one without a lobby", lambda: site.states(endpoint) == {"delivered": 1})
        assert dt.datetime.now(dt.UTC) >= soon
        await asyncio.sleep(1.5)
        assert [told["data"]["eventId"] for told in site.receiver.arrived["/ok/rooms"]] == [event]
        site.books.rows("UPDATE draw SET drawn_at = now(), participants = 0, epoch = 1 RETURNING 1")
        await await_true("the drawn one", lambda: site.states(endpoint) == {"delivered": 2})
    assert site.receiver.arrived["/ok/rooms"][1]["data"]["eventId"] == lobby


async def test_a_failed_attempt_is_made_again_with_the_same_id(site: Site) -> None:
    flaky = await site.endpoint("/flaky/one")
    site.sell(3)
    async with dispatching(site):
        await await_true("all arrive", lambda: site.states(flaky) == {"delivered": 3})
    ids = site.receiver.ids["/flaky/one"]
    assert sorted(ids) == sorted([*set(ids), *set(ids)]), "each twice"
    assert len(set(ids)) == 3
    assert (await site.row(flaky)).failing_since is None


async def test_attempts_are_bounded_and_the_dead_can_be_resent(site: Site) -> None:
    endpoint = await site.endpoint("/fail/always")
    site.sell(2)
    async with dispatching(site, attempts_max=3):
        await await_true("given up", lambda: site.states(endpoint) == {"dead": 2})
        row = await site.row(endpoint)
        assert (row.dead, row.pending) == (2, 0)
        assert row.failing_since is not None
        assert len(site.receiver.ids["/fail/always"]) == 6
        async with site.engine.connect() as connection:
            dead = await delivered.deliveries(connection, endpoint, state="dead", limit=10)
        assert [(one.attempts, one.status, one.error) for one in dead] == [(3, 500, "it answered 500")] * 2
        site.receiver.mended = True
        assert await site.resend(endpoint, dead[0].outbox_id) == 1
        await await_true("the one", lambda: site.states(endpoint) == {"dead": 1, "delivered": 1})
        assert await site.resend(endpoint) == 1
        assert await site.resend(endpoint, uuid.uuid4()) == 0
        await await_true("the other", lambda: site.states(endpoint) == {"delivered": 2})
        assert await site.resend(endpoint, dead[0].outbox_id) == 1, "a delivered one too"
        await await_true("again", lambda: len(site.receiver.ids["/fail/always"]) == 9)
    assert set(site.receiver.ids["/fail/always"]) == {str(one.outbox_id) for one in dead}


async def test_gone_disables_at_once_and_enabling_takes_up_what_waited(site: Site) -> None:
    endpoint = await site.endpoint("/gone/away")
    site.sell(1)
    async with dispatching(site):
        await await_true(
            "disabled", lambda: site.books.rows("SELECT 1 FROM webhook_endpoint WHERE disabled_why = 'gone'")
        )
        site.sell(2, first=2)
        await await_true("handed on", lambda: site.states(endpoint) == {"pending": 3})
        await asyncio.sleep(1)
        assert len(site.receiver.ids["/gone/away"]) == 1, "it is left alone"
        site.receiver.mended = True
        await site.change(endpoint, enabled=True)
        await await_true("taken up", lambda: site.states(endpoint) == {"delivered": 3})
    async with site.engine.connect() as connection:
        log = change_rows(await connection.exec_driver_sql(*select_changes(Subject.WEBHOOK)))
    assert [(line.operator, line.field, line.after) for line in log][:2] == [
        ("Ada", "enabled", "true"),
        ("dispatcher", "enabled", "false: it answered 410 Gone"),
    ]


async def test_an_endpoint_that_fails_for_long_is_disabled(site: Site) -> None:
    failing, fine = await site.endpoint("/fail/long"), await site.endpoint("/ok/fine")
    site.books.rows("UPDATE webhook_endpoint SET failing_since = now() - interval '71 hours' RETURNING 1")
    site.sell(1)
    async with dispatching(site):
        await await_true("tried", lambda: len(site.receiver.ids["/fail/long"]) >= 2)
        assert (await site.row(failing)).disabled_at is None, "not for long enough"
        assert (await site.row(fine)).failing_since is None, "a success forgives"
        await site.change_beside("UPDATE webhook_endpoint SET failing_since = now() - interval '73 hours' RETURNING 1")
        await await_true(
            "disabled", lambda: site.books.rows("SELECT 1 FROM webhook_endpoint WHERE disabled_why = 'failing'")
        )
    assert (await site.row(failing)).disabled_why == "failing"
    assert (await site.row(fine)).disabled_at is None


async def test_a_slow_endpoint_delays_no_other(site: Site) -> None:
    hanging = await site.endpoint("/hang/forever")
    quick = await site.endpoint("/ok/quick")
    site.sell(40)
    async with dispatching(site, timeout_seconds=60, at_once_max=4):
        begun = time.monotonic()
        await await_true("the quick one has all", lambda: site.states(quick) == {"delivered": 40})
        seconds = time.monotonic() - begun
        assert site.states(hanging) == {"pending": 40}
        assert site.receiver.under_way_max["/hang/forever"] == 4, "no more at once"
        assert len(site.receiver.ids["/hang/forever"]) == 4
    print(f"40 delivered beside a hanging endpoint in {seconds:.2f} s")


async def test_no_answer_in_time_and_redirects_are_failures(site: Site) -> None:
    hanging, moved = await site.endpoint("/hang/once"), await site.endpoint("/redirect/away")
    site.sell(1)
    async with dispatching(site, timeout_seconds=1, attempts_max=1):
        await await_true("both end", lambda: site.states(hanging) == site.states(moved) == {"dead": 1})
    rows = site.books.rows(
        "SELECT recipient_id, status, error FROM delivery WHERE channel = 'webhook' ORDER BY recipient_id"
    )
    assert [(row["status"], row["error"]) for row in rows] == [(None, "no answer in time"), (302, "it answered 302")]
    assert "/ok/redirected" not in site.receiver.arrived


async def test_retry_after_is_heeded(site: Site) -> None:
    endpoint = await site.endpoint("/busy/for-a-while")
    site.sell(1)
    async with dispatching(site, retry_seconds_max=60):
        await await_true("noted", lambda: site.books.rows("SELECT 1 FROM delivery WHERE status = 503"))
    assert site.states(endpoint) == {"pending": 1}
    (row,) = site.books.rows(
        "SELECT extract(epoch FROM due_at - created_at) AS seconds FROM delivery WHERE channel = 'webhook'"
    )
    assert 7 * 0.8 <= row["seconds"] < WAIT_SECONDS_MAX + 7 * 1.2


async def test_a_dispatcher_killed_between_answer_and_note_is_made_good(
    site: Site, admitone_env: dict[str, str], tmp_path: Path
) -> None:
    endpoint = await site.endpoint("/ok/once-more")
    site.sell(1)
    log = tmp_path / "dispatcher.log"
    process = spawn(
        [sys.executable, "-m", "tests.integration.workers.webhook_entry"],
        log=log,
        folder=ROOT,
        environ={**admitone_env, **on_citus.ENVIRON, "ADMITONE_WEBHOOK_TIMEOUT_SECONDS": "1"},
    )
    await await_true("it died", lambda: process.poll() is not None)
    assert process.returncode == -signal.SIGKILL, last_lines(log, 40)
    assert len(site.receiver.ids["/ok/once-more"]) == 1
    assert site.states(endpoint) == {"pending": 1}
    async with dispatching(site):
        await await_true("made again", lambda: site.states(endpoint) == {"delivered": 1})
    first, second = site.receiver.ids["/ok/once-more"]
    assert first == second


async def test_a_delivery_that_kills_its_dispatcher_each_time_is_given_up(site: Site) -> None:
    endpoint = await site.endpoint("/ok/deadly")
    site.sell(1)
    async with dispatching(site, at_once_max=0):
        await await_true("handed on", lambda: site.states(endpoint) == {"pending": 1})
    site.books.rows("UPDATE delivery SET attempts = %s RETURNING 1", CONFIG.attempts_max)
    async with dispatching(site):
        await await_true("given up", lambda: site.states(endpoint) == {"dead": 1})
    assert not site.receiver.arrived


async def test_postgres_connections_that_end_are_outlived(site: Site) -> None:
    endpoint = await site.endpoint("/ok/outage")
    async with dispatching(site):
        site.sell(1)
        await await_true("one", lambda: site.states(endpoint) == {"delivered": 1})
        site.books.rows(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'admitone-webhooks'"
        )
        site.sell(1, first=2)
        await await_true("the other", lambda: site.states(endpoint) == {"delivered": 2})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_in_production_no_address_that_is_not_public_is_connected_to(site: Site, host: str) -> None:
    """Whatever was registered: what a name leads to may have changed since."""
    endpoint = await site.endpoint("/ok/inside")
    url = site.receiver.url.replace("http:", "https:").replace("127.0.0.1", host)
    site.books.rows("UPDATE webhook_endpoint SET url = %s RETURNING 1", url + "/ok/inside")
    site.sell(1)
    async with dispatching(site, public_only=True, attempts_max=1):
        await await_true("refused", lambda: site.states(endpoint) == {"dead": 1})
    (row,) = site.books.rows("SELECT error FROM delivery WHERE channel = 'webhook'")
    assert "public" in row["error"]
    assert not site.receiver.arrived


async def test_a_name_that_leads_inside_is_refused_as_it_is_connected_to(site: Site) -> None:
    """``localhost.localdomain``-like names pass every look at the URL; the socket's address does not."""
    poster = Poster(CONFIG, public_only=True)
    try:
        # The check of the URL is passed by: only the socket's is left.
        with pytest.raises(OSError, match="not public"):
            await poster._session.post(site.receiver.url + "/ok/x")
    finally:
        await poster.close()
    assert not site.receiver.arrived


async def test_while_a_secret_is_replaced_both_verify(site: Site) -> None:
    endpoint = await site.endpoint("/ok/rotating")
    async with site.engine.begin() as connection:
        row, secret = await webhooks.rotate_secret(connection, endpoint, 1, "Ada")
    assert row.secret_before_until is not None
    site.sell(1)
    async with dispatching(site):
        await await_true("the old one verifies", lambda: site.states(endpoint) == {"delivered": 1})
        site.receiver.secrets["/ok/rotating"] = webhooks.secret_text(secret)
        site.sell(1, first=2)
        await await_true("the new one verifies", lambda: site.states(endpoint) == {"delivered": 2})
        await site.change_beside("UPDATE webhook_endpoint SET secret_before_until = now() RETURNING 1")
        site.sell(1, first=3)
        await await_true("the new one alone", lambda: site.states(endpoint) == {"delivered": 3})
    assert [len(found.split(" ")) for found in site.receiver.signatures] == [2, 2, 1]


async def test_a_removed_endpoint_hears_nothing_more(site: Site) -> None:
    endpoint = await site.endpoint("/ok/removed")
    site.sell(1)
    async with dispatching(site, at_once_max=0):
        await await_true("handed on", lambda: site.states(endpoint) == {"pending": 1})
    async with site.engine.begin() as connection:
        await webhooks.remove_endpoint(connection, endpoint, "Ada")
        assert await webhooks.endpoints(connection) == []
    async with dispatching(site):
        site.sell(1, first=2)
        await asyncio.sleep(1.5)
    assert not site.receiver.arrived


async def test_the_endpoints_are_bounded(site: Site) -> None:
    for number in range(webhooks.ENDPOINTS_MAX):
        await site.endpoint(f"/ok/{number}")
    with pytest.raises(webhooks.TooManyEndpointsError):
        await site.endpoint("/ok/one-too-many")


def test_the_signature_is_that_of_the_specification() -> None:
    """Made here by hand, so that the library does not only agree with itself."""
    message = WebhookMessage(
        1, uuid.UUID(int=7), 1, 1, "room.paused", {"eventId": 1}, dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        "http://x.example", b"0123456789abcdef0123456789abcdef", None,
    )  # fmt: skip
    body = body_of(message)
    assert body == b'{"type":"room.paused","timestamp":"2026-01-02T03:04:05Z","data":{"eventId":1}}'
    headers = headers_of(message, body, 1_700_000_000)
    signed = b"00000000-0000-0000-0000-000000000007.1700000000." + body
    expected = base64.b64encode(hmac.new(message.secret, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-id"] == str(uuid.UUID(int=7))
    assert headers["webhook-timestamp"] == "1700000000"
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_the_retries_of_the_defaults_span_about_a_day() -> None:
    config = WebhookSettings()
    waits = [retry_wait_seconds(config, attempts) for attempts in range(1, config.attempts_max)]
    assert waits[:4] == [5, 20, 80, 320]
    assert waits == sorted(waits)
    assert 23 * 3600 < sum(waits) < 30 * 3600
    assert retry_wait_seconds(config, 1, retry_after_seconds=7) == 7
    assert retry_wait_seconds(config, 1, retry_after_seconds=10**7) == config.retry_seconds_max
    assert retry_wait_seconds(config, 10_000) == config.retry_seconds_max
