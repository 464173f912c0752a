"""One site a module: real gateways, real workers, a database of its own; and what its tests do with it.

A module tunes its site by constants: ``GATEWAYS`` (how many, default 1), ``WORKERS`` (default 1) and ``ENVIRON``
(further environment variables). When the module is done, the audit with the ledger of all that its fans were
told must be clean, unless it says ``AUDITED = False``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg
import pytest
import redis

from admitone.fan.ledger import Ledger
from db.audit.invariants import audit
from db.events.seed import RoomSeed, TicketTypePlan
from db.operators.accounts import add_operator
from tests.client import Client, Fan
from tests.databases import Databases, as_gateway
from tests.factories import HALL, OPEN_DOOR, environ_of, make_event, plan_event
from tests.services import Service, Services, await_ready, free_port

OPERATOR, PASSWORD = "Ada", "correct horse battery staple"


@dataclass
class Site:
    """A running site and its clients. ``ledger_path`` keeps what fans were told."""

    database_url: str
    redis_url: str
    services: Services
    ledger_path: Path
    ledger: Ledger
    gateways: list[Service] = field(default_factory=list)
    addresses: Iterator[int] = field(default_factory=lambda: count(1))
    has_operator: bool = False
    _bookings: psycopg.Connection | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return self.gateways[0].url

    def client(self, gateway: int = 0) -> Client:
        """Somebody without a session."""
        return Client(self.gateways[gateway].url)

    def fan(self, gateway: int = 0) -> Fan:
        """A fan with a session."""
        return Fan.arrive(self.gateways[gateway].url, self.ledger)

    def admitted_fan(self, event_id: int, gateway: int = 0) -> Fan:
        """A fan who holds a pass of the event, whose door must be open."""
        fan = self.fan(gateway)
        joined = fan.join(event_id)
        assert joined.json["state"] == "admitted", joined.content
        return fan

    def operator(self, gateway: int = 0) -> Client:
        """An operator with a session, from a network of their own, for tries are limited."""
        if not self.has_operator:
            # A new password would end the sessions that the operator has.
            add_operator(self.database_url, OPERATOR, PASSWORD)
            self.has_operator = True
        client = Client(self.gateways[gateway].url, source=f"127.0.{next(self.addresses) % 200 + 10}.1")
        answer = client.post("/api/ops/session", {"name": OPERATOR, "password": PASSWORD})
        assert answer.status == 201, answer.content
        client.headers["Authorization"] = f"Bearer {answer.json['token']}"
        return client

    def event(
        self,
        *,
        room: RoomSeed = OPEN_DOOR,
        hall: tuple[TicketTypePlan, ...] = HALL,
        seats_per_fan_max: int = 10,
        on_sale_in: dt.timedelta = dt.timedelta(hours=-1),
    ) -> int:
        """A new event; gives its id."""
        plan = plan_event(room=room, hall=hall, seats_per_fan_max=seats_per_fan_max, on_sale_in=on_sale_in)
        return make_event(self.database_url, plan)

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url, socket_timeout=10)

    def bookings(self) -> str:
        """A checksum of every booking table."""
        if self._bookings is None:
            # Kept open: hundreds of tests compare what was before with what came of it.
            self._bookings = psycopg.connect(self.database_url, autocommit=True)
        row = self._bookings.execute(_CHECKSUM).fetchone()
        assert row is not None
        return str(row[0])

    def close(self) -> None:
        if self._bookings is not None:
            self._bookings.close()


_CHECKSUM = """
SELECT md5(concat(
    (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM event t),
    (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM ticket t),
    (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM seat t),
    (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM reservation t),
    (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM purchase t),
    (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM purchase_detail t),
    (SELECT string_agg(t::text, '|' ORDER BY t::text) FROM booking_command t),
    (SELECT string_agg(outbox_id::text, '|' ORDER BY outbox_id::text) FROM outbox WHERE kind LIKE 'purchase.%')))
"""


@pytest.fixture(scope="module")
def module_database_url(databases: Databases) -> Iterator[str]:
    """A migrated, empty database of the module's own."""
    with databases.one() as url:
        yield url


def _start_gateway(services: Services) -> Service:
    """Not yet ready: so that several start at a time. Its role in the database is a gateway's."""
    port, database_url = free_port(), as_gateway(services.environ["DATABASE_URL"])
    return services.start("gateway", "--port", str(port), url=f"http://127.0.0.1:{port}", DATABASE_URL=database_url)


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest,
    module_database_url: str,
    valkey_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """The module's site; audited at its end."""
    further: dict[str, str] = getattr(request.module, "ENVIRON", {})
    folder = tmp_path_factory.mktemp("site")
    ledger_path = folder / "ledger.jsonl"
    with redis.Redis.from_url(valkey_url, socket_timeout=10) as client:
        client.flushall()
    services = Services(environ_of(module_database_url, valkey_url, further), folder)
    with Ledger(ledger_path) as ledger:
        site = Site(module_database_url, valkey_url, services, ledger_path, ledger)
        try:
            for _ in range(getattr(request.module, "WORKERS", 1)):
                services.worker()
            site.gateways += [_start_gateway(services) for _ in range(getattr(request.module, "GATEWAYS", 1))]
            for gateway in site.gateways:
                # Without its workers the first test's commands could wait past their deadline.
                await_ready(gateway, with_lanes=getattr(request.module, "WORKERS", 1) > 0)
            yield site
            if getattr(request.module, "AUDITED", True):
                grace_seconds = int(further.get("ADMITONE_HOLD_GRACE_SECONDS", "15"))
                broken = audit(module_database_url, grace_seconds=grace_seconds, ledger=ledger_path)
                assert broken == [], f"{broken}\n{services.report()}"
        finally:
            services.stop()
            site.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    site = getattr(item, "funcargs", {}).get("site")
    if isinstance(site, Site) and report.failed:
        report.sections.append(("logs of the module's processes", site.services.report()))
    return report
