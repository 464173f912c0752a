"""Samples the site once a second while a rehearsal runs: the room, the lane, and the processor time of each part.

Redis reports its own processor time. The time of gateways, workers and Postgres is read from this machine's processes.
For gateways on other machines it is read from ``/metrics``; for workers and Postgres elsewhere only the lane's busy
time is known.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import urljoin

import psutil
import psycopg
import redis

from admitone.settings import Settings
from booking_lane.alive import alive_key, worker_names
from booking_lane.clients import jobs_client
from booking_lane.figures import Figures, figures_key, from_hash
from booking_lane.lane import queue_name, rq_queue
from booking_lane.lane_map import map_in_force
from gateway.health.presence import GATEWAYS_KEY, GATEWAYS_READ_MAX, Presence, decode_presence, presence_key
from waiting_room.errors import RoomUnknown
from waiting_room.keys import FIGURES_HISTORY, room_key, room_keys
from waiting_room.line import Slots

METRICS_SECONDS_MAX: Final = 2.0
METRICS_BYTES_MAX: Final = 4_000_000
_started = re.compile(rb"^process_start_time_seconds (\S+)", re.MULTILINE).search
_cpu = re.compile(rb"^process_cpu_seconds_total (\S+)", re.MULTILINE).search


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample of the site.

    ``at`` is this machine's monotonic clock. ``backlog`` is the number of batches queued for the lane. ``gateways``
    (by process), ``worker``, ``postgres`` and ``redis`` are seconds of processor time since their start; None where it
    cannot be read. ``machine`` is the share of all this machine's cores that was busy since the last sample.
    ``failing`` names the parts that gateways report as failing.
    """

    at: float
    waiting: int
    called: int
    admitted: int
    capacity: int
    figures: Figures
    backlog: int
    streams: int
    gateways: dict[str, float]
    worker: float | None
    postgres: float | None
    redis: float
    machine: float
    failing: tuple[str, ...] = ()


