"""What alarms are measured by, and how it is measured: the figures of the whole site, over some time.

The lanes count in Redis what they do, and the counts only grow (`booking_lane.figures`); a share over the last minute
is the difference of two readings. The readings stand in Redis too, so whichever process looks next goes on from them.
If they are lost, figures are unknown until there are new ones, and no alarm begins or ends meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from booking_lane.figures import CHOICES, Figures, from_hash
from booking_lane.lane_map import Lanes
from db.alarms.kinds import AlarmKind
from db.alarms.standing import WatchedEvent
from db.payments.overview import WatchedMoney
from db.rooms.states import RoomState
from waiting_room.model import RoomCounts
from workers.alarms.deciding import Look

WINDOW_SECONDS: Final = 60
"""Figures of bookings are of the last minute."""
WINDOW_SECONDS_MIN: Final = 20
"""Over a shorter time nothing is said of them."""
WINDOW_SECONDS_MAX: Final = 120
"""Readings that are older count no more, as after a time in which nobody looked."""
COMMANDS_MIN: Final = 20
"""Of fewer commands no share is made: two of three failing would be 67 %."""
NAMES_MAX: Final = 3
PER_SLOW_MINUTE: Final = 180
"""At a rate of so many fans a minute the door lets one in every third of a second: it stalls after three such waits."""
SWEEP: Final = "sweep"


class LaneReading(msgspec.Struct, frozen=True, array_like=True):
    """The hash of a lane's counters, and its jobs that wait or are under way."""

    counters: dict[str, int]
    jobs: int

    @property
    def figures(self) -> Figures:
        return from_hash({name.encode(): str(value).encode() for name, value in self.counters.items()})


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """The lanes at one moment, in Unix seconds, and which of them each event belongs to."""

    at: float
    lanes: list[LaneReading]
    shared: Lanes | None = None

    def lane_of(self, event_id: int) -> int:
        return (self.shared or Lanes(len(self.lanes))).of(event_id)


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """A counter that should move: its value, and when it was last seen to move or had no cause to."""

    value: int
    at: float


class Memory(msgspec.Struct):
    """What is kept between two looks: readings, the oldest first, and marks by their names."""

    readings: list[Reading] = []
    marks: dict[str, Mark] = {}

    def add(self, reading: Reading) -> None:
        kept = [one for one in self.readings if WINDOW_SECONDS_MAX > reading.at - one.at > 0]
        if kept and len(kept[-1].lanes) != len(reading.lanes):
            kept = []
        self.readings = [*kept, reading]

    def stands_seconds(self, name: str, value: int, at: float, *, should_move: bool) -> float:
        """For how long a counter has stood still though it should move, and note it."""
        mark = self.marks.get(name)
        if mark is None or mark.value != value or not should_move or at < mark.at:
            self.marks[name] = Mark(value, at)
            return 0.0
        return at - mark.at

    def keep_marks(self, names: set[str]) -> None:
        self.marks = {name: mark for name, mark in self.marks.items() if name in names}


encode_memory: Final = msgspec.msgpack.Encoder().encode
decode_memory: Final = msgspec.msgpack.Decoder(Memory).decode


def looks_of(
    memory: Memory, reading: Reading, events: Sequence[WatchedEvent], counts: Mapping[int, RoomCounts | None]
) -> Iterator[Look]:
    """Every figure that is watched, as it is now.

    Args:
        memory: what was kept since the last look; the reading is added to it.
        counts: of the events that have a line; None where they cannot be known now.
    """
    memory.add(reading)
    names = {f"lane-{lane}" for lane in range(len(reading.lanes))} | {f"event-{one.event_id}" for one in events}
    memory.keep_marks(names)
    for lane in range(len(reading.lanes)):
        yield from _of_lane(memory, reading, lane, _about_lane(lane, reading, events))
    for event in events:
        yield from _of_event(memory, reading.at, event, counts)


def money_looks(money: Sequence[WatchedMoney]) -> Iterator[Look]:
    """What is watched of events that take payments, also once their sale is over."""
    for one in money:
        about = {"names": [one.name], "more": 0, "timeZone": one.time_zone, "eventId": one.event_id}
        yield Look(AlarmKind.PAYMENTS_UNOPENED, one.event_id, one.unopened_seconds, about)
        yield Look(AlarmKind.REFUNDS_STUCK, one.event_id, one.refund_seconds, about)
        yield Look(AlarmKind.PAYMENTS_DIFFER, one.event_id, float(one.differences), about)


