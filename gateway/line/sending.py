"""Sends a fan's place to a stream: all that changed, or only the position, which is the hot loop."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from typing import Final

from gateway.contract.line import Place
from gateway.line.counting_down import FALL_SHARE_MAX, Fall, Pace
from gateway.line.fan_streams import TURN_SECONDS, FanStream, turn_now
from gateway.line.frames import (
    PlaceFrames,
    admitted_frame,
    called_frame,
    closed_frame,
    falls,
    idle_frame,
    lobby_frame,
    no_position_frame,
    sold_out_frame,
)
from waiting_room.model import Positions, RoomCounts

AHEAD_BOUNDS: Final = (100, 1_000, 10_000)
INTERVALS_SECONDS: Final[Sequence[float]] = (1.0, 2.0, 4.0, 8.0)
"""A stream is sent its position this often: the n-th interval is for fewer fans ahead than the n-th of `AHEAD_BOUNDS`,
and the last interval is for all others. In a fast line the bounds are higher (`ahead_bounds`).
"""
PASSED_SHARE_MAX: Final = 0.05
"""Of the fans ahead, this share is called at most, and not counted down by the page, until a position is sent again."""
PASSED_SECONDS_MAX: Final = 1.0
"""Or as many as the line moves in so long."""
INTERVAL_TURNS: Final = [round(seconds / TURN_SECONDS) for seconds in INTERVALS_SECONDS]


def ahead_bounds(pace: Pace) -> list[float]:
    """The bounds for a line that moves so fast."""
    return [
        max(bound, _ahead_min(pace, seconds))
        for bound, seconds in zip(AHEAD_BOUNDS, INTERVALS_SECONDS[1:], strict=True)
    ]


def _ahead_min(pace: Pace, seconds: float) -> float:
    """How many a fan must have ahead who is sent a position every so many seconds."""
    uncounted = max(0.0, pace.measured - pace.counted) * seconds
    within_share = 0.0 if uncounted <= pace.measured * PASSED_SECONDS_MAX else uncounted / PASSED_SHARE_MAX
    return max(within_share, pace.counted * seconds / FALL_SHARE_MAX)


def send_place(fan_stream: FanStream, place: Place, counts: RoomCounts) -> None:
    """Send the changes of the fan's place since it was sent last."""
    before, fan_stream.state = fan_stream.state, "idle" if place.idle else place.state
    fan_stream.place, fan_stream.admission = place.token, place.admission_pass
    fan_stream.set_class(priority=place.priority)
    if place.state == "called" and place.claim_by_seconds is not None:
        if before != "called":
            fan_stream.send_once(called_frame(place.claim_by_seconds))
    elif place.state == "admitted" and place.admission_pass is not None:
        send_admitted(
            fan_stream, place.admission_pass, (place.expires_at, place.idle_ends_at), crowded=place.may_run_out
        )
    elif place.state == "sold_out":
        # There is nothing to wait for, so the stream ends; the fan keeps the place (ADR 18).
        if before != "sold_out":
            fan_stream.stream.end(sold_out_frame())
    elif place.state == "closed":
        if before != "closed":
            fan_stream.send_once(closed_frame(place.reason))
    elif place.idle:
        if before != "idle":
            fan_stream.send_once(idle_frame(place.room_state, place.position))
    elif place.lobby is not None:
        fan_stream.stream.write(lobby_frame(place.state, place.room_state, counts, place.lobby))
    elif place.position is None or place.ahead is None:
        fan_stream.stream.write(no_position_frame(place.state, place.room_state))
    else:
        pace = fan_stream.event.paces[place.priority].now
        frames = PlaceFrames(counts, place.waiting, priority=place.priority, pace=pace)
        send_positions([fan_stream], [place.position - 1], frames, turn_now())


def send_admitted(
    fan_stream: FanStream, admission_pass: str, pass_ends: tuple[object, object], *, crowded: bool
) -> None:
    """Send an admitted fan the pass, unless nothing changed since it was sent last."""
    if fan_stream.pass_ends == pass_ends and fan_stream.crowded == crowded:
        return
    fan_stream.pass_ends, fan_stream.crowded = pass_ends, crowded
    fan_stream.send_once(admitted_frame(admission_pass, *pass_ends, crowded=crowded))


def send_positions(fan_streams: Sequence[FanStream], ranks: Sequence[int], frames: PlaceFrames, turn: int) -> None:
    """Send each stream its position, but never a higher one than before.

    A rank of 0 is next in line; a negative rank is none, and nothing is sent. Nothing is sent either to a fan whose
    wait has ended meanwhile. This is the hot loop.
    """
    frame_of, bounds, counted_a_turn = frames.frame, ahead_bounds(frames.pace), frames.pace.counted * TURN_SECONDS
    for fan_stream, rank in zip(fan_streams, ranks, strict=True):
        if rank < 0 or fan_stream.state not in ("waiting", "lobby", ""):
            continue
        shown, fall = fan_stream.shown, fan_stream.fall
        if fall is not None:
            shown -= fall.by(turn)
            fall = None
        fan_stream.shown = position = rank + 1 if rank < shown or shown == 0 else shown
        fan_stream.state = "waiting"
        turns = INTERVAL_TURNS[bisect(bounds, position - 1)]
        text = b""
        if counted_a_turn:
            # A page that has counted too far counts less now.
            places = min(int(counted_a_turn * turns), int(rank * FALL_SHARE_MAX)) - (rank + 1 - position)
            if places > 0:
                fall = Fall(places, turns, turn)
                text = falls(position - places, turns * TURN_SECONDS)
        fan_stream.fall = fall
        fan_stream.stream.write(frame_of(position, text))
        fan_stream.event.put_off(fan_stream, turn + turns)


def by_class(fan_streams: list[FanStream], positions: Positions) -> list[tuple[bool, list[FanStream], list[int]]]:
    """Divide the streams by class; for each class, whether it is the priority class, its streams, and their ranks."""
    if not positions.priority:
        return [(False, fan_streams, positions.ranks)]
    classes: list[tuple[bool, list[FanStream], list[int]]] = [(False, [], []), (True, [], [])]
    for at, (fan_stream, rank) in enumerate(zip(fan_streams, positions.ranks, strict=True)):
        priority, members, ranks = classes[at in positions.priority]
        if rank >= 0:
            fan_stream.set_class(priority=priority)
        members.append(fan_stream)
        ranks.append(rank)
    return classes