@dataclass(slots=True)
class Watch:
    """Samples the site, with the room and the lane of the copy ``event_id``."""

    settings: Settings
    url: str
    event_id: int
    postgres: psycopg.Connection[tuple[Any, ...]]
    _line: redis.Redis = field(init=False)
    _jobs: redis.Redis = field(init=False)
    _postmaster: psutil.Process | None = field(init=False, default=None)
    _ended_postgres: float = field(init=False, default=0.0)
    _backends: dict[int, float] = field(init=False, default_factory=dict)
    _metrics: dict[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        settings = self.settings
        self._line = jobs_client(settings.redis.url, connections_max=2)
        self._jobs = self._line
        if not settings.redis.one_server:
            self._jobs = jobs_client(settings.redis.jobs, connections_max=2)
        self._postmaster = _postmaster(self.postgres)
        psutil.cpu_percent(None)

    @property
    def lane(self) -> int:
        return map_in_force(self._jobs, self.settings.lane.count).lanes.of(self.event_id)

    def look(self) -> Sample:
        """Take a sample.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        try:
            counts = Slots(self._line).counts(self.event_id)
            waiting, called, admitted = counts.waiting, counts.called, counts.admitted
            capacity = counts.config.capacity
        except RoomUnknown:
            waiting = called = admitted = capacity = 0
        present = self.gateways()
        return Sample(
            at=time.monotonic(),
            waiting=waiting,
            called=called,
            admitted=admitted,
            capacity=capacity,
            figures=from_hash(cast(dict[bytes, bytes], self._jobs.hgetall(figures_key(self.lane)))),
            backlog=self._jobs.llen(f"rq:queue:{queue_name(self.lane)}"),
            streams=sum(one.streams for one in present),
            gateways=self._gateways_cpu(present),
            worker=self._worker_cpu(),
            postgres=self._postgres_cpu(),
            redis=self._redis_cpu(),
            machine=psutil.cpu_percent(None) / 100,
            failing=tuple(sorted({part for one in present for part in one.failing})),
        )

    def gateways(self) -> tuple[Presence, ...]:
        """The gateway processes that are up."""
        names = sorted(cast(set[bytes], self._jobs.smembers(GATEWAYS_KEY)))[:GATEWAYS_READ_MAX]
        keys = [presence_key(name.decode()) for name in names]
        values = cast(list[bytes | None], self._jobs.mget(keys) if keys else [])
        return tuple(decode_presence(value) for value in values if value is not None)

    def lane_is_idle(self) -> bool:
        """Whether no command waits, in Redis or in a gateway."""
        queued = self._jobs.llen(f"rq:queue:{queue_name(self.lane)}")
        registry = rq_queue(self._jobs, queue_name(self.lane)).started_job_registry
        started = registry.get_job_count(cleanup=False)
        buffered = sum(one.backlog for one in self.gateways())
        return bool(queued + started + buffered == 0)

    def fans_in(self, event_ids: list[int]) -> int:
        """How many fans are in line, called or admitted in these rooms."""
        fans = 0
        for event_id in event_ids:
            with contextlib.suppress(RoomUnknown):
                counts = Slots(self._line).counts(event_id)
                fans += counts.waiting + counts.called + counts.admitted
        return fans

    def forget_rooms(self, event_ids: list[int]) -> None:
        """Delete from Redis the rooms of events that are gone."""
        for event_id in event_ids:
            self._line.delete(*room_keys(event_id), room_key(event_id, FIGURES_HISTORY))

    def close(self) -> None:
        self._line.close()
        self._jobs.close()

    # -- processor time

    def _gateways_cpu(self, present: tuple[Presence, ...]) -> dict[str, float]:
        here = {
            f"{one.host}:{one.pid}": spent
            for one in present
            if one.host == socket.gethostname() and (spent := _cpu_of(one.pid)) is not None
        }
        if len(here) < len(present):
            process = fetch_cpu_metrics(self.url, self.settings.metrics.token)
            if process is not None and len(self._metrics) < GATEWAYS_READ_MAX:
                started, spent = process
                self._metrics[f"started at {started}"] = spent
            return dict(self._metrics) or here
        return here

    def _worker_cpu(self) -> float | None:
        queue = queue_name(self.lane)
        names = worker_names(self._jobs, queue)
        keys = [alive_key(queue, name) for name in names]
        addresses = cast(list[bytes | None], self._jobs.mget(keys) if keys else [])
        spent = None
        for address in addresses:
            host, _, pid = (address or b"").decode().rpartition(":")
            if host == socket.gethostname() and (used := _cpu_of(int(pid))) is not None:
                spent = (spent or 0.0) + used
        return spent

    def _postgres_cpu(self) -> float | None:
        """Processor time of the server and its backends, of backends that have ended too."""
        if self._postmaster is None:
            return None
        seen: dict[int, float] = {}
        with contextlib.suppress(psutil.Error):
            for process in (self._postmaster, *self._postmaster.children()):
                spent = _cpu_of(process.pid)
                if spent is not None:
                    seen[process.pid] = spent
        self._ended_postgres += sum(spent for pid, spent in self._backends.items() if pid not in seen)
        self._backends = seen
        return self._ended_postgres + sum(seen.values())

    def _redis_cpu(self) -> float:
        cpu = self._line.info("cpu")
        return float(cpu["used_cpu_sys"]) + float(cpu["used_cpu_user"])


def _postmaster(connection: psycopg.Connection[tuple[Any, ...]]) -> psutil.Process | None:
    """The server's first process, if it runs on this machine."""
    row = connection.execute("SELECT pg_backend_pid(), inet_server_addr()::text").fetchone()
    assert row is not None
    pid, address = row
    here = {one.address for addresses in psutil.net_if_addrs().values() for one in addresses}
    if address is not None and address.partition("/")[0] not in here:
        return None
    try:
        process = psutil.Process(pid)
        return process.parent() if "postgres" in process.name() else None
    except psutil.Error:
        return None


def _cpu_of(pid: int) -> float | None:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system)


def fetch_cpu_metrics(url: str, token: str = "") -> tuple[str, float] | None:
    """When the process that answers was started (Unix time), and the CPU seconds it has used; None where it gives no
    metrics.

    A load balancer passes the request to any gateway; gateways are told apart by their start. ``token`` is shown to
    gateways that want one.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # No site serves its figures below the path that it stands below.
    request = urllib.request.Request(urljoin(url, "/metrics"), headers=headers)  # noqa: S310
    with contextlib.suppress(OSError, ValueError):
        with urllib.request.urlopen(request, timeout=METRICS_SECONDS_MAX) as answer:  # noqa: S310
            text = answer.read(METRICS_BYTES_MAX)
        started, spent = _started(text), _cpu(text)
        if started is not None and spent is not None:
            return f"{float(started[1]):.2f}", float(spent[1])
    return None
