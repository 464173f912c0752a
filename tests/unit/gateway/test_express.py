"""The short way answers the calls of a sale as Litestar would, and leaves to Litestar what is unusual about one."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from booking_lane.coalescer import LaneFullError
from gateway.express import BODY_BYTES_MAX, Express
from gateway.hall.hall import Rendered
from gateway.search.catalogue import Search
from gateway.search.held import HeldCatalogue
from gateway.wire import problems
from gateway.wire.problems import ProblemError

NOW = dt.datetime(2027, 6, 12, tzinfo=dt.UTC)
ID = "0192f0c5-7d1e-7a3b-8c4d-5e6f7a8b9c0d"
CALLS = [
    ("POST", "/api/reserve", b'{"eventId":1,"bestAvailable":{"ticketTypeId":1,"quantity":1}}'),
    ("PUT", "/api/checkout", b'{"eventId":1,"reservationId":"%s"}' % ID.encode()),
    ("POST", "/api/queue/1", b"{}"),
    ("POST", "/api/queue/1", b""),
    ("GET", "/api/queue/1", b""),
    ("POST", "/api/queue/1/claim", b""),
    ("GET", f"/api/jobs/{ID}", b""),
    ("GET", f"/api/purchases/{ID}", b""),
]
BAD_BODIES = [
    ("POST", "/api/reserve", b'{"eventId":"1"}'),
    ("POST", "/api/queue/1", b'{"accessCode":1}'),
    ("POST", "/api/queue/1", b"["),
]
UNUSUAL = [
    ("POST", "/api/queue/01", b""),
    ("POST", "/api/queue/9007199254740993", b""),
    ("GET", f"/api/jobs/{ID.upper()}", b""),
    ("GET", f"/api/jobs/{ID}/", b""),
    ("GET", f"/api/jobs/{ID}", b"wait=31"),
    ("GET", f"/api/jobs/{ID}", b"wait=1&wait=2"),
    ("GET", "/api/queue/1", b"token=x"),
    ("GET", "/api/initial-call/1", b"minVersion=1"),
    ("GET", "/api/events/1/seats", b"minVersion=1"),
    ("DELETE", "/api/queue/1", b""),
    ("OPTIONS", "/api/reserve", b""),
    *(
        ("GET", "/api/events", query)
        for query in (
            b"q=",
            b"q=a&q=b",
            b"q=a&",
            b"q=%ff",
            b"q=%00",
            b"q=%zz",
            b"q=" + b"a" * 201,
            b"sort=best",
            b"limit=0",
            b"limit=101",
            b"limit=020",
            b"facets=1",
            b"available=True",
            b"from=2027-06-12T19:30:00Z",
            b"unknown=1",
        )
    ),
]
SEARCHES = [
    b"",
    b"q=nachtflug",
    b"sort=relevance&facets=true&q=Zo%C3%AB+%2B%20caf%C3%A9",
    b"q=%E5%A4%9C&venue=halle&town=K%C3%B6ln&tag=hip-hop&limit=100&available=true&suggest=false&sort=date",
    b"limit=7&facets=false&cursor=WyJkYXRlIiwiMjAyNy0wNi0xMlQxOTozMDowMFoiLDAsIjIwMjctMDYtMTJUMTk6MzA6MDBaIiwxLHRydWVd",
]

Answer = tuple[int, dict[bytes, bytes], bytes]


def scope_of(method: str, path: str, query: bytes = b"", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": [(b"host", b"tickets.test"), *headers],
        "client": ("192.0.2.1", 40_000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


def answer_of(app: Litestar, method: str, path: str, body: bytes, query: bytes = b"") -> Answer:
    """What the application answers, apart from the request's id."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    given = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))) if body else ()
    asyncio.run(app(scope_of(method, path, query, *given), receive, send))  # type: ignore[arg-type]
    start, *rest = sent
    headers = dict(start["headers"])
    assert len(headers.pop(b"x-request-id")) >= 8
    return start["status"], headers, b"".join(message["body"] for message in rest)


@pytest.mark.parametrize(("method", "path", "body"), [*CALLS, *BAD_BODIES])
def test_both_ways_answer_alike(
    app: Litestar, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: bytes
) -> None:
    ways: list[bool] = []
    real = Express.answers

    async def answers(self: Express, *args: Any) -> bool:
        ways.append(await real(self, *args))
        return ways[-1]

    async def declines(self: Express, *args: Any) -> bool:
        return False

    monkeypatch.setattr(Express, "answers", answers)
    short = answer_of(app, method, path, body)
    assert ways == [True]
    monkeypatch.setattr(Express, "answers", declines)
    assert short == answer_of(app, method, path, body)
    assert short[0] in (400, 401)


