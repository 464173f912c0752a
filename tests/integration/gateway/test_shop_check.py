"""The check before a shop, with real Postgres and real Valkey: who is let through, and what every attack meets."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import http.server
import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy.ext.asyncio import AsyncEngine

from booking_lane.gathering import GatheringRedis
from db.connections.engines import create_engine
from db.rooms.steering import Ask, steer
from db.search.folding import FOLDING
from db.search.writing import BEHIND
from db.shops.model import shop_of
from db.shops.writing import ShopPlan, change_shop, make_shop
from gateway.health.metrics import Traffic
from gateway.identity.limits import RateLimits
from gateway.identity.networks import Networks
from gateway.identity.sightings import Sightings
from gateway.line.autopilot import sight_of_shop
from gateway.line.counts import Counts
from gateway.line.registry import RoomRegistry
from gateway.line.restoring import Restoring
from gateway.shops import seen as seen_passes
from gateway.shops.addresses import with_arrival
from gateway.shops.check import ShopChecks
from gateway.shops.probing import ShopProbes
from gateway.shops.settings import ShopSettings
from gateway.wire.settings import LimitSettings
from waiting_room.autopilot import start
from waiting_room.autopilot import steer as steering
from waiting_room.keys import room_channel
from waiting_room.line import Line
from waiting_room.model import read_news
from waiting_room.settings import LineSettings
from waiting_room.shop_figures import Pushed, ShopFigures
from waiting_room.shop_passes import ShopPass, ShopPasses, agent_hash, audience

SECRET: Final = "a secret of this test"
AGENT: Final = "Mozilla/5.0 (test)"
SHOP: Final = "https://shop.example"


@dataclass
class Checked:
    """An answer of the check."""

    status: int
    headers: list[tuple[str, str]]
    content: bytes

    def header(self, name: str) -> str:
        return dict(self.headers).get(name, "")

    @property
    def cookie(self) -> str:
        """The pass that the answer brings, as a browser sends it back; empty without one."""
        return self.header("set-cookie").partition(";")[0]

    @property
    def to(self) -> str:
        """Where the waiting page sends the fan back to."""
        found = parse_qs(urlsplit(self.header("location")).query)
        return found["to"][0]


class CountingRedis(GatheringRedis):
    """Counts how often commands leave for Redis, which may be away."""

    trips = 0
    is_away = False

    async def ask_all(self, calls: Any) -> list[Any]:
        self.trips += 1
        if self.is_away:
            raise RedisConnectionError("away")
        return await super().ask_all(calls)


@dataclass
class Site:
    """A gateway's check and what it stands on."""

    engine: AsyncEngine
    client: CountingRedis
    line: Line
    rooms: RoomRegistry
    checks: ShopChecks
    clock: list[float]

    async def make(self, dials: Mapping[str, int] | None = None, **shop: Any) -> int:
        async with self.engine.begin() as connection:
            plan = ShopPlan(name="A shop", shop=shop_of(**{"origin": SHOP, **shop}), dials=dials or {})
            row = await make_shop(connection, plan, "Ada")
        await self.rooms.configure(row)
        return row.event_id

    async def ask(
        self,
        event_id: int | str,
        path: str = "/checkout?step=1",
        *,
        cookie: str = "",
        agent: str = AGENT,
        address: str = "192.0.2.1",
        dialect: str = "",
        **headers: str,
    ) -> Checked:
        sent = {"user-agent": agent, "accept": "text/html", "x-original-url": SHOP + path}
        if dialect == "/forward":
            sent |= {"x-forwarded-host": "shop.example", "x-forwarded-uri": path, "x-forwarded-method": "GET"}
        sent |= {"cookie": cookie} | {name.replace("_", "-"): value for name, value in headers.items()}
        whole = f"/gate/{event_id}{dialect}"
        scope = {
            "type": "http",
            "method": "POST" if dialect == "/end" else "GET",
            "path": whole,
            "raw_path": whole.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items() if value],
            "client": (address, 1),
        }
        said: list[Any] = []

        async def send(message: Any) -> None:
            said.append(message)

        await self.checks.answers(scope, send)
        start, body = said
        headers_said = [(name.decode(), value.decode()) for name, value in start["headers"]]
        return Checked(start["status"], headers_said, body["body"])

    async def admit(self, event_id: int, fan: int) -> None:
        assert (await self.line.join(event_id, fan)).state == "admitted"

    def arrival(self, event_id: int, fan: int, **changed: Any) -> str:
        """What the waiting page gives a fan along, with some claims changed."""
        now = int(self.clock[0])
        claims = {
            "iss": "",
            "aud": audience("arrival", event_id),
            "sub": str(fan),
            "jti": f"arrival-{fan}",
            "iat": now,
            "exp": now + 60,
            "end": now + 3600,
            "ua": agent_hash(AGENT.encode()),
        }
        return self.checks.passes.sign(ShopPass(**{**claims, **changed}))

    async def arrive(self, event_id: int, fan: int, **how: Any) -> Checked:
        """The fan comes from the waiting page."""
        return await self.ask(event_id, with_arrival("/checkout?step=1", self.arrival(event_id, fan)), **how)

    async def pass_of(self, event_id: int, fan: int) -> str:
        """The cookie of a fan who is let in."""
        await self.admit(event_id, fan)
        arrived = await self.arrive(event_id, fan)
        assert arrived.cookie
        return arrived.cookie


