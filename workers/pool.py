"""The worker processes: one `LaneWorker` for each lane, and one process each for housekeeping, messages,
cron, news and payments.

The pool's loop notices a child that died, starts another in its place and puts its batches back to work.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import Any, Final
from uuid import uuid4

import redis
from rq.worker_pool import WorkerData, WorkerPool

from booking_lane.alive import alive_key
from booking_lane.clients import jobs_client, prompt_client
from booking_lane.lane import HOUSEKEEPING_QUEUE, MESSAGES_QUEUE, queue_name, rq_queue
from booking_lane.serializer import MsgpackSerializer
from booking_lane.signals import ending_signals, watch_for_end, watch_no_more
from db.connections.urls import psycopg_conninfo
from db.patience import Patience
from db.sealing.keyring import Keyring, use
from waiting_room.line import Slots
from workers import jobs
from workers.alarms.watch import Watch
from workers.booking import Booking, jobs_clock
from workers.cron import Cron
from workers.engine.engine import Engine
from workers.housekeeping import Housekeeping
from workers.lane_worker import LaneWorker
from workers.parts import Part
from workers.recovery import Recovery
from workers.setbacks import Setbacks
from workers.settings import WorkerSettings

logger = logging.getLogger(__name__)

CRON: Final = "cron"
POOL: Final = "pool"
WEBHOOKS: Final = "webhooks"
PAYMENTS: Final = "payments"
NEWS_NICENESS: Final = 10
LOOP_SECONDS: Final = 0.25
RECOVER_EVERY_SECONDS: Final = 1.0
RESPAWN_PAUSE_SECONDS: Final = 0.5
GC_THRESHOLDS: Final = (20_000, 20, 50)
STOP_SECONDS_MAX: Final = 7.0
END_SECONDS_MAX: Final = 9.5
"""By then the pool has ended, even if its main thread still waits for a name to be looked up."""
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15

_fork = get_context("fork").Process


class Pool(WorkerPool):
    """RQ's pool with a fixed job for each of its processes.

    Args:
        lanes: the lanes that this pool works on; all by default. Several pools may share a lane, which is correct but
            slower.
        parts: what this pool does; everything by default. Of each part some pool of the site must do it, and several
            may.
        telemetry: entered by each process for as long as it works, with its queue's name, ``cron`` or ``pool``.
        probe, locks: the engine's switches for tests (`workers.engine.engine.Engine`).

    Raises:
        ValueError: the database's URL is not one of Postgres.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        lanes: tuple[int, ...] | None = None,
        *,
        parts: Collection[Part] = frozenset(Part),
        telemetry: Callable[[str], AbstractContextManager[None]] = lambda process: nullcontext(),
        probe: Callable[[str], None] = lambda point: None,
        locks: bool = True,
    ) -> None:
        # A malformed URL ends the process here; in a worker it would fail the commands of a batch.
        psycopg_conninfo(settings.db.url)
        use(Keyring.of(settings.site))
        self._settings = settings
        self._telemetry = telemetry
        self._probe = probe
        self._locks = locks
        numbers: Collection[int] = ()
        if Part.LANES in parts:
            numbers = range(settings.lane.count) if lanes is None else lanes
        queues = (HOUSEKEEPING_QUEUE, MESSAGES_QUEUE)
        others = (CRON, WEBHOOKS, *((PAYMENTS,) if settings.payment.names else ()))
        self._queues = [*map(queue_name, numbers), *(queue for queue in queues if queue in parts)]
        self._roles = [*self._queues, *(role for role in others if role in parts)]
        self._role_of: dict[str, str] = {}
        self._stopping = threading.RLock()
        client = jobs_client(settings.redis.jobs)
        self._recovery = Recovery(client, Setbacks(client, settings.lane.batch_setbacks_max))
        super().__init__(
            self._queues,
            connection=client,
            num_workers=len(self._roles),
            worker_class=LaneWorker,
            serializer=MsgpackSerializer,
        )

    # -- called by RQ's pool

    def start_worker(self, *args: Any, **kwargs: Any) -> None:
        if self.status == self.Status.STOPPED:
            return
        role = next(role for role in self._roles if role not in self._role_of.values())
        name = f"{role}-{uuid4().hex}"
        process: BaseProcess = _fork(target=self._run, args=(role, name, os.getpid()), name=name)
        # The child begins with the pool's handlers. A signal waits until the child has its own (`_run`).
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ending_signals())
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        assert process.pid is not None
        data = WorkerData(name=name, pid=process.pid, process=process)
        self.worker_dict[name] = data
        self._role_of[name] = role
        if self.status == self.Status.STOPPED:
            # The pool was asked to end while this child was not yet in its list.
            self.stop_worker(data)

    def reap_workers(self) -> None:
        for data in list(self.worker_dict.values()):
            if not data.process.is_alive():
                self.handle_dead_worker(data)

    def handle_dead_worker(self, worker_data: WorkerData) -> None:
        super().handle_dead_worker(worker_data)
        role = self._role_of.pop(worker_data.name, CRON)
        if role not in self._queues:
            return
        with contextlib.suppress(redis.RedisError):
            self.connection.delete(alive_key(role, worker_data.name))
            self._recovery.recover(role)

    def request_stop(self, signum: Any = None, frame: Any = None) -> None:
        """Ask every process once to end: a second signal would have RQ's worker leave its batch."""
        with self._stopping:
            if self.status != self.Status.STOPPED:
                super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    # -- this loop replaces RQ's, which looks once a second and waits for each child in turn

    def start(self, *args: Any, **kwargs: Any) -> None:
        """Run until SIGTERM, SIGINT or SIGHUP; then let the batches under way finish."""
        with self._telemetry(POOL):
            self._loop()

    def _loop(self) -> None:
        self.status = self.Status.STARTED
        # Before the first child, whose start may take a second on a busy machine: as number 1 of a container the pool
        # is given no signal that it has not asked for, and would miss the one that ends it.
        for number in ending_signals():
            signal.signal(number, self.request_stop)
        watch_for_end(self.request_stop, END_SECONDS_MAX)
        # If the pool is killed from here on, it cannot signal its children; they die with it (PR_SET_PDEATHSIG).
        self.start_workers(burst=False)
        logger.info("worker pool of %d processes started", self.num_workers)
        recovered_at = started_at = time.monotonic()
        while self.status != self.Status.STOPPED:
            time.sleep(LOOP_SECONDS)
            now = time.monotonic()
            before = len(self.worker_dict)
            self.reap_workers()
            if len(self.worker_dict) < before and now - started_at < RESPAWN_PAUSE_SECONDS:
                time.sleep(RESPAWN_PAUSE_SECONDS)
            if self.status != self.Status.STOPPED and len(self.worker_dict) < self.num_workers:
                started_at = time.monotonic()
                for _ in range(self.num_workers - len(self.worker_dict)):
                    self.start_worker()
            if now - recovered_at >= RECOVER_EVERY_SECONDS:
                recovered_at = now
                self._recover()
        self._wait_for_children()

    def _recover(self) -> None:
        try:
            for role in self._queues:
                self._recovery.recover(role)
        except redis.RedisError as error:
            logger.warning("cannot look for dead workers' batches: %s", error)

    def _wait_for_children(self) -> None:
        def have_ended() -> bool:
            self.reap_workers()
            return not self.worker_dict

        Patience(STOP_SECONDS_MAX).wait_for(have_ended)
        for data in self.worker_dict.values():
            logger.warning("%s does not stop, killing it", data.name)
            data.process.kill()

    # -- in the child

    def _run(self, role: str, name: str, parent: int) -> None:
        """Run a child process from its start to its end."""
        if sys.platform == "linux":
            prctl = ctypes.CDLL(None, use_errno=True).prctl
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            # So that top and the benchmarks tell a pool's processes apart.
            prctl(_PR_SET_NAME, role.encode())
        if os.getppid() != parent:
            return
        watch_no_more()
        # The child must not keep the pool's handlers that it was forked with; the worker sets its own later.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        # A terminal that is closed sends SIGHUP to all of us. The pool tells its children when to end.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        with self._telemetry(role):
            try:
                self._work(role, name)
            except redis.RedisError as error:
                # Redis went away as the process began. The pool starts another, so one line in the log is enough.
                logger.error("%s ended: %s", role, error)
                sys.exit(1)

    def _work(self, role: str, name: str) -> None:
        settings = self._settings
        if role == WEBHOOKS:
            # The HTTP client is large, and no lane needs it. News must not take processor time from a lane that starts.
            os.nice(NEWS_NICENESS)
            from workers.channels.dispatcher import dispatch

            dispatch(settings.db.url, settings.site, settings.webhook, settings.edge, settings.search_index)
            return
        client = jobs_client(settings.redis.jobs)
        if role == PAYMENTS:
            # As for news, and only where a provider is named: the providers' clients are large.
            from workers.payments.cashier import Cashier, cash
            from workers.payments.providers import providers_of

            providers = providers_of(settings)
            url, lane = settings.db.url, settings.lane
            cash(lambda: Cashier(url, client, lane, settings.payment, providers, settings.invoice, probe=self._probe))
            return
        if role == CRON:
            Cron(client, settings.lane.count).start()  # type: ignore[no-untyped-call]
            return
        if role == MESSAGES_QUEUE:
            self._tell(client, name)
            return
        now_ms = jobs_clock(client)
        engine = Engine(
            settings.db.url,
            now_ms,
            settings.hold,
            outage_seconds_max=settings.lane.command_deadline_seconds,
            probe=self._probe,
            locks=self._locks,
        )
        slots = Slots(jobs_client(settings.redis.line))
        if role == HOUSEKEEPING_QUEUE:
            setbacks = Setbacks(client, settings.lane.batch_setbacks_max)
            alarms = Watch(client, slots, settings.lane.count, settings.alarm)
            jobs.install(housekeeping=Housekeeping(engine, client, slots, setbacks, alarms, settings))
        else:
            jobs.install(Booking(engine, client, slots, settings.lane, settings.hold, now_ms=now_ms, probe=self._probe))
        try:
            self._work_on(client, role, name)
        finally:
            engine.close()

    def _tell(self, client: redis.Redis, name: str) -> None:
        # As for news: templates, catalogues and clients of providers are large, and no lane needs them.
        os.nice(NEWS_NICENESS)
        from workers.messages.process import Told

        told = Told(self._settings)
        jobs.install(told=told)
        try:
            self._work_on(client, MESSAGES_QUEUE, name)
        finally:
            told.close()

    def _work_on(self, client: redis.Redis, role: str, name: str) -> None:
        """Work on the jobs of a queue until the process is asked to end."""
        worker = LaneWorker(
            [rq_queue(client, role)],
            name=name,
            connection=client,
            serializer=MsgpackSerializer,
            sign=lambda: prompt_client(self._settings.redis.jobs),
        )
        settle_memory()
        worker.work(logging_level="WARNING")


def settle_memory() -> None:
    """Keep the objects that are loaded by now out of garbage collection, which took a tenth of a busy lane's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
