"""What Prometheus is told: this process' traffic, and the site's lanes, rooms and seats, as every gateway sees them.

Names and units follow the Prometheus conventions (https://prometheus.io/docs/practices/naming/). Labels are bounded:
routes are templates, outcomes are the catalogue's codes, events are the first ``EVENTS_MAX``.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from booking_lane.figures import WAIT_BOUNDS_MS, Figures
from gateway.connections import write_whole
from gateway.contract import RoomAnswer
from waiting_room.model import ROOM_STATES

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
EVENTS_MAX: Final = 100
DURATION_BOUNDS_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
UNMATCHED: Final = "unmatched"


class Traffic:
    """This process' requests, counted when their answers begin."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.durations: dict[str, list[int]] = defaultdict(lambda: [0] * (len(DURATION_BOUNDS_SECONDS) + 1))
        self.duration_sums: Counter[str] = Counter()

    def watch(self, scope: Any, send: Any) -> Watched:
        return Watched(self, scope, send)

    def answered(self, scope: Any, status: int, seconds: float) -> None:
        route = scope.get("path_template") or UNMATCHED
        self.requests[scope["method"] if route != UNMATCHED else "", route, status] += 1
        self.durations[route][bisect_left(DURATION_BOUNDS_SECONDS, seconds)] += 1
        self.duration_sums[route] += seconds  # type: ignore[assignment]


class Watched:
    """An ASGI ``send`` that tells `Traffic` when the answer begins."""

    __slots__ = ("_began_at", "_scope", "_send", "_traffic")

    def __init__(self, traffic: Traffic, scope: Any, send: Any) -> None:
        self._traffic = traffic
        self._scope = scope
        self._send = send
        self._began_at = time.perf_counter()

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._answered(message["status"])
        await self._send(message)

    def write_whole(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
        """As `gateway.connections.write_whole`."""
        if not write_whole(self._send, status, headers, body):
            return False
        self._answered(status)
        return True

    def _answered(self, status: int) -> None:
        self._traffic.answered(self._scope, status, time.perf_counter() - self._began_at)
        del self._scope, self._traffic


class _Fixed(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(
    traffic: Traffic,
    *,
    streams_open: int,
    lanes: Sequence[tuple[Figures, int, int]],
    rooms: Sequence[RoomAnswer],
) -> bytes:
    """The text format, version 0.0.4.

    Args:
        lanes: of each its figures, its batches queued in Redis, and its commands waiting in this process.
    """
    registry = CollectorRegistry()
    registry.register(_Fixed([*_traffic(traffic, streams_open), *_lanes(lanes), *_rooms(rooms[:EVENTS_MAX])]))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _traffic(traffic: Traffic, streams_open: int) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "admitone_http_requests", "Requests answered by this process.", labels=["method", "route", "status"]
    )
    for (method, route, status), number in traffic.requests.items():
        requests.add_metric([method, route, str(status)], number)
    yield requests
    durations = HistogramMetricFamily(
        "admitone_http_request_duration_seconds", "From a request to the beginning of its answer.", labels=["route"]
    )
    for route, classes in traffic.durations.items():
        durations.add_metric([route], _classes(DURATION_BOUNDS_SECONDS, classes), traffic.duration_sums[route])
    yield durations
    yield GaugeMetricFamily("admitone_streams_open", "Streams open at this process.", value=streams_open)


def _classes(bounds: Sequence[float], classes: Sequence[int]) -> list[tuple[str, float]]:
    names = [*(str(bound) for bound in bounds), "+Inf"]
    return [(name, float(number)) for name, number in zip(names, accumulate(classes), strict=True)]


def _lanes(lanes: Sequence[tuple[Figures, int, int]]) -> Iterator[Metric]:
    commands = CounterMetricFamily(
        "admitone_commands", "Commands ended, by kind and outcome.", labels=["lane", "kind", "outcome"]
    )
    batches = CounterMetricFamily("admitone_batches", "Batches applied.", labels=["lane"])
    waits = HistogramMetricFamily(
        "admitone_command_wait_seconds", "From a command's arrival to its outcome.", labels=["lane"]
    )
    queued = GaugeMetricFamily("admitone_lane_queued_batches", "Batches queued in Redis.", labels=["lane"])
    waiting = GaugeMetricFamily(
        "admitone_lane_waiting_commands", "Commands waiting in this process for their lane.", labels=["lane"]
    )
    bounds = [bound / 1000 for bound in WAIT_BOUNDS_MS]
    for number, (figures, queued_batches, waiting_commands) in enumerate(lanes):
        lane = str(number)
        for (kind, how), count in figures.commands.items():
            commands.add_metric([lane, kind, how], count)
        batches.add_metric([lane], figures.batches)
        waits.add_metric([lane], _classes(bounds, figures.waits), figures.waits_sum_ms / 1000)
        queued.add_metric([lane], queued_batches)
        waiting.add_metric([lane], waiting_commands)
    yield from (commands, batches, waits, queued, waiting)


def _rooms(rooms: Sequence[RoomAnswer]) -> Iterator[Metric]:
    fans = GaugeMetricFamily("admitone_room_fans", "Fans in the room, by state.", labels=["event_id", "state"])
    state = GaugeMetricFamily("admitone_room_state", "1 for the state the room is in.", labels=["event_id", "state"])
    asked = GaugeMetricFamily(
        "admitone_room_rate_asked_per_minute", "The rate the door may admit.", labels=["event_id"]
    )
    real = GaugeMetricFamily("admitone_room_admitted_per_minute", "The rate it admits.", labels=["event_id"])
    capacity = GaugeMetricFamily("admitone_room_capacity", "Fans who may be admitted at once.", labels=["event_id"])
    no_show = GaugeMetricFamily("admitone_room_no_show_ratio", "Share of calls not answered.", labels=["event_id"])
    seats = GaugeMetricFamily("admitone_seats", "Seats, by status.", labels=["event_id", "status"])
    for room in rooms:
        event = str(room.event_id)
        for name in ("waiting", "called", "admitted"):
            fans.add_metric([event, name], getattr(room, name))
        for name in ROOM_STATES:
            state.add_metric([event, name], room.state == name)
        asked.add_metric([event], room.rate_per_minute)
        capacity.add_metric([event], room.capacity)
        for family, measured in ((real, room.measured_per_minute), (no_show, room.no_show_rate)):
            if measured is not None:
                family.add_metric([event], measured)
        for name in ("free", "held", "sold"):
            seats.add_metric([event, name], getattr(room, name))
    yield from (fans, state, asked, real, capacity, no_show, seats)