@contextlib.asynccontextmanager
async def site_on(database_url: str, redis_url: str) -> AsyncIterator[Site]:
    engine = create_engine(database_url, pool_max=2)
    async with (
        CountingRedis.from_url(redis_url, socket_timeout=60) as client,
        redis.asyncio.Redis.from_url(redis_url) as plain,
    ):
        assert isinstance(client, CountingRedis)
        seconds, micros = await plain.time()
        clock = [int(seconds) + int(micros) / 1e6]

        def now() -> float:
            return clock[0]

        def moment() -> dt.datetime:
            return dt.datetime.fromtimestamp(now(), dt.UTC)

        line = Line(client)
        rooms = RoomRegistry(engine, line, LineSettings())
        counts = Counts(engine, line, rooms, 15)
        sightings = Sightings(client, now)
        checks = ShopChecks(
            line,
            client,
            rooms,
            counts,
            Restoring(engine, line, rooms, 600),
            RateLimits(client, sightings),
            Networks(engine, moment, sightings),
            ShopPasses(SECRET, now),
            LimitSettings(joins_per_minute=5),
            Traffic(),
            now,
        )
        clock[0] += 1  # What is signed from now on was signed after this process began to listen.
        yield Site(engine, client, line, rooms, checks, clock)
    await engine.dispose()


@pytest.fixture
async def site(database_url: str, redis_url: str) -> AsyncIterator[Site]:
    async with site_on(database_url, redis_url) as site:
        yield site


async def test_a_fan_without_a_pass_is_sent_to_the_line_and_comes_back_with_one(site: Site) -> None:
    event_id = await site.make()
    refused = await site.ask(event_id)
    assert refused.status == 401
    assert refused.header("cache-control") == "no-store"
    assert urlsplit(refused.header("location")).path == f"/wait/{event_id}"
    assert refused.to == f"{SHOP}/checkout?step=1"
    document = json.loads(refused.content)
    assert document["code"] == "pass_required"
    assert document["href"] == refused.header("location")

    await site.admit(event_id, 7)
    arrived = await site.arrive(event_id, 7)
    assert (arrived.status, arrived.header("location")) == (401, f"{SHOP}/checkout?step=1"), "without the token"
    assert arrived.header("cache-control") == "no-store"
    words = arrived.header("set-cookie").split("; ")
    assert words[0].startswith(f"__Host-admitone_shop_{event_id}=")
    assert {"Path=/", "HttpOnly", "SameSite=None", "Secure"} < set(words)

    asked_before = site.client.trips
    for _ in range(3):
        through = await site.ask(event_id, cookie=f"basket=1; {arrived.cookie}; other=2")
        assert (through.status, through.cookie) == (200, "")
    assert site.client.trips == asked_before, "a pass that was verified asks nobody"
    assert site.checks._traffic.requests["GET", "/gate/{event_id}", 200] == 3


