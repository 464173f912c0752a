"""The cache before the site is told of changes, by the calls that each provider documents."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import msgspec
import pytest
from aiohttp import web

from db.connections.engines import create_engine
from db.edge.keys import Provider
from db.edge.settings import EdgeSettings
from db.rooms.steering import Ask, steer
from tests.integration.engine.books import Books, connect
from tests.waiting import await_that
from workers.channels.channel import Message
from workers.channels.dispatcher import Dispatcher
from workers.channels.edge.channel import Edge

TOKEN = "a token of the provider's"


@dataclass
class Told:
    """A server that takes the calls of all providers as they document them, and keeps what it was told to forget."""

    url: str = ""
    forgotten: list[set[str]] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    """Statuses that it answers first."""
    calls: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.calls += 1
        if self.refusals:
            return web.Response(status=self.refusals.pop(0))
        if request.method == "POST" and request.path == "/service/S1/purge":
            if request.headers.get("Fastly-Key") != TOKEN:
                return web.json_response({"msg": "Provided credentials are missing or invalid"}, status=401)
            self.forgotten.append(set(request.headers["Surrogate-Key"].split()))
            return web.json_response(dict.fromkeys(self.forgotten[-1], "id"))
        if request.method == "POST" and request.path == "/zones/S1/purge_cache":
            body = msgspec.json.decode(await request.read(), type=dict[str, list[str]])
            if request.headers.get("Authorization") != f"Bearer {TOKEN}" or request.content_type != "application/json":
                return web.json_response({"success": False, "errors": [{"code": 10000}]})
            self.forgotten.append(set(body["tags"]))
            return web.json_response({"success": True, "errors": [], "result": {"id": "S1"}})
        if request.method == "PURGE" and "xkey" in request.headers:
            self.forgotten.append(set(request.headers["xkey"].split()))
            return web.Response()
        if request.method == "PURGE":
            # As ngx_cache_purge answers for an address of which it has no copy.
            self.forgotten.append({request.headers["Host"] + request.path})
            return web.Response(status=412)
        return web.Response(status=404)


@contextlib.asynccontextmanager
async def telling() -> AsyncIterator[Told]:
    told = Told()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", told.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    told.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield told
    finally:
        await runner.cleanup()


@dataclass
class Site:
    books: Books
    told: Told

    async def steer(self, **dials: str) -> None:
        engine = create_engine(self.books.database_url, 1)
        async with engine.begin() as connection:
            await steer(connection, self.books.event, Ask(dials=dials), "Ada", "")
        await engine.dispose()

    @contextlib.asynccontextmanager
    async def dispatching(self, provider: Provider, token: str = TOKEN) -> AsyncIterator[None]:
        settings = EdgeSettings(provider=provider, urls=self.told.url, zone="S1", token=token, attempts_max=3)
        stop = asyncio.Event()
        edge = Edge(settings, public_url="https://tickets.test/hall")
        task = asyncio.create_task(Dispatcher(self.books.database_url, [edge]).run(stop))
        try:
            yield
            assert not task.done()
        finally:
            stop.set()
            await task

    def states(self) -> list[tuple[str, int]]:
        rows = self.books.rows("SELECT state, attempts FROM delivery WHERE channel = 'edge' ORDER BY created_at")
        return [(row["state"], row["attempts"]) for row in rows]


@pytest.fixture
async def site(database_url: str) -> AsyncIterator[Site]:
    with connect(database_url) as connection:
        books = Books(database_url, connection, 0)
        books.event = books.event_new(room="paused")
        async with telling() as told:
            yield Site(books, told)


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(await_that, condition, 30)


@pytest.mark.parametrize("provider", [Provider.FASTLY, Provider.CLOUDFLARE, Provider.VARNISH])
async def test_a_change_is_told_by_the_keys_of_what_shows_it(site: Site, provider: Provider) -> None:
    async with site.dispatching(provider):
        await site.steer(message="Doors at seven")
        await until(lambda: site.states() == [("delivered", 1)])
    assert site.told.forgotten == [{f"event-{site.books.event}", "events"}]


async def test_nginx_is_told_each_address(site: Site) -> None:
    async with site.dispatching(Provider.NGINX):
        await site.steer(message="Doors at seven")
        await until(lambda: site.states() == [("delivered", 1)])
    addresses = {address for one in site.told.forgotten for address in one}
    event = f"/events/{site.books.event}"
    assert addresses >= {f"tickets.test/hall{path}" for path in ("/", "/de/", event, f"/ar{event}", "/api/events")}


async def test_a_call_that_fails_is_made_again_and_not_for_ever(site: Site) -> None:
    site.told.refusals = [503]
    async with site.dispatching(Provider.FASTLY):
        await site.steer(message="Doors at seven")
        await until(lambda: site.states() == [("delivered", 2)])
    async with site.dispatching(Provider.CLOUDFLARE, token="wrong"):
        await site.steer(message="Doors at eight")
        await until(lambda: site.states()[1:] == [("dead", 3)])
    assert site.told.forgotten == [{f"event-{site.books.event}", "events"}]


async def test_what_a_booking_changes_is_not_told(site: Site) -> None:
    site.books.connection.execute(
        "INSERT INTO outbox (event_id, outbox_id, kind, payload, created_at)"
        " VALUES (%s, gen_random_uuid(), 'purchase.made', '{}', now())",
        (site.books.event,),
    )
    async with site.dispatching(Provider.VARNISH):
        await until(lambda: site.books.number("SELECT count(*) FROM outbox WHERE sent_at IS NULL") == 0)
        await site.steer(message="Doors at seven")
        await until(lambda: site.states() == [("delivered", 1)])
    assert site.told.calls == 1


async def test_a_site_without_an_edge_writes_no_deliveries_for_one(site: Site) -> None:
    stop = asyncio.Event()
    await site.steer(message="Doors at seven")
    task = asyncio.create_task(Dispatcher(site.books.database_url, []).run(stop))
    await until(lambda: site.books.number("SELECT count(*) FROM outbox WHERE sent_at IS NULL") == 0)
    stop.set()
    await task
    assert site.states() == []


async def test_an_edge_without_an_address_is_told_nothing() -> None:
    edge = Edge(EdgeSettings(provider=Provider.VARNISH))
    message = Message(1, uuid.uuid4(), 0, 1, "event.changed", {}, dt.datetime.now(dt.UTC))
    assert (await edge.send(message)).delivered
    await edge.close()
