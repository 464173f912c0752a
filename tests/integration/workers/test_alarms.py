"""Operators are told of alarms once, by real SMTP, web push and a chat's webhook, whatever restarts or fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import ec

from admitone.settings import Settings
from booking_lane.clients import jobs_client
from booking_lane.figures import figures_key
from booking_lane.lane import lane_of
from db.alarms import receivers
from db.alarms.kinds import AlarmKind, ReceiverChannel
from db.alarms.rules import SITE, Rule, set_rule
from db.connections.engines import transaction
from db.events.seed import RoomSeed, seed_demo
from tests.factories import SECRET
from tests.providers import Browser, HttpServer, SmtpServer, b64, http_server, smtp_server
from tests.waiting import await_that
from waiting_room.line import Slots
from workers.alarms.watch import Watch
from workers.messages.process import Told
from workers.settings import WorkerSettings

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OPS = "ops@venue.example"


class Site:
    """An event, the process that looks at alarms and the one that sends them, whose turns the test runs."""

    def __init__(self, env: dict[str, str], stack: ExitStack) -> None:
        self.env = {
            **env,
            "ADMITONE_SECRET": SECRET,
            "ADMITONE_MESSAGE_LINKS": "https://venue.example",
            "ADMITONE_ALARM_GROUP_SECONDS": "0",
        }
        self.event_id = seed_demo(env["DATABASE_URL"], room=RoomSeed())
        self.db = stack.enter_context(psycopg.connect(env["DATABASE_URL"], autocommit=True))
        self.jobs: redis.Redis = jobs_client(env["REDIS_URL"])
        stack.callback(self.jobs.close)
        self._stack = stack
        self.watch = self.watching()

    def settings(self, **settings: str) -> WorkerSettings:
        return Settings.load({**self.env, **settings}).part(WorkerSettings)

    def watching(self, **settings: str) -> Watch:
        chosen = self.settings(**settings)
        return Watch(self.jobs, Slots(self.jobs), chosen.lane.count, chosen.alarm)

    def told(self, **settings: str) -> Told:
        told = Told(self.settings(**settings))
        self._stack.callback(told.close)
        return told

    def run(self, work: Any) -> Any:
        """Run what the gateway does, in one transaction."""

        async def go() -> Any:
            async with transaction(self.env["DATABASE_URL"], "admitone-test") as connection:
                return await work(connection)

        return asyncio.run(go())

    def rule(
        self, kind: AlarmKind, threshold: int, for_seconds: int = 0, *, enabled: bool = True, event: int = SITE
    ) -> None:
        self.run(lambda c: set_rule(c, Rule(kind, enabled, threshold, for_seconds), event, "Ada"))

    def receiver(self, channel: ReceiverChannel, address: str, *kinds: AlarmKind, **keys: str) -> int:
        row = self.run(
            lambda c: receivers.add_receiver(
                c, channel=channel, address=address, name="", kinds=kinds, operator="Ada", **keys
            )
        )
        return int(row.receiver_id)

    def sell(self, *, left: int) -> None:
        self.db.execute(
            "UPDATE ticket SET available_count = least(%s, quantity), held_count = 0 WHERE event_id = %s",
            (left, self.event_id),
        )

    def look(self) -> int:
        with psycopg.connect(self.env["DATABASE_URL"], autocommit=True) as connection:
            return self.watch.look(connection)

    def later(self, seconds: int) -> None:
        """Let so much time pass for every alarm that stands."""
        self.db.execute(
            "UPDATE alarm SET since = since - d, fired_at = fired_at - d, calm_since = calm_since - d"
            "  FROM make_interval(secs => %s) AS d",
            (seconds,),
        )
        self.db.execute("UPDATE alarm_notice SET created_at = created_at - make_interval(secs => %s)", (seconds,))

    def notices(self) -> list[tuple[str, str, str]]:
        rows = self.db.execute("SELECT what, state, error FROM alarm_notice ORDER BY created_at, what")
        return rows.fetchall()


@pytest.fixture
def site(admitone_env: dict[str, str]) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(admitone_env, stack)


@pytest.fixture
def smtp(tmp_path: Path) -> Iterator[SmtpServer]:
    with smtp_server(tmp_path) as server:
        yield server


@pytest.fixture
def http() -> Iterator[HttpServer]:
    with http_server() as server:
        yield server


def by(smtp: SmtpServer) -> dict[str, str]:
    return {"ADMITONE_MAIL_URL": smtp.url, "ADMITONE_MAIL_CA_FILE": smtp.ca_file, "ADMITONE_MAIL_SENDER": OPS}


def test_an_alarm_comes_by_mail_push_and_chat_once_and_so_does_its_end(
    site: Site, smtp: SmtpServer, http: HttpServer
) -> None:
    key, browser = ec.generate_private_key(ec.SECP256R1()), Browser()
    told = site.told(**by(smtp), ADMITONE_PUSH_PRIVATE_KEY=b64(key.private_numbers().private_value.to_bytes(32, "big")))
    site.receiver(ReceiverChannel.MAIL, OPS)
    site.receiver(ReceiverChannel.PUSH, f"{http.url}/push", p256dh=browser.p256dh, auth=browser.auth)
    site.receiver(ReceiverChannel.CHAT, f"{http.url}/chat")
    site.receiver(ReceiverChannel.MAIL, "boss@venue.example", AlarmKind.LINE_LONG)
    site.sell(left=0)
    assert site.look() == 6, "two alarms for each of three receivers"
    told.telling()
    (mail,) = smtp.mails
    assert smtp.recipients == [OPS]
    assert mail["Subject"].endswith(", and 1 more")
    body = mail.get_body(("plain",))
    assert body is not None
    assert "Every seat is sold." in body.get_content()
    assert "Since: " in body.get_content()
    assert f"https://venue.example/ops#{site.event_id}" in body.get_content()
    posted = {path: content for path, _, content in http.asked}
    pushed = browser.read(posted["/push"])
    assert pushed["url"] == f"ops#{site.event_id}"
    text = json.loads(posted["/chat"])
    assert list(text) == ["text"]
    assert "https://venue.example/ops/alarms" in text["text"]
    assert "Nearly sold out" in text["text"]

    # Nothing is told again: neither while it stands, nor after a restart, nor by another process.
    site.watch = site.watching()
    assert [site.look() for _ in range(3)] == [0, 0, 0]
    site.told(**by(smtp)).telling()
    assert len(smtp.mails) == 1

    site.sell(left=100)
    assert site.look() == 0, "it is not calm for long enough"
    site.later(120)
    assert site.look() == 6
    told.telling()
    assert len(smtp.mails) == 2
    assert smtp.mails[1]["Subject"].startswith("Over: ")
    assert {state for _, state, _ in site.notices()} == {"sent"}
    site.later(3600)
    assert site.look() == 0


def test_an_alarm_leaves_while_another_one_waits_for_a_slow_chat(
    site: Site, smtp: SmtpServer, http: HttpServer
) -> None:
    chat = site.receiver(ReceiverChannel.CHAT, f"{http.url}/chat")
    mail = site.receiver(ReceiverChannel.MAIL, OPS)
    # Without the mail the chat would not answer, and would have to be tried again.
    http.may_answer = lambda: smtp.recipients
    site.run(lambda c: receivers.send_test(c, chat, "Ada"))

    def tell_by_mail() -> None:
        await_that(lambda: http.asked)
        site.run(lambda c: receivers.send_test(c, mail, "Ada"))

    told = site.told(**by(smtp))
    with ThreadPoolExecutor(1) as meanwhile:
        telling = meanwhile.submit(tell_by_mail)
        told.telling()
    telling.result()
    assert [state for _, state, _ in site.notices()] == ["sent", "sent"]


def test_a_chat_that_is_away_is_tried_again_and_one_that_is_gone_is_told_no_more(site: Site, http: HttpServer) -> None:
    told = site.told(ADMITONE_MESSAGE_RETRY_FIRST_SECONDS="1")
    receiver_id = site.receiver(ReceiverChannel.CHAT, f"{http.url}/chat", AlarmKind.SOLD_OUT)
    http.statuses = [503, 200, 410]
    site.sell(left=0)
    site.look()
    told.telling()
    ((_, state, error),) = site.notices()
    assert (state, error) == ("queued", "it answered 503")
    site.db.execute("UPDATE alarm_notice SET due_at = clock_timestamp()")
    told.telling()
    assert site.notices() == [("firing", "sent", "")]
    site.run(lambda c: receivers.send_test(c, receiver_id, "Ada"))
    told.telling()
    assert "Ada sent this" in json.loads(http.asked[-1][2])["text"]
    row = site.db.execute("SELECT error, gone_at IS NOT NULL, delivered_at IS NOT NULL FROM alarm_receiver").fetchone()
    assert row == ("it answered 410", True, True)
    site.later(7200)
    site.sell(left=100)
    site.look()
    site.later(120)
    assert site.look() == 0
    site.run(lambda c: receivers.send_test(c, receiver_id, "Ada"))
    told.telling()
    assert site.db.execute("SELECT gone_at, error FROM alarm_receiver").fetchone() == (None, ""), "it is there again"


def test_who_is_quiet_is_told_afterwards_if_the_alarm_still_stands(site: Site, http: HttpServer) -> None:
    receiver_id = site.receiver(ReceiverChannel.CHAT, f"{http.url}/chat", AlarmKind.SOLD_OUT)
    site.db.execute("UPDATE alarm_receiver SET quiet_until = clock_timestamp() + interval '1 hour'")
    site.sell(left=0)
    assert site.look() == 0
    site.run(lambda c: receivers.change_receiver(c, receiver_id, {"quiet_until": None}, "Ada"))
    assert site.look() == 1
    log = site.db.execute("SELECT subject, operator, field FROM change_log WHERE subject = 'alarm_receiver'").fetchall()
    assert {field for _, _, field in log} >= {"address", "quiet_until"}


def _bookings(site: Site, *, succeeded: int = 0, failed: int = 0) -> None:
    key = figures_key(lane_of(site.event_id, site.settings().lane.count))
    for field, number in (
        ("batches", succeeded + failed),
        ("command:reserve:succeeded", succeeded),
        ("command:reserve:timed_out", failed),
        ("wait:10", succeeded + failed),
    ):
        site.jobs.hincrby(key, field, number)


def test_errors_of_the_whole_site_are_an_alarm_which_is_told_again_while_it_stands(
    site: Site, http: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.alarms.sight.WINDOW_SECONDS_MIN", 0.0)
    told = site.told()
    site.receiver(ReceiverChannel.CHAT, f"{http.url}/chat")
    site.rule(AlarmKind.BOOKING_ERRORS, 10, 0)
    _bookings(site, succeeded=1)
    site.look()
    _bookings(site, succeeded=80, failed=20)
    assert site.look() == 1
    told.telling()
    text = json.loads(http.asked[-1][2])["text"]
    assert "% of the bookings fail." in text
    assert "Threshold: 10 %" in text
    assert site.look() == 0
    site.later(3601)
    assert site.look() == 1, "an hour later it still stands"
    told.telling()
    assert "Still an alarm" in json.loads(http.asked[-1][2])["text"]
    assert site.look() == 0
    site.rule(AlarmKind.BOOKING_ERRORS, 10, 0, enabled=False)
    assert site.look() == 1
    told.telling()
    assert "watched no more" in json.loads(http.asked[-1][2])["text"]


def test_one_event_may_have_a_threshold_of_its_own(site: Site) -> None:
    site.receiver(ReceiverChannel.MAIL, OPS)
    site.rule(AlarmKind.SOLD_SHARE, 1, enabled=False, event=site.event_id)
    site.rule(AlarmKind.SOLD_OUT, 100, enabled=False)
    site.sell(left=0)
    assert site.look() == 0
    site.rule(AlarmKind.SOLD_SHARE, 50, event=site.event_id)
    assert site.look() == 1
    lines = site.db.execute("SELECT field, before, after FROM change_log WHERE subject = 'alarm_rule' ORDER BY log_id")
    assert ("sold_share.enabled", "true", "false") in lines.fetchall()


def test_two_looks_at_once_decide_once(site: Site) -> None:
    site.receiver(ReceiverChannel.MAIL, OPS)
    site.sell(left=0)
    url = site.env["DATABASE_URL"]
    with (
        psycopg.connect(url, autocommit=True) as one,
        psycopg.connect(url, autocommit=True) as other,
        one.transaction(),
    ):
        site.watch.look(one)
        assert site.watching().look(other) == 0, "the first one still decides"
    assert len(site.notices()) == 2
    assert site.look() == 0


def test_an_alarm_that_is_over_before_it_was_sent_is_not_sent(site: Site, smtp: SmtpServer) -> None:
    site.receiver(ReceiverChannel.MAIL, OPS)
    site.sell(left=0)
    site.look()
    site.sell(left=100)
    site.look()
    site.later(120)
    assert site.look() == 0
    site.told(**by(smtp)).telling()
    assert smtp.mails == []
    assert {state for _, state, _ in site.notices()} == {"skipped"}