async def test_proxies_that_hand_answers_on_get_redirects_for_people_alone(site: Site) -> None:
    event_id = await site.make()
    page = await site.ask(event_id, dialect="/forward", x_original_url=f"{SHOP}/of/another/proxy")
    assert (page.status, page.to) == (302, f"{SHOP}/checkout?step=1")
    form = await site.ask(event_id, dialect="/forward", x_forwarded_method="POST")
    assert (form.status, form.to) == (303, f"{SHOP}/"), "a form cannot be sent again by its address"
    for sent_from, to in ((f"{SHOP}/product/1", f"{SHOP}/product/1"), ("https://evil.example/", f"{SHOP}/")):
        again = await site.ask(event_id, dialect="/forward", x_forwarded_method="POST", referer=sent_from)
        assert again.to == to, "but filled in again, on a page of the shop"
    program = await site.ask(event_id, dialect="/forward", accept="application/json")
    assert program.status == 401
    assert program.header("www-authenticate")
    envoy = await site.ask(event_id, dialect="/envoy/checkout", host="shop.example")
    assert (envoy.status, envoy.to) == (302, f"{SHOP}/checkout")
    assert (await site.ask(event_id, dialect="/other")).status == 404
    assert (await site.ask("0")).status == (await site.ask("٣")).status == (await site.ask("9" * 40)).status == 404
    assert (await site.ask(event_id + 1)).status == 404


async def test_a_pass_that_is_used_lives_on_and_one_that_is_not_frees_its_slot(site: Site) -> None:
    event_id = await site.make({"pass_seconds": 5, "pass_life_seconds": 3600, "capacity": 1})
    cookie = await site.pass_of(event_id, 7)
    until_ms = await site.line.admitted_until(event_id, 7)
    assert until_ms is not None
    site.clock[0] += 2
    first, second = await asyncio.gather(*(site.ask(event_id, cookie=cookie) for _ in range(2)))
    assert {first.status, second.status} == {200}
    renewed = first.cookie or second.cookie
    assert renewed
    assert renewed != cookie
    assert bool(first.cookie) != bool(second.cookie), "of several requests at once one renews the pass"
    later_ms = await site.line.admitted_until(event_id, 7)
    assert later_ms is not None
    assert later_ms >= until_ms

    site.clock[0] += 6
    assert (await site.ask(event_id, cookie=cookie)).status == 401, "the old one has ended"
    # Redis' own clock has not come so far: only its slot's end is looked at here.
    await site.client.zadd(f"room:{{{event_id}}}:admitted", {"7": 1})
    assert (await site.ask(event_id, cookie=renewed)).status == 401
    await site.line.admit(event_id)
    await site.admit(event_id, 8)


async def test_a_pass_ends_at_its_longest_life_however_much_it_is_used(site: Site) -> None:
    event_id = await site.make({"pass_seconds": 300, "pass_life_seconds": 300})
    await site.admit(event_id, 7)
    first = await site.line.renew(event_id, 7)
    assert first is not None
    assert first.until_ms <= first.ends_at_ms
    # Admitted a while ago: 200 s of the 300 are over.
    kept = await site.client.hget(f"room:{{{event_id}}}:places", "7")
    assert isinstance(kept, bytes)
    place = kept.decode().split(":")
    place[2] = str(int(place[2]) - 200_000)
    await site.client.hset(f"room:{{{event_id}}}:places", "7", ":".join(place))
    await site.client.zadd(f"room:{{{event_id}}}:admitted", {"7": first.until_ms - 250_000})
    again = await site.line.renew(event_id, 7)
    assert again is not None
    assert again.until_ms == again.ends_at_ms == int(place[2]) + 300_000


async def test_forged_expired_and_foreign_passes_are_refused(site: Site) -> None:
    event_id, other_id = await site.make(), await site.make()
    cookie = await site.pass_of(event_id, 7)
    name, _, token = cookie.partition("=")
    header, payload, signature = token.split(".")
    stranger = ShopPasses("another secret", lambda: site.clock[0])
    claims = site.checks.passes.verify(token.encode(), "pass", event_id)
    forged = {
        "another site's": stranger.sign(claims),
        "unsigned": f"eyJhbGciOiJub25lIn0.{payload}.",
        "cut": token[:-1],
        "another spelling of the signature": token[:-1] + chr(ord(token[-1]) + 1),
        "swapped": f"{header}.{payload}.{signature[::-1]}",
        "another room's": site.checks.passes.sign(msgspec.structs.replace(claims, aud=audience("pass", other_id))),
        "an arrival": site.arrival(event_id, 7),
        "an open pass": site.checks.passes.sign(msgspec.structs.replace(claims, aud=f"event:{event_id}")),
        "ended": site.checks.passes.sign(msgspec.structs.replace(claims, exp=int(site.clock[0]))),
        "long": token + "a" * 2000,
        "not ASCII": "é.ü.ö",
        "nothing": "",
    }
    for what, one in forged.items():
        assert (await site.ask(event_id, cookie=f"{name}={one}")).status == 401, what
    assert (await site.ask(event_id, cookie=f"x{name}={token}")).status == 401, "another cookie's end"
    assert (await site.ask(other_id, cookie=cookie.replace(str(event_id), str(other_id)))).status == 401
    assert (await site.ask(event_id, cookie=cookie)).status == 200
    assert (await site.ask(event_id, x_admitone_pass=token)).status == 200, "an app's header"


