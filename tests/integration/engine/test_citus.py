"""Bookings on a Citus cluster. All tests of this folder run there where CITUS_URL is given; these do only then."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from booking_lane.clients import jobs_client
from booking_lane.commands import Command
from db.citus.at_node import at_node
from db.citus.distributing import distribute
from db.citus.tables import DISTRIBUTED
from db.connections import primary
from db.connections.small_reads import SmallReads
from db.entries.entries import Scan, TicketKey, check_in
from db.entries.outcomes import Outcome
from db.events.blocks import SeatBlock
from db.events.editing import edit_event
from db.events.edits import EventEdit, EventRefusedError, SeatsOfType
from db.ids import event_of_id
from db.messages.addresses import opened, stored
from db.payments import intents
from db.payments.cashier import HINT
from gateway.booking.reader import Reader
from tests.citus import citus_url, nodes_of
from tests.factories import SECRET
from tests.integration.engine.books import GRACE_SECONDS, SEATS_PER_ROW, Books, bodies, codes
from tests.integration.engine.test_faults import kill_connections
from tests.integration.on_citus import CITUS_URL, ENVIRON, with_citus
from tests.integration.workers.lanes import LANES, Lanes
from tests.keyrings import sealed_with
from tests.providers import smtp_server
from tests.services import Services
from tests.unit.booking_lane.asks import checkout, reserve
from tests.waiting import await_that

AWAY_SECONDS = 2.0
WAITS: LiteralString = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
"""Finds who waits for a batch at its node."""

pytestmark = pytest.mark.usefixtures("on_citus")


@pytest.fixture
def on_citus() -> None:
    citus_url()


def test_every_table_of_an_event_is_distributed_once(books: Books) -> None:
    placed = books.rows("SELECT logicalrelid::text AS name, colocationid FROM pg_dist_partition WHERE partmethod = 'h'")
    assert {row["name"] for row in placed} == set(DISTRIBUTED)
    assert len({row["colocationid"] for row in placed}) == 1
    assert distribute(books.database_url) == []


async def test_a_batch_of_two_events_is_booked_and_read_by_the_ids_of_its_purchases(books: Books) -> None:
    events = [books.event, books.event_new()]
    engine = books.engine()
    holds = [reserve(event, 7, (1, 1, 1), (1, 1, 2)) for event in events]
    held = bodies(engine.apply(holds), *holds)
    buys = [checkout(event, 7, hold=uuid.UUID(hold["reservationId"])) for event, hold in zip(events, held, strict=True)]
    bought = [uuid.UUID(one["purchaseId"]) for one in bodies(engine.apply(buys), *buys)]
    assert [event_of_id(one) for one in bought] == events
    again = bodies(engine.apply(buys), *buys)
    assert [one["purchaseId"] for one in again] == [str(one) for one in bought]

    reads = SmallReads(with_citus(books.database_url), "admitone-test")
    reader = Reader(reads, GRACE_SECONDS, NoKeys())  # type: ignore[arg-type]
    try:
        for one in bought:
            assert str(one).encode() in (await reader.purchase(7, one) or b"")
            assert await reader.purchase(8, one) is None
    finally:
        await reader.close()
        await reads.close()


async def test_a_purchase_is_read_at_its_node_and_followed_when_its_rows_move(books: Books) -> None:
    seat = (1, 1, 1)
    hold, buy = reserve(books.event, 7, seat), checkout(books.event, 7, seat)
    bought = uuid.UUID(bodies(books.engine().apply([hold, buy]), hold, buy)[1]["purchaseId"])
    name = "admitone-read-of-test"
    reads = SmallReads(with_citus(books.database_url), name)
    reader = Reader(reads, GRACE_SECONDS, NoKeys())  # type: ignore[arg-type]
    try:
        for moves in range(3):
            # Each finds the rows gone, asks the coordinator, and is at the node again the next time.
            for _ in range(2):
                assert str(bought).encode() in (await reader.purchase(7, bought) or b"")
            host, port = place(books)
            with psycopg.connect(books.database_url, host=host, port=port) as node:
                mine = "SELECT query FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
                assert [query for (query,) in node.execute(mine, (name,)) if "is_here" in query], moves
            move(books)
    finally:
        await reader.close()
        await reads.close()


def test_no_command_fails_while_the_nodes_are_away(books: Books) -> None:
    engine = books.engine()
    first = reserve(books.event, 1, (1, 2, 1))
    assert codes(engine.apply([first]), first) == ["ok"]
    asked = [reserve(books.event, user, (1, 2, user)) for user in range(2, 6)]
    with nodes_away(books.database_url):
        answers = [codes(engine.apply([one]), one) for one in asked]
    assert answers == [["ok"]] * len(asked)
    assert len(books.statuses()) == 1 + len(asked)


@pytest.mark.parametrize("point", ["locked", "decided", "written", "committed"])
def test_a_batch_whose_node_fails_at_any_point_applies_once(books: Books, point: str) -> None:
    """A worker that loses its node and keeps its coordinator; `test_faults` has it the other way round."""
    left = [lambda: end_workers(books)]

    def probe(at: str) -> None:
        if at == point and left:
            left.pop()()

    engine = books.engine(probe=probe)
    seat = (1, 1, 1)
    asked: list[Command] = [
        reserve(books.event, 1, seat),
        checkout(books.event, 1, seat),
        reserve(books.event, 2, seat),
    ]
    answers = [codes(engine.apply(asked), *asked) for _ in range(2)]
    assert answers == [["ok", "ok", "seats_taken"]] * 2
    assert (left, books.version(), books.statuses()) == ([], 1, {seat: "booked"})


@pytest.mark.parametrize("point", ["locked", "decided", "written"])
def test_no_edit_comes_between_a_batch_and_its_commit_where_the_coordinator_fails(books: Books, point: str) -> None:
    """A coordinator that fails lets go of the event's lock, while the batch's node is still at work."""
    seat = (1, 1, 1)
    host, port = place(books)
    refused: list[str] = []
    row = SeatBlock(rows=1, seats_per_row=SEATS_PER_ROW)
    removal = EventEdit(removed_seats=(SeatsOfType(path="seats", ticket_type_id=1, blocks=(row,)),))

    def edit() -> None:
        with psycopg.connect(books.database_url) as operators:
            try:
                edit_event(operators, books.event, removal, "ada", "why", seats_max=1000)
            except EventRefusedError as error:
                refused.extend(refusal.code for refusal in error.refusals)

    editing = threading.Thread(target=edit)

    def probe(at: str) -> None:
        if at == point and not editing.ident:
            kill_connections(books)
            editing.start()
            with psycopg.connect(books.database_url, host=host, port=port, autocommit=True) as node:
                await_that(
                    lambda: not editing.is_alive() or node.execute(WAITS).fetchone() is not None,
                    30,
                    what="the edit waits for the batch, or has ended",
                )

    asked = reserve(books.event, 1, seat)
    assert codes(books.engine(probe=probe).apply([asked]), asked) == ["ok"]
    editing.join()
    assert refused == ["seats_held"]
    assert books.statuses() == {seat: "reserved"}


def test_rows_move_between_batches_and_the_next_one_follows_them(books: Books) -> None:
    engine = books.engine()
    for user in range(1, 5):
        asked = reserve(books.event, user, (1, 1, user))
        assert codes(engine.apply([asked]), asked) == ["ok"]
        move(books)
    assert books.version() == 4
    assert len(books.statuses()) == 4


def test_rows_move_only_once_a_batch_has_ended(books: Books) -> None:
    """Citus copies the rows that it sees: what a batch wrote meanwhile would be lost."""
    moving = threading.Thread(target=move, args=[books])
    host, port = place(books)

    def probe(at: str) -> None:
        if at == "locked":
            moving.start()
            with psycopg.connect(books.database_url, host=host, port=port, autocommit=True) as node:
                await_that(lambda: node.execute(WAITS).fetchone() is not None, 30, what="the move waits for the batch")

    first, second = reserve(books.event, 1, (1, 1, 1)), reserve(books.event, 2, (1, 1, 2))
    assert codes(books.engine(probe=probe).apply([first]), first) == ["ok"]
    moving.join()
    assert place(books) != (host, port)
    assert codes(books.engine().apply([second]), second) == ["ok"]
    assert books.statuses() == {(1, 1, 1): "reserved", (1, 1, 2): "reserved"}


def test_orders_of_all_nodes_are_counted_together(books: Books) -> None:
    events = [books.event, *(books.event_new() for _ in range(5))]
    assert len({place(books, event) for event in events}) > 1, "events of several nodes"
    asked = [ask for event in events for ask in (reserve(event, 7, (1, 1, 1)), checkout(event, 7, (1, 1, 1)))]
    assert set(codes(books.engine().apply(asked), *asked)) == {"ok"}
    numbers = [row["order_number"] for row in books.rows("SELECT order_number FROM purchase ORDER BY 1")]
    assert numbers == list(range(numbers[0], numbers[0] + len(events)))
    assert numbers[0] < 1_000_000


@pytest.mark.timeout(400)
async def test_a_ticket_is_paid_told_and_let_in(
    books: Books, admitone_env: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    """Worker processes of every kind serve one purchase: lanes, cashier, dispatcher and messages."""
    event = books.event_new(payments="test")
    address = stored("ada@example.org")
    books.connection.execute(
        "INSERT INTO contact (event_id, user_id, channel, address, address_hash, language)"
        " VALUES (%s, 7, 'mail', %s, %s, 'en')",
        (event, address.sealed, address.hash),
    )
    seat = (1, 1, 1)
    hold, buy = reserve(event, 7, seat), checkout(event, 7, seat)
    with smtp_server(tmp_path, password="hush") as smtp, closing(jobs_client(redis_url)) as jobs:
        environ = {
            **admitone_env,
            "ADMITONE_DB_CITUS": "true",
            "ADMITONE_LANES": str(LANES),
            "ADMITONE_PAYMENT_PROVIDERS": "test",
            "ADMITONE_MAIL_URL": smtp.url,
            "ADMITONE_MAIL_CA_FILE": smtp.ca_file,
            "ADMITONE_MAIL_SENDER": "tickets@venue.example",
            "ADMITONE_MESSAGE_LINKS": "https://venue.example",
        }
        lanes = Lanes(books.database_url, jobs, environ, tmp_path)
        try:
            lanes.pool()
            lanes.await_workers()
            lanes.enqueue(event % LANES, hold, buy)
            opened = "SELECT * FROM payment WHERE event_id = %s AND state = 'open'"
            (payment,) = await_that(lambda: books.rows(opened, event), 60, what="the payment is open")
            which = {"event_id": event, "payment_id": payment["payment_id"]}
            books.connection.execute(intents.PAY_INTENT, {**which, "amount": payment["amount"]})
            books.connection.execute(HINT, which)
            await_that(lambda: lanes.answer(buy), 60, what="the checkout has ended")
            await_that(lambda: smtp.to("ada@example.org"), 60, what="the tickets are sent")
        finally:
            for pool in lanes.pools:
                pool.stop()
            print(lanes.report())
    assert "result" in (lanes.answer(buy) or {}), lanes.answer(buy)
    (bought,) = books.rows("SELECT purchase_id FROM purchase WHERE event_id = %s AND status = 'confirmed'", event)
    ticket = TicketKey(bought["purchase_id"], seat)
    scan = Scan(event_id=event, gate="North", device="d1", scan_id=uuid.uuid4(), operator="stella")
    again = replace(scan, scan_id=uuid.uuid4())
    async with await primary.connect_async(books.database_url, "admitone-test", connect_seconds=5) as connection:
        outcomes = [(await check_in(connection, ticket, one)).outcome for one in (scan, scan, again)]
    assert outcomes == [Outcome.ADMITTED, Outcome.ADMITTED, Outcome.USED]


def test_rows_of_several_events_follow_a_new_key_by_the_command(
    books: Books, admitone_env: dict[str, str], tmp_path: Path
) -> None:
    address = stored("ada@example.org")
    for event in (books.event, books.event_new(), books.event_new()):
        books.connection.execute(
            "INSERT INTO contact (event_id, user_id, channel, address, address_hash, language)"
            " VALUES (%s, 7, 'mail', %s, %s, 'en')",
            (event, address.sealed, address.hash),
        )
    done = Services({**admitone_env, **ENVIRON}, tmp_path).run("data", "rotate", ADMITONE_DATA_KEYS=f"newer {SECRET}")
    assert done.returncode == 0, done.stderr
    assert "contact: 3 rows sealed anew" in done.stdout
    with sealed_with("newer", site_secret=SECRET):
        assert {opened(row["address"]) for row in books.rows("SELECT address FROM contact")} == {"ada@example.org"}


class NoKeys:
    """Signs no ticket."""

    def sign(self, ticket: object) -> str:
        return "unsigned"


def place(books: Books, event: int | None = None) -> tuple[str, int]:
    """Where the event's rows are."""
    with psycopg.connect(books.database_url) as connection:
        there = at_node(connection, event or books.event)
    return there.host, there.port


