"""The metrics for Prometheus: this process' own traffic, and the lanes, rooms and seats of the site, which are the same
at every gateway.

Names and units follow the Prometheus conventions (https://prometheus.io/docs/practices/naming/). The number of label
values is bounded: routes are templates, outcomes and codes come from fixed lists, rooms are a hundred at most
(`ROOMS_MAX`).
"""

from __future__ import annotations

import platform
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from booking_lane.figures import WAIT_BOUNDS_MS, Figures
from db.booking.backlog import Backlog
from db.connections.old_reads import SERVERS, OldReads
from db.rooms.states import RoomState
from gateway.contract.rooms import RoomAnswer
from gateway.health.loop_lag import LAG_BOUNDS_SECONDS, LoopLag
from gateway.identity.password_tries import OUTCOMES as FAN_OUTCOMES
from gateway.identity.sign_in import OUTCOMES
from gateway.search.cached import ANSWERS
from gateway.search.catalogue import SEARCH_SERVERS, SearchIndex
from gateway.wire.connection_counts import REASONS, Connections
from gateway.wire.connections import write_whole
from gateway.wire.later_headers import later_headers
from gateway.wire.request_ids import HEADER, answered, request_id
from gateway.wire.requests import NOSNIFF

CONTENT_TYPE: Final = "text/plain; version=0.0.4"
"""Litestar adds the charset."""
DURATION_BOUNDS_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
UNMATCHED: Final = "unmatched"
_FIELD_NAME_HELP: Final = (
    ("rate_per_minute", "rate_asked_per_minute", "The rate the operators ask for: the autopilot's ceiling."),
    ("rate_now_per_minute", "rate_now_per_minute", "The rate the door may admit now: less where the autopilot steers."),
    ("measured_per_minute", "admitted_per_minute", "The rate it admits."),
    ("called_per_minute", "called_per_minute", "The rate it calls."),
    ("autopilot", "autopilot", "1 while the autopilot may steer."),
    ("capacity", "capacity", "Fans who may be called and admitted at once."),
    ("line_cap", "line_cap", "Fans who may be in line."),
    ("no_show_rate", "no_show_ratio", "Share of calls not answered."),
)
"""The gauges of a room: each is a field of `RoomAnswer`, its metric's name after `admitone_room_`, and a help text."""