def _about_lane(lane: int, reading: Reading, events: Sequence[WatchedEvent]) -> dict[str, Any]:
    """The events whose bookings run on the lane, those with a line first."""
    own = sorted((one for one in events if reading.lane_of(one.event_id) == lane), key=lambda one: not one.has_line)
    first = own[0] if own else None
    return {
        "names": [one.name for one in own[:NAMES_MAX]],
        "more": max(0, len(own) - NAMES_MAX),
        "timeZone": first.time_zone if first else "UTC",
        "eventId": first.event_id if first and first.has_line else None,
    }


def _of_lane(memory: Memory, reading: Reading, lane: int, about: dict[str, Any]) -> Iterator[Look]:
    now = reading.lanes[lane]
    stands = memory.stands_seconds(f"lane-{lane}", now.figures.batches, reading.at, should_move=now.jobs > 0)
    yield Look(AlarmKind.BOOKINGS_STUCK, lane, stands, about)
    p95_ms, errors = _of_last_minute(memory, reading, lane)
    yield Look(AlarmKind.BOOKING_P95, lane, p95_ms, about)
    yield Look(AlarmKind.BOOKING_ERRORS, lane, errors, about)


def _of_last_minute(memory: Memory, reading: Reading, lane: int) -> tuple[float | None, float | None]:
    """The 95th percentile of waits in ms and the percentage of errors; 0 where there are hardly any bookings."""
    earlier = next((one for one in memory.readings if reading.at - one.at <= WINDOW_SECONDS + 1), reading)
    if reading.at - earlier.at < WINDOW_SECONDS_MIN:
        return None, None
    since = reading.lanes[lane].figures.since(earlier.lanes[lane].figures)
    ended = {
        (kind, outcome): number for (kind, outcome), number in since.commands.items() if kind != SWEEP and number > 0
    }
    total = sum(ended.values())
    if total < COMMANDS_MIN:
        # Where bookings wait and none ends, nothing is known of how the next ones will fare.
        return (None, None) if reading.lanes[lane].jobs else (0.0, 0.0)
    faults = sum(number for (_, outcome), number in ended.items() if outcome != "succeeded" and outcome not in CHOICES)
    return since.wait_ms(0.95) or 0.0, 100 * faults / total


def _of_event(
    memory: Memory, at: float, event: WatchedEvent, counts: Mapping[int, RoomCounts | None]
) -> Iterator[Look]:
    about = {"names": [event.name], "more": 0, "timeZone": event.time_zone, "eventId": event.event_id}
    if event.quantity > 0:
        sold = event.quantity - event.free - event.held
        yield Look(AlarmKind.SOLD_SHARE, event.event_id, 100 * sold / event.quantity, about)
        is_sold_out = event.free <= 0 and event.held <= 0
        yield Look(AlarmKind.SOLD_OUT, event.event_id, 100.0 if is_sold_out else 0.0, about)
    if not event.has_line:
        return
    room = counts.get(event.event_id)
    yield Look(AlarmKind.LINE_LONG, event.event_id, None if room is None else float(room.waiting), about)
    yield Look(AlarmKind.NO_SHOWS, event.event_id, None if room is None else no_shows(room), about)
    yield Look(
        AlarmKind.REBUILDING, event.event_id, None if room is None else float(room.state is RoomState.REBUILDING), about
    )
    stalled = None
    if room is not None:
        may_move = (
            room.state is RoomState.OPEN and room.waiting > 0 and room.slots_free > 0 and room.rate_per_minute > 0
        )
        stood = memory.stands_seconds(f"event-{event.event_id}", room.let_in, at, should_move=may_move)
        # A slow door is not a stalled one.
        stalled = stood if stood * max(room.rate_per_minute, 0.1) > PER_SLOW_MINUTE else 0.0
    yield Look(AlarmKind.DOOR_STALLED, event.event_id, stalled, about)


def no_shows(room: RoomCounts) -> float:
    """The percentage of calls that are not answered; 0 as long as there were too few to tell."""
    return 0.0 if room.pace.missed_share is None else 100 * room.pace.no_show_rate
