"""Fans are told once, by real SMTP with TLS, SMS and web push, whatever a provider does meanwhile."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import dkim
import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from icalendar import Calendar
from PIL import Image

from admitone.settings import Settings
from db.audit.invariants import audit
from db.connections import primary
from db.events.editing import edit_event
from db.events.edits import EventEdit
from db.events.seed import RoomSeed, seed_demo
from db.messages import fan_out as sql
from db.messages import queue
from db.messages.addresses import opened
from db.messages.fan_out import TAKE_NEWS
from db.messages.kinds import BULK, SOON, URGENT, MessageChannel, MessageKind
from db.outbox.deliveries import HAND_OVER
from db.outbox.kinds import OutboxKind, PurchaseCancelled, PurchaseMade, SeatsOffered
from db.outbox.writer import insert_news
from db.sealing.keyring import Keyring, SealedField
from db.sealing.rows import seal_plain
from messages.links import LinkTokens
from tests.factories import SECRET
from tests.integration.db.world import World
from tests.providers import Browser, HttpServer, SmtpServer, b64, http_server, smtp_server
from tests.waiting import await_that
from workers.messages import fan_out, process
from workers.messages.process import _SESSION, Told
from workers.settings import WorkerSettings

# aiosmtpd leaves its side of talks open when it stops; ours are closed by the provider.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Counting(psycopg.AsyncConnection[Any]):
    """Counts the statements that it runs."""

    statements = 0

    async def execute(self, *args: Any, **kwargs: Any) -> psycopg.AsyncCursor[Any]:
        self.statements += 1
        return await super().execute(*args, **kwargs)


FAN = 7
RETRY_NOW = {"ADMITONE_MESSAGE_RETRY_FIRST_SECONDS": "1", "ADMITONE_MESSAGE_TRIES_MAX": "3"}


class Desk:
    """An event, its fans, and the process of messages, whose turns the test runs."""

    def __init__(self, env: dict[str, str], stack: ExitStack) -> None:
        self.env = {**env, "ADMITONE_SECRET": SECRET, "ADMITONE_MESSAGE_LINKS": "https://venue.example"}
        self.event_id = seed_demo(env["DATABASE_URL"], room=RoomSeed())
        self.db = stack.enter_context(psycopg.connect(env["DATABASE_URL"], autocommit=True))
        self.world = World(self.db, self.event_id)
        self._stack = stack

    def told(self, **settings: str) -> Told:
        told = Told(Settings.load({**self.env, **settings}).part(WorkerSettings))
        self._stack.callback(told.close)
        return told

    def contact(self, address: str, *, fan: int = FAN, channel: str = "mail", language: str = "en") -> None:
        self.db.execute(
            "INSERT INTO contact (event_id, user_id, channel, address, language) VALUES (%s, %s, %s, %s, %s)",
            (self.event_id, fan, channel, address, language),
        )
        self.seal()

    def seal(self) -> None:
        """What the rows that a test wrote by itself need, as those of an older release do."""
        seal_plain(self.db, 1000, 100)

    def buys(self, fan: int = FAN, seats: int = 2) -> UUID:
        wanted = [(1, fan, number) for number in range(1, seats + 1)]
        purchase = self.world.checkout(fan, self.world.reserve(fan, wanted, after_seconds=1), after_seconds=2)
        purchase_id = UUID(purchase["purchaseId"])
        news = PurchaseMade(
            event_id=self.event_id,
            purchase_id=purchase_id,
            user_id=fan,
            seats=seats,
            total_amount=1,
            currency="EUR",
        )
        self.db.execute(*insert_news(OutboxKind.PURCHASE_MADE, [news]))
        return purchase_id

    def change(self, **facts: object) -> None:
        with self.db.transaction():
            edit_event(self.db, self.event_id, EventEdit(facts=facts), "ada", "why", seats_max=10_000)

    def hand_over(self) -> None:
        self.db.execute(HAND_OVER, {"rows_max": 500, "has_edge": False})

    def messages(self) -> list[tuple[str, str, str, int, str]]:
        rows = self.db.execute("SELECT kind, address, state, tries, error FROM message ORDER BY kind, message_id")
        found = [(kind, opened(address), *more) for kind, address, *more in rows.fetchall()]
        return sorted(found, key=lambda row: (row[1], row[0]))

    def hurry(self) -> None:
        """What waits for a retry is due now."""
        self.db.execute("UPDATE message SET due_at = clock_timestamp() WHERE state = 'queued'")


@pytest.fixture
def desk(admitone_env: dict[str, str]) -> Iterator[Desk]:
    with ExitStack() as stack:
        yield Desk(admitone_env, stack)
    assert audit(admitone_env["DATABASE_URL"]) == []


@pytest.fixture
def smtp(tmp_path: Path) -> Iterator[SmtpServer]:
    with smtp_server(tmp_path, password="hush") as server:
        yield server


@pytest.fixture
def http() -> Iterator[HttpServer]:
    with http_server() as server:
        yield server


def by(smtp: SmtpServer, **settings: str) -> dict[str, str]:
    return {
        "ADMITONE_MAIL_URL": smtp.url,
        "ADMITONE_MAIL_CA_FILE": smtp.ca_file,
        "ADMITONE_MAIL_SENDER": "tickets@venue.example",
        **settings,
    }


def test_a_purchase_comes_with_its_tickets_once(desk: Desk, smtp: SmtpServer) -> None:
    desk.contact("ada@example.org")
    purchase_id = desk.buys()
    desk.hand_over()
    told = desk.told(**by(smtp))
    told.telling()
    told.telling()
    assert [row[:4] for row in desk.messages()] == [("purchase", "ada@example.org", "sent", 1)]
    (mail,) = smtp.mails
    assert mail["To"] == "ada@example.org"
    assert str(mail["From"]) == "Admit One <tickets@venue.example>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    codes = [row[0] for row in desk.db.execute("SELECT ticket_code FROM purchase_detail ORDER BY seat_number")]
    assert len(codes) == 2
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert page is not None
    for code in codes:
        assert code in text.get_content()
        assert code in page.get_content()
    assert f"https://venue.example/purchases/{purchase_id}" in text.get_content()
    images = {part["Content-ID"]: part for part in mail.walk() if part.get_content_type() == "image/png"}
    assert set(images) == {"<ticket-1>", "<ticket-2>"}
    assert 'src="cid:ticket-1"' in page.get_content()
    assert Image.open(io.BytesIO(images["<ticket-1>"].get_content())).format == "PNG"
    files = {part.get_filename(): part for part in mail.iter_attachments()}
    assert set(files) == {"tickets.pdf", "event.ics"}
    assert files["tickets.pdf"].get_content().startswith(b"%PDF-")
    entry = Calendar.from_ical(files["event.ics"].get_content()).walk("VEVENT")[0]
    assert str(entry["uid"]).startswith(f"purchase-{purchase_id}@")


@pytest.mark.parametrize(("language", "word"), [("de", "Ihre Tickets"), ("fr", "Vos billets"), ("ar", "تذكرتاك")])
def test_a_fan_is_told_in_the_fans_language(desk: Desk, smtp: SmtpServer, language: str, word: str) -> None:
    desk.contact("ada@example.org", language=language)
    desk.buys()
    desk.hand_over()
    desk.told(**by(smtp)).telling()
    (mail,) = smtp.mails
    assert word in str(mail["Subject"])
    page = mail.get_body(("html",))
    assert page is not None
    assert f'lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}"' in page.get_content()


def test_everybody_is_told_once_that_an_event_is_moved(desk: Desk, smtp: SmtpServer) -> None:
    for fan in range(1, 31):
        desk.contact(f"fan-{fan}@example.org", fan=fan)
    desk.change(venue="Another arena")
    desk.hand_over()
    told = desk.told(**by(smtp))
    told.telling()
    desk.db.execute("UPDATE delivery SET state = 'pending', ended_at = NULL, due_at = now() WHERE channel = 'message'")
    told.telling()
    assert sorted(smtp.recipients) == sorted(f"fan-{fan}@example.org" for fan in range(1, 31))
    assert len(smtp.talks) <= 4, "connections are kept between mails"
    text = smtp.mails[0].get_body(("plain",))
    assert text is not None
    assert "Another arena" in text.get_content()


async def test_an_arena_is_told_a_step_at_a_turn_and_all_of_it_after_a_kill(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "RECIPIENTS_IN_ONE_STEP_MAX", 4)
    for fan in range(1, 11):
        desk.contact(f"fan-{fan}@example.org", fan=fan)
    desk.change(venue="Another arena")
    desk.hand_over()
    settings = Settings.load(desk.env).part(WorkerSettings).message
    connection = await primary.connect_async(desk.env["DATABASE_URL"], "test")
    async with connection:
        killed = fan_out.FanOut(settings)
        assert await killed.news(connection)
        assert len(desk.messages()) == 4, "the rest comes once what is due was sent"
        desk.db.execute("UPDATE delivery SET due_at = now() WHERE channel = 'message'")
        follower = fan_out.FanOut(settings)
        while await follower.news(connection):
            assert len(desk.messages()) % 4 == 0 or len(desk.messages()) == 10
    assert [address for _, address, *_ in desk.messages()] == sorted(f"fan-{fan}@example.org" for fan in range(1, 11))
    assert desk.db.execute("SELECT state FROM delivery WHERE channel = 'message'").fetchall() == [("delivered",)]


async def test_an_arena_is_written_no_faster_than_its_mails_leave(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "RECIPIENTS_IN_ONE_STEP_MAX", 3)
    monkeypatch.setattr(fan_out, "DUE_AHEAD", 5)
    for fan in range(1, 11):
        desk.contact(f"fan-{fan}@example.org", fan=fan)
    desk.change(venue="Another arena")
    desk.hand_over()
    # Another event's SMS, which leave at their provider's pace.
    desk.db.execute(
        "INSERT INTO message (event_id, message_id, kind, channel, address, address_hash, user_id, language,"
        "  dedup_key, payload, urgency, due_at, useful_until)"
        " SELECT 0, gen_random_uuid(), 'event_moved', 'sms', 'sealed', '', n, 'en', n::text, '{}', 2, now(), now()"
        "   FROM generate_series(1, 5) AS n"
    )
    settings = Settings.load(desk.env).part(WorkerSettings).message
    connection = await primary.connect_async(desk.env["DATABASE_URL"], "test")
    mails = "SELECT count(*) FROM message WHERE channel = 'mail'"
    async with connection:
        telling = fan_out.FanOut(settings)
        for _ in range(4):
            assert await telling.news(connection), "the news is under way"
        assert desk.db.execute(mails).fetchone() == (6,), "a second step, for fewer than five were due; and then none"
        for _ in range(6):
            # As if they were taken to be sent.
            desk.db.execute("UPDATE message SET due_at = now() + interval '1 minute' WHERE channel = 'mail'")
            assert await telling.news(connection), "its own SMS wait for the others'"
        assert desk.db.execute(mails).fetchone() == (10,)
        desk.db.execute("UPDATE message SET due_at = now() + interval '1 minute'")
        while await telling.news(connection):
            assert desk.db.execute(mails).fetchone() == (10,)


async def test_no_mail_of_an_arena_waits_for_its_sms(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "RECIPIENTS_IN_ONE_STEP_MAX", 3)
    for fan in range(1, 6):
        desk.contact(f"fan-{fan}@example.org", fan=fan)
        desk.contact(f"+4930000000{fan}", fan=fan, channel="sms")
    desk.change(venue="Another arena")
    desk.hand_over()
    connection = await primary.connect_async(desk.env["DATABASE_URL"], "test")
    async with connection:
        telling = fan_out.FanOut(Settings.load(desk.env).part(WorkerSettings).message)
        while await telling.news(connection):
            written: dict[str, int] = dict(
                desk.db.execute("SELECT channel, count(*) FROM message GROUP BY channel").fetchall()
            )
            assert "sms" not in written or written["mail"] == 5
    assert written == {"mail": 5, "sms": 5}


def test_statements_find_few_rows_before_a_table_is_known(desk: Desk) -> None:
    """As a sale begins, no statistics follow: without them the plans must be good for full tables."""
    about = {"channels": ["mail", "push"], "kind": "hold_ending", "seconds": 120, "holds_max": 500}
    connection = desk.db
    for name, value in _SESSION.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
    noted = str(connection.execute("EXPLAIN " + queue.NOTE, {"rows": "[]"}).fetchall())
    assert "using pk_message" in noted
    assert "ix_message_due" not in noted, "it would find every message that is queued"
    with connection.transaction(force_rollback=True):
        connection.execute(
            "INSERT INTO message (event_id, message_id, kind, channel, address, address_hash, user_id, language,"
            "  dedup_key, payload, urgency, due_at, useful_until)"
            " SELECT 1, gen_random_uuid(), 'event_moved', 'mail', 'sealed', '', n, 'en', n::text, '{}', 2, now(), now()"
            "   FROM generate_series(1, 5000) AS n"
        )
        taken = str(connection.execute("EXPLAIN " + queue.TAKE, {"lanes": "[]", "lease_seconds": 1}).fetchall())
    assert "Index Scan using ix_message_due" in taken, "it would sort everything that is due"
    ending = str(connection.execute("EXPLAIN " + sql.HOLDS_ENDING, about).fetchall())
    assert ending.count("Index Cond: ((expires_at >= ") == 2, "it would read every open hold"


def test_no_message_is_passed_by_for_another_channels(desk: Desk) -> None:
    """Thousands of SMS are due at once where their provider was away for an hour."""
    sms, mails, room = 3000, 5, 64
    connection = desk.db
    for name, value in _SESSION.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
    lanes = [
        {"channel": channel, "urgency_min": first, "urgency_max": last, "messages_max": room}
        for first, last in ((URGENT, URGENT), (SOON, BULK))
        for channel in MessageChannel
    ]
    with connection.transaction(force_rollback=True):
        connection.execute(
            "INSERT INTO message (event_id, message_id, kind, channel, address, address_hash, user_id, language,"
            "  dedup_key, payload, urgency, due_at, useful_until)"
            " SELECT 1, gen_random_uuid(), 'event_moved', CASE WHEN n <= %s THEN 'sms' ELSE 'mail' END, 'sealed', '',"
            "        n, 'en', n::text, '{}', 1, now(), now()"
            "   FROM generate_series(1, %s) AS n",
            (sms, sms + mails),
        )
        asked = {"lanes": msgspec.json.encode(lanes).decode(), "lease_seconds": 120}
        (explained,) = connection.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + queue.TAKE, asked).fetchone() or ()
    nodes = list(nodes_of(explained[0]["Plan"]))
    assert {node["Actual Rows"] for node in nodes if node["Node Type"] == "ModifyTable"} == {room + mails}
    (found,) = [node for node in nodes if node.get("Index Name") == "ix_message_due"]
    assert found.get("Rows Removed by Filter", 0) == 0, "it passes by what is another channel's"


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a plan that Postgres explained."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes_of(below)


async def test_all_purchases_of_a_turn_take_three_statements_and_each_fan_is_told_of_the_own(desk: Desk) -> None:
    bought = {fan: str(desk.buys(fan)) for fan in range(1, 6)}
    for fan in range(1, 5):
        desk.contact(f"fan-{fan}@example.org", fan=fan)
    desk.contact("+4915112345678", fan=1, channel="sms")
    desk.hand_over()
    settings = Settings.load(desk.env).part(WorkerSettings).message
    connection = await Counting.connect(desk.env["DATABASE_URL"], autocommit=True)
    async with connection:
        told = fan_out.FanOut(settings)
        assert await told.news(connection) == 5
        assert connection.statements == 3, "taken, told and done"
        assert await told.news(connection) == 0
    rows = desk.db.execute("SELECT user_id, payload ->> 'purchaseId' FROM message WHERE kind = 'purchase'").fetchall()
    assert {*rows} == {(fan, bought[fan]) for fan in range(1, 5)}, "the fifth gave no address"
    assert desk.db.execute("SELECT DISTINCT state FROM delivery WHERE channel = 'message'").fetchall() == [
        ("delivered",)
    ]


async def test_news_is_found_by_its_key_before_anything_is_known_of_the_tables_size(desk: Desk) -> None:
    desk.db.execute("ALTER TABLE delivery SET (autovacuum_enabled = off)")
    news = [
        PurchaseMade(event_id=desk.event_id, purchase_id=uuid4(), user_id=fan, seats=1, total_amount=1, currency="EUR")
        for fan in range(500)
    ]
    desk.db.execute(*insert_news(OutboxKind.PURCHASE_MADE, news))
    desk.hand_over()
    with desk.db.transaction(force_rollback=True):
        desk.db.execute(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
        )
        cursor = psycopg.ClientCursor(desk.db)
        rows = cursor.execute("EXPLAIN " + TAKE_NEWS, {"news_max": 200, "lease_seconds": 1}).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "pk_delivery" in plan
    assert "ix_delivery_latest" not in plan, plan


def test_an_offer_of_the_waiting_list_is_told_to_its_fan_alone(desk: Desk, smtp: SmtpServer) -> None:
    desk.contact("ada@example.org")
    desk.contact("grace@example.org", fan=8)
    offer = SeatsOffered(
        event_id=desk.event_id, reservation_id=uuid4(), user_id=FAN, seats=2, ends_at="2026-12-01T19:30:00+00:00"
    )
    desk.db.execute(*insert_news(OutboxKind.SEATS_OFFERED, [offer]))
    desk.hand_over()
    desk.told(**by(smtp)).telling()
    (mail,) = smtp.mails
    assert mail["To"] == "ada@example.org"
    text = mail.get_body(("plain",))
    assert text is not None
    assert "2 seats for" in text.get_content()


def test_what_fans_need_not_know_is_not_news(desk: Desk) -> None:
    desk.change(seats_per_fan_max=3)
    told = desk.db.execute("SELECT kind FROM outbox WHERE kind <> %s", (OutboxKind.EVENT_EDITED,))
    assert told.fetchall() == [], "the edge and webhooks hear of it, and fans do not"


def test_a_talk_that_is_cut_off_is_begun_anew(desk: Desk, smtp: SmtpServer) -> None:
    desk.contact("ada@example.org")
    desk.buys()
    desk.hand_over()
    smtp.drops = 1
    told = desk.told(**by(smtp, **RETRY_NOW))
    told.telling()
    ((_, _, state, tries, error),) = desk.messages()
    assert (state, tries) == ("queued", 1)
    assert error
    desk.hurry()
    told.telling()
    assert [row[2:4] for row in desk.messages()] == [("sent", 2)]
    assert len(smtp.mails) == 1


def test_the_fallback_takes_what_the_first_server_does_not(desk: Desk, smtp: SmtpServer, tmp_path: Path) -> None:
    desk.contact("ada@example.org")
    desk.contact("bob@example.org", fan=8)
    desk.change(venue="Another arena")
    desk.hand_over()
    told = desk.told(**by(smtp, ADMITONE_MAIL_URL="smtp://localhost:1", ADMITONE_MAIL_FALLBACK_URL=smtp.url))
    told.telling()
    assert len(smtp.mails) == 2
    assert desk.db.execute("SELECT DISTINCT provider FROM message").fetchall() == [("smtp-fallback",)]


def test_a_server_without_tls_is_told_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.contact("ada@example.org")
    desk.buys()
    desk.hand_over()
    with smtp_server(tmp_path, starttls=False) as plain:
        desk.told(ADMITONE_MAIL_URL=plain.url.replace("smtp+plain", "smtp")).telling()
        assert plain.mails == []
    assert [row[2] for row in desk.messages()] == ["queued"]


def test_a_dead_letter_is_tried_no_more(desk: Desk, smtp: SmtpServer) -> None:
    desk.contact("ada@example.org")
    desk.buys()
    desk.hand_over()
    smtp.refusal = lambda address: "451 come back later"
    told = desk.told(**by(smtp, **RETRY_NOW))
    for _ in range(5):
        told.telling()
        desk.hurry()
    assert [row[2:4] for row in desk.messages()] == [("dead", 3)]


def test_an_address_that_does_not_exist_is_not_written_to_again(desk: Desk, smtp: SmtpServer) -> None:
    desk.contact("nobody@example.org")
    desk.buys()
    desk.hand_over()
    smtp.refusal = lambda address: "550 5.1.1 no such user"
    told = desk.told(**by(smtp))
    told.telling()
    assert [row[2] for row in desk.messages()] == ["failed"]
    ((address, reason),) = desk.db.execute("SELECT address, reason FROM suppression").fetchall()
    assert (opened(address), reason) == ("nobody@example.org", "bounce")
    smtp.refusal = lambda address: None
    desk.change(venue="Another arena")
    desk.hand_over()
    told.telling()
    assert ("event_moved", "nobody@example.org", "skipped") in [row[:3] for row in desk.messages()]
    assert smtp.mails == []


def test_who_wants_no_such_mail_gets_none_and_others_do(desk: Desk, smtp: SmtpServer) -> None:
    desk.contact("ada@example.org")
    desk.db.execute(
        "INSERT INTO suppression (address, channel, kind, reason)"
        " VALUES ('ada@example.org', 'mail', 'event_moved', 'unsubscribed')"
    )
    desk.seal()
    desk.buys()
    desk.change(venue="Another arena")
    desk.hand_over()
    desk.told(**by(smtp)).telling()
    assert [row[:3] for row in desk.messages()] == [
        ("event_moved", "ada@example.org", "skipped"),
        ("purchase", "ada@example.org", "sent"),
    ]


def test_mails_are_signed_by_dkim(desk: Desk, smtp: SmtpServer, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    (tmp_path / "dkim.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    desk.contact("ada@example.org")
    desk.buys()
    desk.hand_over()
    desk.told(**by(smtp, ADMITONE_MAIL_DKIM_KEY=str(tmp_path / "dkim.pem"), ADMITONE_MAIL_DKIM_SELECTOR="s1")).telling()
    public = base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    asked = []

    def dns(name: bytes, timeout: float = 5) -> bytes:
        asked.append(name)
        return b"v=DKIM1; k=rsa; p=" + public

    assert dkim.verify(smtp.raw[0], dnsfunc=dns)
    assert asked == [b"s1._domainkey.venue.example."]
    assert not dkim.verify(smtp.raw[0].replace(b"ticket", b"tocket"), dnsfunc=dns)


def vapid() -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    return {
        "ADMITONE_PUSH_PRIVATE_KEY": b64(key.private_numbers().private_value.to_bytes(32, "big")),
        "ADMITONE_PUSH_PUBLIC_KEY": b64(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)),
        "ADMITONE_PUSH_CONTACT": "mailto:ops@venue.example",
    }


def subscribe(desk: Desk, endpoint: str, browser: Browser, fan: int = FAN) -> None:
    desk.db.execute(
        "INSERT INTO push_subscription (event_id, user_id, endpoint, p256dh, auth, language)"
        " VALUES (%s, %s, %s, %s, %s, 'de')",
        (desk.event_id, fan, endpoint, browser.p256dh, browser.auth),
    )
    desk.seal()


def test_a_browser_alone_can_read_what_is_pushed_to_it(desk: Desk, http: HttpServer) -> None:
    browser = Browser()
    subscribe(desk, f"{http.url}/send/1", browser)
    desk.change(venue="Eine andere Arena")
    desk.hand_over()
    keys = vapid()
    http.statuses = [503]
    told = desk.told(**keys)
    told.telling()
    desk.hurry()
    told.telling()
    (_, before, _), (path, headers, body) = http.asked
    assert before["Topic"] == headers["Topic"], "a push service replaces a first try that it still has"
    assert len(headers["Topic"]) <= 32
    assert path == "/send/1"
    pushed = browser.read(body)
    assert "Eine andere Arena" in pushed["body"]
    assert pushed["url"] == f"de/events/{desk.event_id}"
    assert pushed["choose"] == "Auswählen oder beenden"
    reader = LinkTokens(SECRET).verify_reader(pushed["preferences"].removeprefix("de/messages/"))
    assert (reader.channel, reader.address) == ("push", f"{http.url}/send/1")
    assert headers["Content-Encoding"] == "aes128gcm"
    scheme, _, rest = headers["Authorization"].partition(" ")
    parts = dict(part.split("=", 1) for part in rest.split(","))
    assert (scheme, parts[" k".strip()]) == ("vapid", keys["ADMITONE_PUSH_PUBLIC_KEY"])
    claims = json.loads(base64.urlsafe_b64decode(parts["t"].split(".")[1] + "=="))
    assert claims["aud"] == http.url
    with pytest.raises(Exception, match=r"."):
        Browser().read(body)


@pytest.mark.parametrize("status", [404, 410])
def test_a_browser_that_is_gone_is_forgotten(desk: Desk, http: HttpServer, status: int) -> None:
    subscribe(desk, f"{http.url}/gone", Browser())
    subscribe(desk, f"{http.url}/there", Browser(), fan=8)
    desk.change(venue="Another arena")
    desk.hand_over()
    http.statuses = [status]
    desk.told(ADMITONE_MESSAGE_AT_ONCE_MAX="1", **vapid()).telling()
    assert len(desk.db.execute("SELECT endpoint FROM push_subscription").fetchall()) == 1
    assert sorted(row[2] for row in desk.messages()) == ["failed", "sent"]


def test_sms_go_by_twilio_and_by_any_provider_that_takes_json(desk: Desk, http: HttpServer) -> None:
    desk.contact("+4915112345678", channel="sms")
    desk.change(venue="Another arena")
    desk.hand_over()
    host = http.url.removeprefix("http://")
    told = desk.told(
        ADMITONE_SMS_URL=f"twilio://AC1:token@{host}/",
        ADMITONE_SMS_FALLBACK_URL=f"http://ada:hush@{host}/sms",
        ADMITONE_SMS_SENDER="+4930123",
    )
    http.statuses, http.bodies = [503], [{"message": "busy"}]
    told.telling()
    (twilio, its_headers, its_body), (other, _, body) = http.asked
    assert twilio == "/2010-04-01/Accounts/AC1/Messages.json"
    assert its_headers["Authorization"] == "Basic " + base64.b64encode(b"AC1:token").decode()
    form = parse_qs(its_body.decode())
    assert (form["To"], form["From"]) == (["+4915112345678"], ["+4930123"])
    assert f"https://venue.example/events/{desk.event_id}" in form["Body"][0]
    choose = form["Body"][0].partition("\nChoose or stop: ")[2]
    assert len(choose) < 60, "an SMS has 160 letters"
    reader = LinkTokens(SECRET).verify_reader(choose.rpartition("/")[2])
    assert (reader.channel, reader.address) == ("sms", "+4915112345678")
    assert other == "/sms"
    assert json.loads(body)["to"] == "+4915112345678"
    assert [row[2] for row in desk.messages()] == ["sent"]


def test_a_number_that_takes_no_sms_is_suppressed(desk: Desk, http: HttpServer) -> None:
    desk.contact("+4915112345678", channel="sms")
    desk.change(venue="Another arena")
    desk.hand_over()
    http.statuses, http.bodies = [400], [{"code": 21614, "message": "not a mobile number"}]
    desk.told(ADMITONE_SMS_URL=f"twilio://AC1:token@{http.url.removeprefix('http://')}/").telling()
    assert [row[2] for row in desk.messages()] == ["failed"]
    assert desk.db.execute("SELECT channel FROM suppression").fetchall() == [("sms",)]


def test_what_can_wait_waits_for_the_end_of_a_readers_quiet_hours(desk: Desk, smtp: SmtpServer) -> None:
    desk.contact("ada@example.org")
    ((hour,),) = desk.db.execute(
        "SELECT extract(hour FROM now() AT TIME ZONE time_zone)::int FROM event WHERE event_id = %s", (desk.event_id,)
    ).fetchall()
    desk.db.execute(
        "INSERT INTO quiet_hours (address, channel, from_hour, until_hour) VALUES ('ada@example.org', 'mail', %s, %s)",
        (hour, (hour + 2) % 24),
    )
    desk.seal()
    desk.buys()
    desk.change(venue="Another arena")
    desk.hand_over()
    told = desk.told(**by(smtp))
    told.telling()
    assert [row[:3] for row in desk.messages()] == [
        ("event_moved", "ada@example.org", "queued"),
        ("purchase", "ada@example.org", "sent"),
    ]
    ((minutes,),) = desk.db.execute(
        "SELECT extract(epoch FROM due_at - now())::int / 60 FROM message WHERE state = 'queued'"
    ).fetchall()
    assert 55 <= minutes <= 120
    desk.db.execute("DELETE FROM quiet_hours")
    desk.hurry()
    told.telling()
    assert {row[2] for row in desk.messages()} == {"sent"}


def follower(desk: Desk, address: str, *, confirmed: bool) -> None:
    desk.db.execute(
        "INSERT INTO follower (follower_id, what, name, address, language, made_at, confirmed_at)"
        " SELECT gen_random_uuid(), 'venue', venue, %s, 'en', now() - interval '2 hours',"
        "        CASE WHEN %s THEN created_at - interval '1 hour' END"
        "   FROM event WHERE event_id = %s",
        (address, confirmed, desk.event_id),
    )
    desk.seal()


def test_only_who_confirmed_the_address_hears_of_a_new_event(desk: Desk, smtp: SmtpServer) -> None:
    follower(desk, "ada@example.org", confirmed=True)
    follower(desk, "eve@example.org", confirmed=False)
    told = desk.told(**by(smtp, ADMITONE_MESSAGE_QUIET_FROM="0", ADMITONE_MESSAGE_QUIET_UNTIL="0"))
    told.telling()
    assert ("new_event", "ada@example.org", "sent") in [row[:3] for row in desk.messages()]
    assert set(smtp.recipients) == {"ada@example.org"}
    token = str(smtp.mails[0]["List-Unsubscribe"]).rsplit("/", 2)[1]
    reader = LinkTokens(SECRET).verify_reader(token)
    assert (reader.channel, reader.address, reader.kind) == ("mail", "ada@example.org", MessageKind.NEW_EVENT)


async def test_followers_are_walked_once_and_then_only_who_followed_since(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "RECIPIENTS_IN_ONE_STEP_MAX", 2)
    for number in range(5):
        follower(desk, f"fan-{number}@example.org", confirmed=True)
    desk.db.execute(
        "UPDATE event SET on_sale_at = now() + interval '5 hours', created_at = now() - interval '8 days'"
        " WHERE event_id = %s",
        (desk.event_id,),
    )

    async def told() -> list[str]:
        """Who is told by one look, as if nobody had been told before."""
        desk.db.execute("DELETE FROM message")
        await telling.announcements(connection)
        while telling.is_telling:
            await telling.news(connection)
        return sorted(address.partition("@")[0] for _, address, *_ in desk.messages())

    telling = fan_out.FanOut(Settings.load(desk.env).part(WorkerSettings).message)
    connection = await primary.connect_async(desk.env["DATABASE_URL"], "test")
    async with connection:
        assert await told() == [f"fan-{number}" for number in range(5)]
        assert await told() == []
        follower(desk, "late@example.org", confirmed=True)
        desk.db.execute("UPDATE follower SET confirmed_at = now() WHERE made_at = (SELECT max(made_at) FROM follower)")
        assert await told() == ["late"]


async def test_seats_that_come_back_are_told_once_and_all_their_news_is_done(desk: Desk) -> None:
    follower(desk, "ada@example.org", confirmed=True)
    for fan in (1, 2):
        returned = PurchaseCancelled(
            event_id=desk.event_id,
            purchase_id=uuid4(),
            user_id=fan,
            seats=0,
            details=(),
            refund_amount=0,
            total_amount=0,
            currency="EUR",
            status="cancelled",
        )
        desk.db.execute(*insert_news(OutboxKind.PURCHASE_CANCELLED, [returned]))
    desk.hand_over()
    telling = fan_out.FanOut(Settings.load(desk.env).part(WorkerSettings).message)
    connection = await primary.connect_async(desk.env["DATABASE_URL"], "test")
    async with connection:
        while await telling.news(connection):
            pass
    assert [row[:2] for row in desk.messages()] == [("returned_tickets", "ada@example.org")]
    done = desk.db.execute("SELECT state, count(*) FROM delivery WHERE channel = 'message' GROUP BY state").fetchall()
    assert done == [("delivered", 2)]


def test_a_development_site_keeps_what_it_would_have_sent(desk: Desk) -> None:
    desk.contact("ada@example.org")
    desk.buys()
    desk.hand_over()
    desk.told().telling()
    ((provider, copy),) = desk.db.execute("SELECT provider, copy FROM message").fetchall()
    assert provider == "mailbox"
    seen: dict[str, Any] = json.loads(copy)
    assert seen["files"] == ["tickets.pdf", "event.ics"]
    assert set(seen["images"]) == {"ticket-1", "ticket-2"}


def test_a_fan_is_told_before_the_hold_ends(desk: Desk, smtp: SmtpServer) -> None:
    desk.contact("ada@example.org")
    desk.world.reserve(FAN, [(1, 1, 1)], after_seconds=1)
    desk.db.execute(
        "UPDATE reservation SET expires_at = clock_timestamp() + interval '100 seconds',"
        " lifetime_ends_at = clock_timestamp() + interval '1 hour'"
    )
    desk.db.execute("UPDATE seat SET held_until = clock_timestamp() + interval '115 seconds' WHERE status = 'reserved'")
    told = desk.told(**by(smtp))
    told.telling()
    told.telling()
    assert [row[0] for row in desk.messages()] == ["hold_ending"]


def test_a_fan_is_told_once_that_a_bank_refused_days_later(desk: Desk, smtp: SmtpServer) -> None:
    desk.contact("ada@example.org")
    desk.db.execute(
        "INSERT INTO payment (event_id, payment_id, reservation_id, user_id, provider, state, amount, currency,"
        "                     created_at, expires_at, ended_at, processing_at)"
        " SELECT event_id, gen_random_uuid(), gen_random_uuid(), %s, 'test', 'failed', 4900, 'EUR', now(), now(),"
        "        now(), CASE WHEN bank THEN now() END FROM event, (VALUES (true), (false)) AS b (bank)",
        (FAN,),
    )
    told = desk.told(**by(smtp))
    told.telling()
    told.telling()
    assert [row[0] for row in desk.messages()] == ["payment_failed"]


def test_what_no_key_opens_is_a_dead_letter_and_keeps_nobody_waiting(desk: Desk, smtp: SmtpServer) -> None:
    desk.contact("ada@example.org")
    desk.contact("eve@example.org", fan=8)
    desk.buys()
    desk.buys(8)
    desk.hand_over()
    lost = Keyring(["a key that is lost"], SECRET)
    desk.db.execute(
        "UPDATE contact SET address = %s WHERE user_id = %s", (lost.seal(SealedField.ADDRESS, "ada@example.org"), FAN)
    )
    code = "a" * 16 + lost.seal(SealedField.TICKET_CODE, "ABCDEFGHIJKLMNOP")
    told = desk.told(**by(smtp))
    told.telling()
    desk.db.execute("UPDATE purchase_detail SET ticket_code = %s", (code,))
    desk.contact("new@example.org", fan=9)
    desk.buys(9)
    desk.db.execute("UPDATE purchase_detail SET ticket_code = %s WHERE row_number = 9", (code,))
    desk.hand_over()
    told.telling()
    rows = desk.db.execute("SELECT user_id, state FROM message ORDER BY user_id").fetchall()
    assert rows == [(FAN, "dead"), (8, "sent"), (9, "dead")]
    assert smtp.recipients == ["eve@example.org"]


@pytest.mark.parametrize("run_seconds", [process.RUN_SECONDS_MAX, 0.1])
def test_what_is_urgent_leaves_within_a_second_of_64_slow_sms(
    desk: Desk, smtp: SmtpServer, http: HttpServer, monkeypatch: pytest.MonkeyPatch, run_seconds: float
) -> None:
    """The SMS of an arena leave at ten a second, and their provider takes five seconds for each. A run whose time is
    over waits for them, too.
    """
    monkeypatch.setattr(process, "RUN_SECONDS_MAX", run_seconds)

    def write(kind: MessageKind, channel: str, *addresses: str) -> None:
        rows = [
            queue.message_row(
                kind,
                event_id=desk.event_id,
                channel=channel,
                address=address,
                user_id=FAN,
                language="en",
                cause="test",
                payload={"minutes": 5},
            )
            for address in addresses
        ]
        desk.db.execute(queue.WRITE, queue.rows_of(rows))

    def asked_for(number: str) -> bool:
        return any(number.encode() in body for *_, body in http.asked)

    def have_left() -> bool:
        return smtp.recipients == ["ada@example.org"] and asked_for("+4917712345678")

    def tell_of_turns() -> int:
        """How many SMS of the arena left before the mail and the SMS."""
        await_that(lambda: len(http.asked) >= 5)
        write(MessageKind.TURN, "mail", "ada@example.org")
        write(MessageKind.TURN, "sms", "+4917712345678")
        await_that(have_left)
        return len(http.asked) - 1

    # Were the urgent ones to wait for the arena's, these would not be answered, and would have to be tried again.
    http.may_answer = have_left
    write(MessageKind.EVENT_CANCELLED, "sms", *(f"+49151000000{number:02}" for number in range(64)))
    told = desk.told(**by(smtp, ADMITONE_SMS_URL=http.url.replace("://", "://user:token@") + "/sms"))
    with ThreadPoolExecutor(1) as watching:
        left = watching.submit(tell_of_turns)
        told.telling()
    assert left.result() < 32, "the arena's SMS were under way"
    assert [state for *_, state, _, _ in desk.messages()] == ["sent"] * 66
    assert len(http.asked) == 65, "each of them left once"
