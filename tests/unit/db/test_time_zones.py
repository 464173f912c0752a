"""Only names of the IANA database are time zones, and an event's zone can always be had."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest

from db.events.seed import EventPlan, RoomSeed, TicketTypePlan
from db.events.time_zones import UNKNOWN_ZONE, is_time_zone, zone_of

NOON = dt.datetime(2030, 6, 12, 12, tzinfo=dt.UTC)


def test_names_of_the_iana_database_are_zones() -> None:
    assert all(map(is_time_zone, ["Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata", UNKNOWN_ZONE]))


@pytest.mark.parametrize("name", ["", "Europe", "europe/berlin", "Europe/Berlin\n", "CEST", "localtime", "Factory"])
def test_other_names_are_none(name: str) -> None:
    assert not is_time_zone(name)


def test_a_zone_that_this_machine_does_not_know_reads_as_utc() -> None:
    assert NOON.astimezone(zone_of("Mars/Olympus_Mons")).utcoffset() == dt.timedelta(0)
    assert NOON.astimezone(zone_of("Europe/Berlin")).utcoffset() == dt.timedelta(hours=2)


def test_zones_are_known_where_the_system_has_no_database(tmp_path: Path) -> None:
    program = (
        "from db.events.time_zones import *; assert is_time_zone('Europe/Berlin'); print(zone_of('Europe/Berlin'))"
    )
    environment = {"PYTHONTZPATH": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Europe/Berlin"


def test_no_event_is_planned_in_a_zone_that_is_none() -> None:
    with pytest.raises(ValueError, match="no time zone 'Hamburg'"):
        EventPlan(
            name="Recital",
            artist="",
            venue="Small Hall",
            date=NOON,
            on_sale_at=NOON,
            currency="EUR",
            ticket_types=(TicketTypePlan(ticket_type="Stalls", price=1, rows=1, seats_per_row=1),),
            room=RoomSeed(),
            time_zone="Hamburg",
        )