@pytest.mark.parametrize(("method", "path", "query"), UNUSUAL)
def test_what_is_unusual_is_left_to_litestar(app: Litestar, method: str, path: str, query: bytes) -> None:
    async def untouched(*_: object) -> None:
        raise AssertionError("nothing is read and nothing answered")

    express = Express(app, app.state["services"])
    assert not asyncio.run(express.answers(scope_of(method, path, query), untouched, untouched))


@pytest.mark.parametrize("query", SEARCHES)
def test_both_ways_search_for_the_same(app: Litestar, monkeypatch: pytest.MonkeyPatch, query: bytes) -> None:
    asked: list[Search] = []
    ways: list[bool] = []
    real = Express.answers

    async def noted(self: HeldCatalogue, ask: Search) -> Rendered:
        asked.append(replace(ask, now=NOW))
        return Rendered(0, 0.0, b"{}")

    async def short(self: Express, *args: Any) -> bool:
        ways.append(await real(self, *args))
        return ways[-1]

    async def declines(self: Express, *args: Any) -> bool:
        return False

    monkeypatch.setattr(HeldCatalogue, "answer", noted)
    monkeypatch.setattr(Express, "answers", short)
    answered = answer_of(app, "GET", "/api/events", b"", query)
    monkeypatch.setattr(Express, "answers", declines)
    assert answer_of(app, "GET", "/api/events", b"", query) == answered
    assert (answered[0], ways) == (200, [True])
    assert asked[0] == asked[1]


class Written(asyncio.Transport):
    """Keeps what is written to a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.bytes += data


def written_to(app: Litestar, path: str, body: bytes, *, whole: bool = True) -> tuple[int, dict[str, str], Any]:
    """What uvicorn's connection is told where this body has come; not ``whole``: its end comes when it is waited for.
    Status, headers and document.
    """
    transport = Written()

    async def run() -> None:
        cycle = RequestResponseCycle(
            scope=scope_of("POST", path, b"", (b"content-type", b"application/json")),  # type: ignore[arg-type]
            transport=transport,
            flow=FlowControl(transport),
            logger=logging.getLogger(),
            access_logger=logging.getLogger(),
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=lambda: None,
        )
        cycle.body, cycle.more_body = bytearray(body), not whole
        if whole:
            cycle.message_event.set()
        running = asyncio.create_task(cycle.run_asgi(app))  # type: ignore[arg-type]
        if not whole:
            await asyncio.sleep(0)
            cycle.more_body = False
            cycle.message_event.set()
        await asyncio.wait_for(running, 30)

    asyncio.run(run())
    head, _, document = transport.bytes.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), msgspec.json.decode(document)


def test_a_full_lane_refuses_by_the_event_alone(app: Litestar, monkeypatch: pytest.MonkeyPatch) -> None:
    services = app.state["services"]
    unreadable = b'{"eventId":1,"unknown":1}'
    monkeypatch.setattr(services.desk, "is_full", lambda event_id: event_id == 1)
    monkeypatch.setattr("gateway.booking.desk.REFUSING_SECONDS", 3600.0)
    assert written_to(app, "/api/reserve", unreadable)[0] == 400, "nothing was refused yet, so the body is read first"
    with pytest.raises(ProblemError, match="overloaded"):
        services.desk.refuse_if_full(1)
    before = problems.answered["overloaded"]
    for path in ("/api/reserve", "/api/checkout"):
        status, headers, document = written_to(app, path, unreadable)
        assert (status, document["code"], document["status"]) == (503, "overloaded", 503)
        assert document["retryAfterSeconds"] == LaneFullError.retry_after_seconds
        assert headers["retry-after"] == str(LaneFullError.retry_after_seconds)
        assert headers["content-type"] == "application/problem+json"
        assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
        assert len(headers["x-request-id"]) >= 8
        assert services.traffic.requests["POST", path, 503] == 1
    assert problems.answered["overloaded"] == before + 2


@pytest.mark.parametrize(
    "body",
    [
        b'{"eventId":2,"unknown":1}',
        b'{"eventId":"1"}',
        b"[",
        b"",
        b"\xff",
        b'{"eventId":1,"unknown":"%s"}' % (b"x" * BODY_BYTES_MAX),
    ],
)
def test_what_a_full_lane_does_not_refuse_early_is_read(
    app: Litestar, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    services = app.state["services"]
    monkeypatch.setattr(services.desk, "is_full", lambda event_id: event_id == 1)
    with pytest.raises(ProblemError, match="overloaded"):
        services.desk.refuse_if_full(1)
    assert written_to(app, "/api/reserve", body)[2]["code"] == "invalid_request"


def test_a_body_that_has_not_come_is_waited_for(app: Litestar, monkeypatch: pytest.MonkeyPatch) -> None:
    services = app.state["services"]
    monkeypatch.setattr(services.desk, "is_full", lambda event_id: True)
    with pytest.raises(ProblemError, match="overloaded"):
        services.desk.refuse_if_full(1)
    assert written_to(app, "/api/reserve", b'{"eventId":1,"unknown":1}', whole=False)[0] == 400
