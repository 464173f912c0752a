"""The commands about lanes: which events each of them books, and how an event gets another one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated

import psycopg
import redis
import typer

from admitone.commands.environment import fail, load_settings, sentence
from admitone.settings import Settings
from booking_lane.clients import jobs_client
from booking_lane.lane_changes import Connection, LaneRefusedError, move_event, set_count
from booking_lane.lane_map import HandOversPendingError, LaneMap, map_in_force
from booking_lane.lane_states import lane_states
from db.connections import primary
from db.lanes.maps import LANES_MAX, last_maps
from db.patience import Patience

BY = "command line"
HAND_OVER_SECONDS_MAX = 30.0
Event = Annotated[int, typer.Argument(min=1, help="Event id.")]


@contextlib.contextmanager
def _servers() -> Iterator[tuple[Settings, Connection, redis.Redis]]:
    settings = load_settings()
    jobs = jobs_client(settings.redis.jobs)
    try:
        with primary.connect(settings.db.url, "admitone-lane") as connection:
            yield settings, connection, jobs
    except (LookupError, LaneRefusedError, HandOversPendingError) as error:
        raise fail(sentence(error)) from None
    except (redis.RedisError, psycopg.Error) as error:
        raise fail(f"A server does not answer: {error}") from None
    finally:
        jobs.close()


def list_all() -> None:
    """Each lane: whether a worker looks after it, its batches, and the events that have it for their own."""
    with _servers() as (settings, connection, jobs):
        lane_map = map_in_force(jobs, settings.lane.count)
        for state in lane_states(jobs, lane_map):
            words = [
                f"lane {state.lane}",
                "worker" if state.has_worker else "NO WORKER",
                f"{state.batches} batches",
                f"events by number modulo {lane_map.lanes.count}" if state.shares else "no events by number",
            ]
            if state.moved_here:
                words.append(f"moved here: {', '.join(map(str, state.moved_here))}")
            if state.hands_over:
                words.append("has yet to hand over")
            typer.echo("  ".join(words))
        for row in last_maps(connection, 1):
            typer.echo(f"revision {row.revision}, set {row.made_at:%Y-%m-%d %H:%M} UTC by {row.made_by}")


def move(
    event: Event,
    lane: Annotated[int, typer.Argument(min=0, max=LANES_MAX - 1, help="Its new lane, which has a worker.")],
) -> None:
    """Move an event to a lane while it is sold: its bookings wait until the old lane has done what it was given."""
    with _servers() as (settings, connection, jobs):
        move_event(connection, jobs, settings.lane.count, event, lane, BY)
        _await_hand_over(settings, jobs)


def back(event: Event) -> None:
    """Move an event back to the lane that its number gives it."""
    with _servers() as (settings, connection, jobs):
        move_event(connection, jobs, settings.lane.count, event, None, BY)
        _await_hand_over(settings, jobs)


def count(lanes: Annotated[int, typer.Argument(min=1, max=LANES_MAX, help="How many lanes share the events.")]) -> None:
    """Change the number of lanes while events are sold. It counts from now on in place of ADMITONE_LANES."""
    with _servers() as (settings, connection, jobs):
        before = map_in_force(jobs, settings.lane.count)
        after = set_count(connection, jobs, settings.lane.count, lanes, BY)
        _await_hand_over(settings, jobs)
        for lane in sorted({*before.lanes.numbers} - {*after.lanes.numbers}):
            typer.echo(f"The worker of lane {lane} may end now.")


def _await_hand_over(settings: Settings, jobs: redis.Redis) -> None:
    lane_map: LaneMap = map_in_force(jobs, settings.lane.count)

    def handed_over() -> bool:
        nonlocal lane_map
        lane_map = map_in_force(jobs, settings.lane.count)
        return not lane_map.leaving

    if not Patience(HAND_OVER_SECONDS_MAX).wait_for(handed_over):
        lanes = sorted({lane for one in lane_map.leaving for lane in one.left})
        raise fail(f"Lanes {', '.join(map(str, lanes))} have yet to hand over: see that they have workers.")
    typer.echo(f"Handed over; revision {lane_map.revision} is in force.")