async def test_an_arrival_is_used_once_and_in_the_browser_that_waited(site: Site) -> None:
    event_id = await site.make()
    await site.admit(event_id, 7)
    assert not (await site.arrive(event_id, 7, agent="curl/8")).cookie
    assert (await site.arrive(event_id, 7)).cookie
    again = await site.arrive(event_id, 7)
    assert not again.cookie
    assert again.to == f"{SHOP}/checkout?step=1", "the token does not travel on"
    late = with_arrival("/", site.arrival(event_id, 7, jti="late", exp=int(site.clock[0])))
    assert not (await site.ask(event_id, late)).cookie
    assert not (await site.ask(event_id, with_arrival("/", site.arrival(event_id, 99)))).cookie, "nobody let 99 in"


async def test_a_shared_pass_is_bound_to_a_browser_and_to_few_networks(site: Site) -> None:
    event_id = await site.make()
    cookie = await site.pass_of(event_id, 7)
    assert (await site.ask(event_id, cookie=cookie, agent="another browser")).status == 401
    crowd = [f"198.51.{number}.1" for number in range(seen_passes.NETWORKS_MAX + 3)]
    let_through = [(await site.ask(event_id, cookie=cookie, address=one)).status for one in crowd]
    assert let_through.count(200) == seen_passes.NETWORKS_MAX - 1
    assert (await site.ask(event_id, cookie=cookie)).status == 200, "whoever it was given to goes on"
    site.clock[0] += 40
    renewed = (await site.ask(event_id, cookie=cookie)).cookie
    assert (await site.ask(event_id, cookie=renewed, address="203.0.113.9")).status == 401, "a renewal keeps count"


async def test_a_pass_is_called_back_at_once_wherever_it_is_asked_about(site: Site) -> None:
    event_id = await site.make()
    cookie = await site.pass_of(event_id, 7)
    async with site.client.pubsub() as listening:
        await listening.subscribe(room_channel(event_id, 0))
        await site.line.leave(event_id, 7)
        while (message := await listening.get_message(timeout=5)) is None or message["type"] != "message":
            pass
    site.checks.on_news(read_news(message["data"]))
    assert (await site.ask(event_id, cookie=cookie)).status == 401
    assert (await site.ask(event_id, cookie=cookie)).status == 401, "and stays so"

    cookie = await site.pass_of(event_id, 8)
    await site.line.leave(event_id, 8)
    assert (await site.ask(event_id, cookie=cookie)).status == 200, "the news is still on its way"
    site.checks.on_gap()
    assert (await site.ask(event_id, cookie=cookie)).status == 401, "news that may have been missed are asked for"


async def test_a_fan_who_is_done_gives_the_slot_to_the_next(site: Site) -> None:
    event_id = await site.make({"capacity": 1})
    cookie = await site.pass_of(event_id, 7)
    assert (await site.ask(event_id, cookie=cookie, dialect="/end")).status == 200
    assert (await site.ask(event_id, cookie=cookie)).status == 401
    assert (await site.ask(event_id, cookie="", dialect="/end")).status == 401
    await site.admit(event_id, 8)


