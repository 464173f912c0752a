from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path

import msgspec
import pytest

from admitone.crowd import CrowdPlan
from admitone.fan.ledger import Ledger
from db.audit.ledger import LedgerLine

LINE = LedgerLine(
    at=dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    user_id=7,
    event_id=1,
    kind="reserve",
    job_id=uuid.UUID(int=9),
    status="failed",
    code="seats_taken",
)


def test_a_line_can_be_read_while_the_crowd_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.write(LINE)
        assert msgspec.json.decode(path.read_bytes()) == {
            "at": "2026-01-02T03:04:05Z",
            "userId": 7,
            "eventId": 1,
            "kind": "reserve",
            "jobId": str(uuid.UUID(int=9)),
            "status": "failed",
            "result": None,
            "code": "seats_taken",
        }


def test_two_crowds_append_to_one_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as first, Ledger(path) as second:
        for ledger in (first, second, first):
            ledger.write(LINE)
    decoder = msgspec.json.Decoder(LedgerLine)
    assert [decoder.decode(line) for line in path.read_bytes().splitlines()] == [LINE] * 3


def test_no_ledger_is_fine() -> None:
    with Ledger(None) as ledger:
        ledger.write(LINE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fans": 0},
        {"rate_per_second": 0},
        {"seats_per_fan": 51},
        {"abandon_in_line": 1.1},
        {"abandon_hold": 0.6, "release_hold": 0.6},
        {"concurrency_max": 0},
        {"think_seconds_max": -1},
    ],
)
def test_a_plan_out_of_bounds_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        CrowdPlan(base_url="http://127.0.0.1", event_id=1, **wrong)  # type: ignore[arg-type]
