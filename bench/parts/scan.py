"""Gates beside a running sale: 20 scans a second at each, every ticket once, and what both feel of it.

How many round trips a scan takes is held by `tests/integration/db/test_entries.py`.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator

from bench import fans
from bench.client import Address, ask, request
from bench.load import open_loop, repeat
from bench.parts.reserve import Hall
from bench.processes import Apart, apart, gather
from bench.report import Part
from bench.servers import SECRET, System
from bench.stats import Load, percentile
from db.operators.accounts import add_operator
from db.operators.roles import OperatorRole
from tickets.keys import TicketKeys
from tickets.signed import SignedTicket

SCANS_PER_SECOND = 20
"""At one gate."""
SALE_PER_SECOND = 100
CONNECTIONS = 64
WARM_SECONDS = 2.0
P95_MS_MAX = 50.0
PASSWORD = "correct horse battery staple"

_SOLD = """
WITH seats AS (
    UPDATE seat SET status = 'booked' WHERE event_id = %(event_id)s
    RETURNING ticket_type_id, row_number, seat_number, gen_random_uuid() AS purchase_id
), made AS (
    INSERT INTO purchase (event_id, purchase_id, user_id, reservation_id, total_amount, currency, purchase_at)
    SELECT %(event_id)s, purchase_id, 1, gen_random_uuid(), 8900, 'EUR', now() FROM seats
)
INSERT INTO purchase_detail (event_id, purchase_id, ticket_type_id, row_number, seat_number, amount, ticket_code)
SELECT %(event_id)s, purchase_id, ticket_type_id, row_number, seat_number, 8900, md5(purchase_id::text) FROM seats
RETURNING purchase_id, ticket_type_id, row_number, seat_number
"""


def _signed_in(address: Address) -> str:
    body = json.dumps({"name": "gate", "password": PASSWORD}).encode()
    status, answer = ask(address, request("POST", "/api/ops/session", "Content-Type: application/json", body=body))
    assert status == 201, answer
    return str(json.loads(answer)["token"])


def _scans(system: System, address: Address, gates: int, count: int) -> tuple[int, Iterator[bytes]]:
    """An event whose tickets are all sold, and a scan of each, from one gate after another."""
    add_operator(system.database_url, "gate", PASSWORD, role=OperatorRole.DOOR)
    token = _signed_in(address)
    with system.connect() as connection:
        event_id = fans.new_event(connection, -(-count // 100) * 100)
        sold = connection.execute(_SOLD, {"event_id": event_id}).fetchall()
        connection.execute("UPDATE ticket SET available_count = 0 WHERE event_id = %s", (event_id,))
        connection.execute("ANALYZE purchase, purchase_detail, entry")
    keys = TicketKeys(SECRET)
    raw = []
    for number, (purchase_id, *seat) in enumerate(sold):
        gate = number % gates
        ticket = keys.sign(SignedTicket(event_id, purchase_id, (seat[0], seat[1], seat[2]), 1))
        body = {"ticket": ticket, "gate": f"Gate {gate}", "deviceId": f"device-{gate:04}", "scanId": str(uuid.uuid4())}
        path = f"/api/ops/events/{event_id}/entries"
        head = "Content-Type: application/json"
        raw.append(request("POST", path, head, token=token, body=json.dumps(body).encode()))
    return event_id, iter(raw)


def measure(system: System, *, gates: int = 4, seconds: float = 20.0) -> Part:
    """Sell one event, scan at the gates of another, and then both at once, on one gateway."""
    part = Part("scan")
    load_before = os.getloadavg()[0]
    (gateway,) = system.gateways()
    system.worker()
    per_second = gates * SCANS_PER_SECOND
    scans_once = int(per_second * (seconds + WARM_SECONDS) * 1.1)
    sales_once = int(SALE_PER_SECOND * (seconds + WARM_SECONDS) * 1.1)
    event_id, scans = _scans(system, gateway.address, gates, 2 * scans_once)
    hall = Hall(system, 40_000, 10_000)
    reserves = iter(hall.reserves(2 * sales_once))

    def sale() -> Load:
        return _steady(gateway.address, "reserve", reserves, SALE_PER_SECOND, seconds)

    def scan() -> Load:
        return _steady(gateway.address, "scan", scans, per_second, seconds)

    # A forked process uses its own copy of the requests, so the second of each gets the ones behind.
    sold, scanned = apart(sale), apart(scan)
    for requests, once in ((reserves, sales_once), (scans, scans_once)):
        for _ in range(once):
            next(requests, None)
    sold_beside, scanned_beside = gather([Apart(sale), Apart(scan)])
    for load in (sold, sold_beside):
        load.require("reserve", "200")
    for load in (scanned, scanned_beside):
        load.require("scan", "201")
    step = scanned_beside.steps["scan"]
    with system.connect() as connection:
        row = connection.execute("SELECT count(*) FROM entry WHERE event_id = %s", (event_id,)).fetchone()
    part.add(f"scans at {gates} gates", step.outcomes["201"] / seconds, "/s", "asked for", per_second, "≥ 0.99")
    part.add("p95 of a scan alone", _p_ms(scanned, "scan", 0.95), "ms")
    p95_ms = _p_ms(scanned_beside, "scan", 0.95)
    part.add("p95 of a scan beside a sale", p95_ms, "ms", "", None, f"≤ {P95_MS_MAX:.0f}", f"{SALE_PER_SECOND}/s sold")
    part.add(
        "p95 of the sale meanwhile",
        _p_ms(sold_beside, "reserve", 0.95),
        "ms",
        "its p95 alone",
        _p_ms(sold, "reserve", 0.95),
        "≤ 1.5",
    )
    part.details["scan"] = {
        "loadAverageBefore": round(load_before, 2),
        "outcomes": dict(step.outcomes),
        "entries": None if row is None else row[0],
        "p50Ms": round(_p_ms(scanned_beside, "scan", 0.5), 2),
        "p99Ms": round(_p_ms(scanned_beside, "scan", 0.99), 2),
    }
    return part


def _p_ms(load: Load, step: str, share: float) -> float:
    return percentile(sorted(load.steps[step].seconds), share) * 1000


def _steady(address: Address, name: str, raw: Iterator[bytes], per_second: float, seconds: float) -> Load:
    return open_loop(
        [address],
        repeat(name, raw),
        per_second=per_second,
        seconds=seconds,
        connections_max=CONNECTIONS,
        warm_seconds=WARM_SECONDS,
    )