def move(books: Books) -> None:
    """Have Citus move the event's rows to another node."""
    host, port = place(books)
    with psycopg.connect(books.database_url, autocommit=True) as connection:
        there = at_node(connection, books.event)
        nodes = connection.execute("SELECT nodename, nodeport FROM pg_dist_node WHERE shouldhaveshards").fetchall()
        other = next(node for node in nodes if node != (host, port))
        connection.execute(
            "SELECT citus_move_shard_placement(%s, %s, %s, %s, %s, 'block_writes')", (there.part, host, port, *other)
        )


def end_workers(books: Books) -> None:
    """End the workers' sessions at the nodes."""
    name = urlsplit(books.database_url).path.removeprefix("/")
    end: LiteralString = (
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'admitone-worker' AND datname = %s"
    )
    ended = []
    for node in nodes_of(CITUS_URL)[1:]:
        with psycopg.connect(node, autocommit=True) as connection:
            ended += connection.execute(end, (name,)).fetchall()
    if ended != [(True,)]:
        pytest.fail(f"one session is to end: {ended}")


@contextmanager
def nodes_away(database_url: str) -> Iterator[None]:
    """Let no node take part in the database, from now on until `AWAY_SECONDS` later, whatever is done meanwhile."""
    name = urlsplit(database_url).path.removeprefix("/")
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"

    def set_allowed(*, allowed: bool) -> None:
        for node in nodes_of(CITUS_URL)[1:]:
            with psycopg.connect(node, autocommit=True) as connection:
                connection.execute("SET citus.enable_ddl_propagation = off")
                connection.execute(allow.format(sql.Identifier(name), sql.Literal(allowed)))
                if not allowed:
                    connection.execute(end, (name,))

    def come_back() -> None:
        time.sleep(AWAY_SECONDS)
        set_allowed(allowed=True)

    set_allowed(allowed=False)
    back = threading.Thread(target=come_back)
    back.start()
    try:
        yield
    finally:
        back.join()