class Traffic:
    """Counts this process' requests, each when its answer begins."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.durations: dict[str, list[int]] = defaultdict(lambda: [0] * (len(DURATION_BOUNDS_SECONDS) + 1))
        self.duration_sums: Counter[str] = Counter()

    def watch(self, scope: Any, send: Any) -> Watched:
        return Watched(self, scope, send)

    def answered(self, scope: Any, status: int, seconds: float) -> None:
        route = scope.get("path_template") or UNMATCHED
        answered(scope, route, status)
        self.note(scope["method"] if route != UNMATCHED else "", route, status, seconds)

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self.requests[method, route, status] += 1
        self.durations[route][bisect_left(DURATION_BOUNDS_SECONDS, seconds)] += 1
        self.duration_sums[route] += seconds  # type: ignore[assignment]


class Watched:
    """An ASGI ``send`` that counts the answer in `Traffic` when it begins, and adds the headers of all answers."""

    __slots__ = ("_began_at", "_scope", "_send", "_traffic")

    def __init__(self, traffic: Traffic, scope: Any, send: Any) -> None:
        self._traffic = traffic
        self._scope = scope
        self._send = send
        self._began_at = time.perf_counter()

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *self._further()]
            self._answered(message["status"])
        await self._send(message)

    def write_whole(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
        """As `gateway.wire.connections.write_whole`."""
        if not write_whole(self._send, status, [*headers, *self._further()], body):
            return False
        self._answered(status)
        return True

    def _further(self) -> tuple[tuple[bytes, bytes], ...]:
        return ((HEADER, request_id(self._scope)), NOSNIFF, *later_headers(self._scope))

    def _answered(self, status: int) -> None:
        self._traffic.answered(self._scope, status, time.perf_counter() - self._began_at)
        del self._scope, self._traffic


class LaneFigures(NamedTuple):
    """A lane's figures, its commands that wait in this process, and the age of this process' oldest batch under way."""

    number: int
    figures: Figures
    waiting_commands: int
    oldest_batch_seconds: float


class QueueFigures(NamedTuple):
    """A queue in Redis: its workers that gave a sign of life, and its jobs by their state."""

    queue: str
    workers: int
    queued: int
    under_way: int
    failed: int


class SearchFigures(NamedTuple):
    """How many events the search does not know as they are now, how many wait to be written into its index, and for how
    many seconds the first of these has waited.
    """

    rows_behind: int
    waiting: int = 0
    waiting_seconds: float = 0.0


class _Fixed(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(
    traffic: Traffic,
    *,
    problems: Mapping[str, int],
    sign_ins: Mapping[str, int],
    fan_sign_ins: Mapping[str, int],
    loop_lag: LoopLag,
    parts: Mapping[str, bool],
    ready: bool,
    streams: tuple[int, int],
    clients: Connections,
    connections: Mapping[str, tuple[int, int]],
    old_reads: OldReads,
    lanes: Sequence[LaneFigures],
    queues: tuple[Sequence[QueueFigures], float | None] | None,
    rooms: Sequence[RoomAnswer] | None,
    backlog: Backlog | None,
    alarms: tuple[Mapping[str, int], float | None] | None,
    searches: Mapping[str, int],
    search_index: SearchIndex | None,
    search: SearchFigures | None,
) -> bytes:
    """The metrics in the text format, version 0.0.4. An argument that could not be read is None, and is left out.

    Args:
        streams: how many streams are open, and how many may be.
        clients: the connections of clients.
        connections: for each pool of Postgres connections, how many are in use, and how many there may be.
        old_reads: reads of the replica; left out where there is none.
        sign_ins, fan_sign_ins: sign-ins of operators, and of fans to accounts, by what became of them.
        queues: the figures of the queues, and the age of cron's last beat in seconds, None if there was no beat.
        alarms: how many alarms of each kind stand, and the age of the last look at the figures in seconds, None if
            there was none.
        searches: how many searches each of `gateway.search.cached.ANSWERS` has answered.
        search_index: the index that searches go to first, None where the site has none.
    """
    read = {
        "queues": queues is not None,
        "rooms": rooms is not None,
        "backlog": backlog is not None,
        "alarms": alarms is not None,
        "search": search is not None,
    }
    registry = CollectorRegistry()
    registry.register(
        _Fixed(
            [
                *_process(parts, ready, streams, clients, connections, loop_lag, read),
                *_old_reads(old_reads),
                *_traffic(traffic, problems),
                *_sign_ins(sign_ins),
                *_fan_sign_ins(fan_sign_ins),
                *_lanes(lanes),
                *(() if queues is None else _queues(*queues)),
                *(() if rooms is None else _rooms(rooms)),
                *(() if backlog is None else _backlog(backlog)),
                *(() if alarms is None else _alarms(*alarms)),
                *_searches(searches, search_index),
                *(() if search is None else _search(search, has_index=search_index is not None)),
            ]
        )
    )
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _process(
    parts: Mapping[str, bool],
    ready: bool,
    streams: tuple[int, int],
    clients: Connections,
    connections: Mapping[str, tuple[int, int]],
    loop_lag: LoopLag,
    read: Mapping[str, bool],
) -> Iterator[Metric]:
    info = GaugeMetricFamily("admitone_build_info", "1; the labels say what runs.", labels=["version", "python"])
    info.add_metric([version("admitone"), platform.python_version()], 1)
    yield info
    yield GaugeMetricFamily("admitone_ready", "1 while /health/ready says 200.", value=ready)
    up = GaugeMetricFamily("admitone_part_up", "1 while this process sees the part to be up.", labels=["part"])
    for part, is_up in parts.items():
        up.add_metric([part], is_up)
    yield up
    scrape_read = GaugeMetricFamily(
        "admitone_scrape_read", "0 where a kind of figures could not be read, and is left out.", labels=["kind"]
    )
    for kind, was_read in read.items():
        scrape_read.add_metric([kind], was_read)
    yield scrape_read
    lag = HistogramMetricFamily(
        "admitone_event_loop_lag_seconds", "How late the event loop comes to what is due, ten times a second."
    )
    lag.add_metric([], _classes(LAG_BOUNDS_SECONDS, loop_lag.classes), loop_lag.sum_seconds)
    yield lag
    yield GaugeMetricFamily("admitone_streams_open", "Streams open at this process.", value=streams[0])
    yield GaugeMetricFamily("admitone_streams_max", "Streams that may be open at this process.", value=streams[1])
    yield GaugeMetricFamily(
        "admitone_connections_open", "Connections of clients with this process.", value=clients.open
    )
    yield GaugeMetricFamily(
        "admitone_connections_max", "Connections of clients that this process may have.", value=clients.open_max
    )
    refused = CounterMetricFamily(
        "admitone_connections_refused", "Connections refused, or closed to make room for another.", labels=["reason"]
    )
    for reason in REASONS:
        refused.add_metric([reason], clients.refused[reason])
    yield refused
    busy = GaugeMetricFamily(
        "admitone_postgres_connections_busy", "Connections of this process at work.", labels=["pool"]
    )
    most = GaugeMetricFamily("admitone_postgres_connections_max", "Connections this process may have.", labels=["pool"])
    for pool, (at_work, may_be) in connections.items():
        busy.add_metric([pool], at_work)
        most.add_metric([pool], may_be)
    yield from (busy, most)


def _old_reads(old_reads: OldReads) -> Iterator[Metric]:
    if old_reads.lag_seconds is None:
        return
    yield GaugeMetricFamily(
        "admitone_replica_lag_seconds",
        "How far the replica may be behind the primary, as this process knows.",
        value=old_reads.lag_seconds,
    )
    yield GaugeMetricFamily(
        "admitone_replica_fresh", "1 while reads that may be a little old go to the replica.", value=old_reads.is_fresh
    )
    reads = CounterMetricFamily(
        "admitone_old_reads", "Reads that may be a little old, by the server that answered them.", labels=["server"]
    )
    for server in SERVERS:
        reads.add_metric([server], old_reads.made[server])
    yield reads


def _searches(searches: Mapping[str, int], index: SearchIndex | None) -> Iterator[Metric]:
    answered = CounterMetricFamily(
        "admitone_searches",
        "Searches at this process: answered from Redis, by an equal search under way, or by a search of their own.",
        labels=["outcome"],
    )
    for answer in ANSWERS:
        answered.add_metric([answer], searches.get(answer, 0))
    yield answered
    if index is None:
        return
    yield GaugeMetricFamily(
        "admitone_search_index_up", "1 while the search's index answers this process.", value=index.is_up
    )
    servers = CounterMetricFamily(
        "admitone_search_index_searches",
        "Searches of their own, by what answered: the index, or Postgres while it was away.",
        labels=["server"],
    )
    for server in SEARCH_SERVERS:
        servers.add_metric([server], index.answered[server])
    yield servers


def _search(figures: SearchFigures, *, has_index: bool) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "admitone_search_rows_behind", "Events that the search does not know as they are.", value=figures.rows_behind
    )
    if has_index:
        yield GaugeMetricFamily(
            "admitone_search_index_waiting_events", "Events to be written into the index.", value=figures.waiting
        )
        yield GaugeMetricFamily(
            "admitone_search_index_lag_seconds",
            "How long the first of them has waited.",
            value=figures.waiting_seconds,
        )


def _traffic(traffic: Traffic, problems: Mapping[str, int]) -> Iterator[Metric]:
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
    answered = CounterMetricFamily("admitone_problems", "Problems answered by this process.", labels=["code"])
    for code, number in problems.items():
        answered.add_metric([code], number)
    yield answered


def _sign_ins(sign_ins: Mapping[str, int]) -> Iterator[Metric]:
    counted = CounterMetricFamily(
        "admitone_operator_sign_ins", "Operators' sign-ins at this process, by what became of them.", labels=["outcome"]
    )
    for outcome in OUTCOMES:
        counted.add_metric([outcome], sign_ins.get(outcome, 0))
    yield counted


def _fan_sign_ins(sign_ins: Mapping[str, int]) -> Iterator[Metric]:
    counted = CounterMetricFamily(
        "admitone_account_sign_ins", "Fans' sign-ins at this process, by what became of them.", labels=["outcome"]
    )
    for outcome in FAN_OUTCOMES:
        counted.add_metric([outcome], sign_ins.get(outcome, 0))
    yield counted


def _classes(bounds: Sequence[float], classes: Sequence[int]) -> list[tuple[str, float]]:
    names = [*(str(bound) for bound in bounds), "+Inf"]
    return [(name, float(number)) for name, number in zip(names, accumulate(classes), strict=True)]


def _lanes(lanes: Sequence[LaneFigures]) -> Iterator[Metric]:
    commands = CounterMetricFamily(
        "admitone_commands", "Commands ended, by kind and outcome.", labels=["lane", "kind", "outcome"]
    )
    batches = CounterMetricFamily("admitone_batches", "Batches applied.", labels=["lane"])
    busy = CounterMetricFamily("admitone_lane_busy_seconds", "Workers' time at batches.", labels=["lane"])
    waits = HistogramMetricFamily(
        "admitone_command_wait_seconds", "From a command's arrival to its outcome.", labels=["lane"]
    )
    waiting = GaugeMetricFamily(
        "admitone_lane_waiting_commands", "Commands waiting in this process for their lane.", labels=["lane"]
    )
    oldest = GaugeMetricFamily(
        "admitone_lane_oldest_batch_seconds", "Age of this process' oldest batch under way.", labels=["lane"]
    )
    bounds = [bound / 1000 for bound in WAIT_BOUNDS_MS]
    for number, figures, waiting_commands, oldest_batch_seconds in lanes:
        lane = str(number)
        for (kind, how), count in figures.commands.items():
            commands.add_metric([lane, kind, how], count)
        batches.add_metric([lane], figures.batches)
        busy.add_metric([lane], figures.busy_ms / 1000)
        waits.add_metric([lane], _classes(bounds, figures.waits), figures.waits_sum_ms / 1000)
        waiting.add_metric([lane], waiting_commands)
        oldest.add_metric([lane], oldest_batch_seconds)
    yield from (commands, batches, busy, waits, waiting, oldest)


def _queues(queues: Sequence[QueueFigures], cron_seconds: float | None) -> Iterator[Metric]:
    workers = GaugeMetricFamily("admitone_queue_workers", "Workers that gave a sign of life.", labels=["queue"])
    jobs = GaugeMetricFamily("admitone_queue_jobs", "Jobs in Redis; a lane's are batches.", labels=["queue", "state"])
    for queue in queues:
        workers.add_metric([queue.queue], queue.workers)
        for state in ("queued", "under_way", "failed"):
            jobs.add_metric([queue.queue, state], getattr(queue, state))
    yield from (workers, jobs)
    if cron_seconds is not None:
        yield GaugeMetricFamily("admitone_cron_beat_age_seconds", "Since cron's last beat.", value=cron_seconds)


def _backlog(backlog: Backlog) -> Iterator[Metric]:
    holds = GaugeMetricFamily("admitone_holds", "Holds: live, and lapsed but not yet swept.", labels=["state"])
    holds.add_metric(["live"], backlog.live)
    holds.add_metric(["lapsed"], backlog.lapsed)
    yield holds
    yield GaugeMetricFamily(
        "admitone_holds_lapsed_oldest_seconds",
        "Since the grace of the oldest lapsed hold ended.",
        value=backlog.lapsed_seconds,
    )
    yield GaugeMetricFamily("admitone_outbox_unsent", "Notifications not yet handed on.", value=backlog.unsent)
    yield GaugeMetricFamily(
        "admitone_outbox_oldest_seconds", "Age of the oldest not yet handed on.", value=backlog.unsent_seconds
    )
    deliveries = GaugeMetricFamily(
        "admitone_webhook_deliveries", "Deliveries to webhooks: pending, and given up.", labels=["state"]
    )
    deliveries.add_metric(["pending"], backlog.pending)
    deliveries.add_metric(["dead"], backlog.dead)
    yield deliveries
    yield GaugeMetricFamily(
        "admitone_webhook_late_seconds", "Since the first pending delivery was due.", value=backlog.late_seconds
    )
    endpoints = GaugeMetricFamily(
        "admitone_webhook_endpoints", "Endpoints that fail, and those switched off.", labels=["state"]
    )
    endpoints.add_metric(["failing"], backlog.endpoints_failing)
    endpoints.add_metric(["disabled"], backlog.endpoints_disabled)
    yield endpoints


def _alarms(alarms: Mapping[str, int], looked_seconds: float | None) -> Iterator[Metric]:
    firing = GaugeMetricFamily("admitone_alarms", "Operators' alarms that stand.", labels=["kind"])
    for kind, number in alarms.items():
        firing.add_metric([kind], number)
    yield firing
    if looked_seconds is not None:
        yield GaugeMetricFamily(
            "admitone_alarms_look_age_seconds", "Since the workers looked for alarms.", value=looked_seconds
        )


def _rooms(rooms: Sequence[RoomAnswer]) -> Iterator[Metric]:
    fans = GaugeMetricFamily("admitone_room_fans", "Fans in the room, by state.", labels=["event_id", "state"])
    state = GaugeMetricFamily("admitone_room_state", "1 for the state the room is in.", labels=["event_id", "state"])
    seats = GaugeMetricFamily("admitone_seats", "Seats, by status.", labels=["event_id", "status"])
    let_in = CounterMetricFamily(
        "admitone_room_let_in", "Fans called or let straight in, since Redis knows the room.", labels=["event_id"]
    )
    behind = GaugeMetricFamily(
        "admitone_room_gateways_behind", "Gateways that do not go by the room's last change yet.", labels=["event_id"]
    )
    figures = {
        field: GaugeMetricFamily(f"admitone_room_{name}", text, labels=["event_id"])
        for field, name, text in _FIELD_NAME_HELP
    }
    for room in rooms:
        event = str(room.event_id)
        for name in ("lobby", "waiting", "called", "admitted"):
            fans.add_metric([event, name], getattr(room, name))
        for name in RoomState:
            state.add_metric([event, name], room.state == name)
        let_in.add_metric([event], room.let_in)
        behind.add_metric([event], room.gateways - room.gateways_in_force)
        for field, family in figures.items():
            figure = getattr(room, field)
            if figure is not None:
                family.add_metric([event], figure)
        for name in ("free", "held", "sold"):
            seats.add_metric([event, name], getattr(room, name))
    yield from (fans, state, seats, let_in, behind, *figures.values())