async def test_a_safety_net_lets_fans_in_until_the_shop_is_full(site: Site) -> None:
    event_id = await site.make({"capacity": 2, "rate_per_minute": 60_000}, always=False)
    passes = []
    for _ in range(3):
        site.checks._counts._forget(event_id)
        passes.append(await site.ask(event_id))
    assert [one.status for one in passes] == [200, 200, 401]
    assert all(one.cookie for one in passes[:2])
    assert (await site.ask(event_id, cookie=passes[0].cookie)).status == 200
    counts = await site.line.counts(event_id)
    assert (counts.admitted, counts.waiting) == (2, 0), "who was sent to wait holds no place yet"

    wide = await site.make({"capacity": 100, "rate_per_minute": 600_000}, always=False)
    answers = [(await site.ask(wide, address="198.51.100.7")).status for _ in range(8)]
    assert answers.count(200) == 5, "one network has so many joins a minute, with the two of before of another network"


async def test_paths_that_are_not_protected_need_no_pass(site: Site) -> None:
    event_id = await site.make(paths=["/checkout"], open_paths=["/checkout/webhook"])
    assert (await site.ask(event_id, "/about")).status == 200
    assert (await site.ask(event_id, "/checkout/webhook")).status == 200
    assert (await site.ask(event_id, "/checkout")).status == 401
    assert (await site.ask(event_id, "/about/../checkout")).status == 401
    spoofed = await site.ask(event_id, "/checkout", x_forwarded_uri="/about", x_original_uri="/about")
    assert spoofed.status == 401, "another proxy's headers are not believed"
    spoofed = await site.ask(event_id, "/checkout", dialect="/forward", x_original_url=f"{SHOP}/about")
    assert spoofed.status == 302
    elsewhere = await site.ask(event_id, "/checkout", x_original_url="https://evil.example/checkout")
    assert elsewhere.to == f"{SHOP}/checkout", "the way back leads to the shop"
    huge = await site.ask(event_id, "/checkout?" + "a" * 5000)
    assert huge.to == f"{SHOP}/"


@pytest.mark.parametrize("fail_open", [True, False])
async def test_a_shop_says_what_happens_while_the_line_is_away(site: Site, *, fail_open: bool) -> None:
    event_id = await site.make(fail_open=fail_open)
    cookie = await site.pass_of(event_id, 7)
    site.checks._counts._forget(event_id)
    site.client.is_away = True
    asked_before = site.client.trips
    assert [(await site.ask(event_id)).status for _ in range(5)] == [200 if fail_open else 401] * 5
    assert site.client.trips == asked_before + 1, "it is not asked again at once"
    site.clock[0] += 40
    site.checks._away_until = 0.0
    answer = await site.ask(event_id, cookie=cookie)
    assert (answer.status, answer.cookie) == (200, ""), "a signature needs no line"


async def test_a_slot_that_redis_lost_comes_back_with_its_pass(site: Site) -> None:
    event_id = await site.make()
    cookie = await site.pass_of(event_id, 7)
    await site.client.flushall()
    site.checks.on_gap()
    answer = await site.ask(event_id, cookie=cookie)
    assert answer.status == 200
    assert answer.cookie
    assert await site.line.admitted_until(event_id, 7) is not None


async def test_a_room_that_is_off_protects_nothing(site: Site) -> None:
    event_id = await site.make()
    async with site.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE room SET state = 'off', revision = revision + 1")
    await site.rooms.refresh()
    assert (await site.ask(event_id)).status == 200


async def test_a_shops_room_is_steered_and_changed_as_every_room_and_stands_in_no_list(site: Site) -> None:
    event_id = await site.make()
    async with site.engine.begin() as connection:
        await steer(connection, event_id, Ask(dials={"capacity": 7}), "Ada", "")
        changed = await change_shop(connection, event_id, {"paths": ["/checkout"]}, "Ada", "only the checkout")
        same = await change_shop(connection, event_id, {"paths": ["/checkout"]}, "Ada")
        assert changed.shop is not None
        assert (changed.capacity, changed.shop.paths, changed.revision) == (7, ("/checkout",), 3)
        assert same.revision == 3
        behind = await connection.exec_driver_sql(BEHIND, {"folding": FOLDING, "rows_max": 10})
        assert behind.all() == [], "the search lists no shop"
        log = await connection.exec_driver_sql(
            "SELECT field, before, after FROM change_log WHERE subject = 'room' ORDER BY log_id"
        )
        assert [tuple(row) for row in log] == [
            ("shop", "", SHOP),
            ("capacity", "500", "7"),
            ("paths", "/", "/checkout"),
        ]
    await site.rooms.configure(changed)
    assert (await site.ask(event_id, "/about")).status == 200


