"""Fans of the benchmarks: their sessions, the seats they choose, their requests, their solved captchas."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import msgspec
import psycopg

from admitone.crowd.crowd import loopback_sources
from admitone.fan.captcha import solve
from bench.client import Address, request
from bench.load import Flow, closed_loop
from bench.processes import Apart, apart, gather
from bench.servers import SECRET
from bench.stats import Load
from db.booking.conduct import NETWORK_LIMITS_OFF
from db.events.seed import EventPlan, RoomSeed, TicketTypePlan, create_event
from gateway.identity.sessions import Identity
from gateway.identity.settings import SessionSettings

ROWS_OF_BLOCK = 100
SEATS_OF_ROW = 100
WAIT = "Prefer: wait=10"
GUARD_DEFAULTS = {
    "ADMITONE_JOINS_PER_MINUTE": "12000",
    "ADMITONE_JOINS_FREE_PER_MINUTE": "300",
    "ADMITONE_LIMIT_NETWORK_COMMANDS_PER_MINUTE": "60000",
}
"""The guard's defaults, which `bench.servers` raises for all who do not measure it."""
SOURCES = loopback_sources(256)
"""The fans come from so many networks: of one network's each captcha would soon cost more work, and then be refused."""
SECONDS_MAX = 600.0

Pair = tuple[int, int, int]
"""(ticket_type_id, row_number, first seat_number): that seat and the next."""
_Noted = tuple[Load, list[bytes]]


def new_event(
    connection: psycopg.Connection,
    seats: int,
    room: RoomSeed | None = None,
    on_sale_in: dt.timedelta = dt.timedelta(hours=-1),
) -> int:
    """A hall of ``seats`` in blocks of up to 10,000, on sale ``on_sale_in`` from now, its room off unless given."""
    blocks: list[TicketTypePlan] = []
    left = seats
    while left > 0:
        rows = min(ROWS_OF_BLOCK, -(-left // SEATS_OF_ROW))
        blocks.append(
            TicketTypePlan(ticket_type=f"Block {len(blocks) + 1}", price=8900, rows=rows, seats_per_row=SEATS_OF_ROW)
        )
        left -= rows * SEATS_OF_ROW
    now = dt.datetime.now(dt.UTC)
    plan = EventPlan(
        name="The Paper Lanterns: Long Way Home Tour",
        artist="The Paper Lanterns",
        venue="Rheinauen-Stadion, Köln",
        date=now + dt.timedelta(weeks=20),
        on_sale_at=now + on_sale_in,
        currency="EUR",
        ticket_types=tuple(blocks),
        room=room or RoomSeed(state="off", network_limits_max=NETWORK_LIMITS_OFF),
    )
    event_id = create_event(connection, plan)
    # Days before a sale Postgres has done this of itself. Here it would do it in the midst of what is measured.
    connection.execute("VACUUM (ANALYZE) event, ticket, seat, room")
    connection.execute("CHECKPOINT")
    return event_id


def pairs(seats: int) -> Iterator[Pair]:
    """Every seat of `new_event`'s hall once, two by two, round the blocks in turn as fans choose."""
    blocks = -(-seats // (ROWS_OF_BLOCK * SEATS_OF_ROW))
    rows_left = seats // SEATS_OF_ROW
    for row in range(1, ROWS_OF_BLOCK + 1):
        for seat in range(1, SEATS_OF_ROW, 2):
            for block in range(1, blocks + 1):
                if (block - 1) * ROWS_OF_BLOCK + row <= rows_left:
                    yield block, row, seat


def seat_details(pair: Pair) -> bytes:
    block, row, seat = pair
    return b'"seatDetails":[{"ticketTypeId":%d,"metaData":{"rowNumbers":[%d,%d],"seatNumbers":[%d,%d]}}]' % (
        block,
        row,
        row,
        seat,
        seat + 1,
    )


def sessions(count: int) -> list[tuple[str, int]]:
    """Real signed sessions (token, user id), each with another user."""
    identity = Identity(SECRET, session_seconds=SessionSettings().seconds, open_auth=False, secure=False)
    return [identity.new_fan() for _ in range(count)]


def reserve(token: str, event_id: int, pair: Pair, *headers: str) -> bytes:
    body = b'{"eventId":%d,%s}' % (event_id, seat_details(pair))
    return request("POST", "/api/reserve", WAIT, *headers, token=token, body=body)


def checkout(token: str, event_id: int, reservation_id: bytes, captcha: str, *headers: str) -> bytes:
    body = b'{"eventId":%d,"reservationId":"%s","captchaToken":"%s"}' % (event_id, reservation_id, captcha.encode())
    return request("POST", "/api/checkout", WAIT, *headers, token=token, body=body)


def member(body: bytes, name: bytes) -> bytes:
    """A string member of a JSON body, found without parsing; empty if it has none."""
    at = body.find(b'"' + name + b'":"')
    if at < 0:
        return b""
    at += len(name) + 4
    return body[at : body.find(b'"', at)]


def noting(to: Address, step: str, member_name: bytes, made: Sequence[bytes], connections: int) -> _Noted:
    """The load of these requests to their end, and of each one's answer a member, in the same order (empty: it has
    none). Call it in a process of its own.
    """
    noted = [b""] * len(made)

    def one(number: int, raw: bytes) -> Flow:
        _, body = yield step, raw
        noted[number] = member(body, member_name)

    flows = (one(number, raw) for number, raw in enumerate(made))
    return closed_loop([to], flows, connections=connections, seconds=SECONDS_MAX, sources=SOURCES), noted


def solutions(to: Address, tokens: Sequence[str], processes: int = 2) -> list[str]:
    """For each session the solution of a challenge that it asked for itself, for its checkout.

    Raises:
        RuntimeError: the gateway refused challenges.
    """
    asked = apart(lambda: _challenges(to, tokens))
    shares = [asked[number::processes] for number in range(processes)]
    solved = gather([Apart(lambda share=share: [str(solve(one)) for one in share]) for share in shares])  # type: ignore[misc]
    found = [""] * len(asked)
    for number, some in enumerate(solved):
        found[number::processes] = some
    return found


def _challenges(to: Address, tokens: Sequence[str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = [{}] * len(tokens)

    def fetch(number: int, token: str) -> Flow:
        raw = request("GET", "/api/captcha/challenge?action=checkout", token=token)
        status, body = yield "challenge", raw
        if status == 200:
            found[number] = msgspec.json.decode(body)

    flows = (fetch(number, token) for number, token in enumerate(tokens))
    load = closed_loop([to], flows, connections=64, seconds=SECONDS_MAX, sources=SOURCES)
    load.require("challenge", "200")
    return found
