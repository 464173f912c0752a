"""Sends a fan's place to a stream: all that changed, or only the position, which is the hot loop."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from typing import Final

from gateway.contract.line import Place
from gateway.line.fan_streams import TURN_SECONDS, FanStream, turn_now
from gateway.line.frames import (
    PlaceFrames,
    admitted_frame,
    called_frame,
    closed_frame,
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
"""Of the fans ahead, so many are called at most until a position is sent again, unless it is sent each second."""
INTERVAL_TURNS: Final = [round(seconds / TURN_SECONDS) for seconds in INTERVALS_SECONDS]


def ahead_bounds(per_minute: float) -> list[float]:
    """The bounds for a line that moves so many places a minute."""
    return [
        max(bound, per_minute / 60 * seconds / PASSED_SHARE_MAX)
        for bound, seconds in zip(AHEAD_BOUNDS, INTERVALS_SECONDS[1:], strict=True)
    ]


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
        frames = PlaceFrames(counts, place.waiting, priority=place.priority)
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
    frame_of, bounds = frames.frame, ahead_bounds(frames.per_minute)
    for fan_stream, rank in zip(fan_streams, ranks, strict=True):
        if rank < 0 or fan_stream.state not in ("waiting", "lobby", ""):
            continue
        shown = fan_stream.shown
        fan_stream.shown = position = rank + 1 if rank < shown or shown == 0 else shown
        fan_stream.state = "waiting"
        fan_stream.stream.write(frame_of(position))
        fan_stream.event.put_off(fan_stream, turn + INTERVAL_TURNS[bisect(bounds, position - 1)])


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