async def test_the_autopilot_raises_a_shops_rate_whatever_the_lanes_do(site: Site) -> None:
    event_id = await site.make({"capacity": 0})
    await site.line.join(event_id, 7)
    full = sight_of_shop(await site.line.counts(event_id), shop_of(origin=SHOP), None)
    assert (full.waiting, full.slots_free, full.p95_ms, full.backlog) == (1, 0, None, 0)
    first = start(1200, full.at_seconds)
    assert steering(first, full, 1200, 500).cause == "capacity"
    free = msgspec.structs.replace(full, slots_free=10)
    assert steering(first, free, 1200, 500).shows_per_minute > first.shows_per_minute


class _Shop(http.server.BaseHTTPRequestHandler):
    """A shop that answers by its path, and notes what it was asked."""

    asked: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response({"/broken": 503, "/moved": 302}.get(self.path, 200))
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")


@pytest.fixture
def shop_url() -> Iterator[str]:
    _Shop.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Shop) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


async def test_a_shops_probe_url_is_looked_at_by_one_gateway_at_a_time(site: Site, shop_url: str) -> None:
    event_id = await site.make(probe_url=f"{shop_url}/checkout")
    figures = ShopFigures(site.client)
    assert await figures.may_look(event_id + 1, 60)
    assert not await figures.may_look(event_id + 1, 60), "another gateway has looked"
    settings = ShopSettings(probe_seconds=0.2)
    probes = [ShopProbes(site.rooms, figures, settings, public_only=False, now=lambda: site.clock[0]) for _ in range(2)]
    keepers = [asyncio.create_task(one.keep_looking()) for one in probes]
    try:
        async with asyncio.timeout(30):
            while (found := await figures.of(event_id, site.clock[0])) is None or found.asked < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (found.is_fresh, found.failed, found.source) == (True, 0, "probe")
        assert found.p95_ms > 0
        assert set(_Shop.asked) == {"/checkout"}
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        for one in probes:
            await one.close()
    await figures.forget_looks(event_id)
    assert await figures.of(event_id, site.clock[0]) is None
    await figures.take(event_id, Pushed(site.clock[0], 420, 1840, 3, 10))
    told = await figures.of(event_id, site.clock[0])
    assert told is not None
    assert (told.p95_ms, told.per_second, told.source) == (420, 184, "pushed")


async def test_a_look_follows_no_redirect_and_goes_where_probes_may_alone(site: Site, shop_url: str) -> None:
    figures = ShopFigures(site.client)

    def probes(*, public_only: bool = False, **settings: Any) -> ShopProbes:
        return ShopProbes(
            site.rooms, figures, ShopSettings(**settings), public_only=public_only, now=lambda: site.clock[0]
        )

    made = [probes(), probes(public_only=True), probes(public_only=True, probe_networks="127.0.0.0/8")]
    free, public, inside = made
    try:
        assert not (await free.look(f"{shop_url}/checkout")).is_failed
        assert not (await free.look(f"{shop_url}/moved")).is_failed
        assert (await free.look(f"{shop_url}/broken")).is_failed
        assert _Shop.asked == ["/checkout", "/moved", "/broken"]
        assert (await public.look(f"{shop_url}/checkout")).is_failed
        assert len(_Shop.asked) == 3, "no connection was made"
        assert not (await inside.look(f"{shop_url}/checkout")).is_failed
        assert (await free.look("http://127.0.0.1:1/")).is_failed
    finally:
        for one in made:
            await one.close()


def test_many_passes_take_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_passes, "PASSES_MAX", 3)
    monkeypatch.setattr(seen_passes, "ENDED_MAX", 3)
    seen = seen_passes.SeenPasses(100.0)
    for number in range(9):
        seen.keep(b"%d" % number, seen_passes.SeenPass(1, number % 2, b"", 0.0, 0))
    assert list(seen.by_token) == [b"6", b"7", b"8"]
    assert sum(map(len, seen._tokens.values())) == 3
    assert not seen.must_ask(1, 0, 101)
    for fan in range(4):
        seen.end(1, fan, 200.0)
    assert len(seen._ended) <= 3
    assert seen.must_ask(1, 0, 150), "what was forgotten is asked for"
