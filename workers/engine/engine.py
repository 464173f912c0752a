"""The engine applies batches. Each takes effect exactly once, even if Postgres, Redis or a worker fails meanwhile."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar

import msgspec
import psycopg
from psycopg.pq import TransactionStatus
from rq.timeouts import BaseTimeoutException

from booking_lane import tracing
from booking_lane.commands import KINDS, Awaiting, Checkout, Command, Outcome
from booking_lane.problems import problem
from booking_lane.results import EventChange
from booking_lane.settings import HoldSettings
from db.booking.results import Result
from db.connections import primary
from db.connections.pooled import PooledConnection
from db.connections.urls import at_host, leads_to_citus
from db.patience import Trouble, trouble_of
from db.payments.rows import Payment, PaymentJob
from workers.engine.awaits import AwaitsPayment
from workers.engine.book import Book
from workers.engine.commands import decide
from workers.engine.free_rows import KeptRows
from workers.engine.kept_networks import KeptNetworks
from workers.engine.nodes import Nodes, number_orders
from workers.engine.offers import make_offers
from workers.engine.reading import lock_and_read
from workers.engine.refused import Refused
from workers.engine.statements import Connection
from workers.engine.transactions import Transaction, transaction
from workers.engine.writing import event_changes, record, write, write_outcomes

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

RETRY_PAUSE_SECONDS = 0.02
RECONNECT_PAUSE_SECONDS_MAX = 1.0
CONFLICTS_MAX = 20
PLANS_SECONDS_MAX = 1.0
CONNECT_SECONDS = 3
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)

_SESSION = {
    "timezone": "UTC",
    "statement_timeout": 30_000,
    # A batch decides in milliseconds, so a transaction that is idle for so long is stalled and must not keep the locks.
    "idle_in_transaction_session_timeout": 10_000,
    # Postgres notices within some six seconds that a worker's host is gone, for the session has its event's lock until
    # then. In the midst of a pipeline it does not count as idle.
    "tcp_keepalives_idle": 3,
    "tcp_keepalives_interval": 1,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 6_000,
    # A sale fills empty tables faster than statistics follow, and with a plan that was made for an empty table a batch
    # took seconds. Every statement here reaches a few rows by key, in the order it is written. Plans are kept, because
    # planning is half of a small batch's time, but only for a second (PLANS_SECONDS_MAX).
    "plan_cache_mode": "force_generic_plan",
    "join_collapse_limit": 1,
    **primary.PLAN_BY_KEYS,
}
_SESSION_OF_COORDINATOR = _SESSION | {
    # Citus finds the node of a statement by its parameters' values, which a generic plan does not have.
    "plan_cache_mode": "force_custom_plan",
}


class _Classes(TypedDict, total=False):
    connection_class: type[Connection]
    pooled_class: type[PooledConnection]


@dataclass(frozen=True, slots=True)
class Applied:
    """The effect of one or more transactions: every command's outcome (sweeps have none), and the changes.

    ``holds_until_ms`` has (event_id, user_id, end of the hold in Unix milliseconds) for each hold made or extended;
    ``bought`` has (event_id, user_id) for each purchase made; ``awaiting`` has the checkouts that wait for payments.
    """

    outcomes: tuple[Outcome, ...]
    changes: tuple[EventChange, ...]
    holds_until_ms: tuple[tuple[int, int, int], ...]
    bought: tuple[tuple[int, int], ...]
    awaiting: tuple[Awaiting, ...] = ()

    def __add__(self, other: Applied) -> Applied:
        return Applied(
            self.outcomes + other.outcomes,
            self.changes + other.changes,
            self.holds_until_ms + other.holds_until_ms,
            self.bought + other.bought,
            self.awaiting + other.awaiting,
        )


NOTHING = Applied((), (), (), ())

_Answered = tuple[Command | PaymentJob, int, Result | dict[str, Any]]
"""Who asked, about which event, and the result or the problem, both still without the event's version."""


@dataclass(frozen=True, slots=True)
class _Decided:
    """The answers that are to be recorded, the outcomes of checkouts that are told again, and what waits."""

    answers: list[_Answered]
    repeated: list[Outcome]
    awaiting: list[Awaiting]


class OutageError(Exception):
    """Postgres stayed away for longer than ``outage_seconds_max``, so it is not known whether the batch is applied."""


class Engine:
    """Owns one Postgres connection. Not thread-safe: one per worker.

    Args:
        database_url: Postgres' primary.
        now_ms: the clock that deadlines were set by (the jobs' Redis), in milliseconds.
        outage_seconds_max: how long the engine waits for Postgres in an outage.
        probe: called at named points (``locked``, ``decided``, ``written``, ``committed``), so that tests can inject
            faults there.
        locks: False only in tests that show what breaks without locks.

    Attributes:
        is_on_citus: the database is a coordinator's.
    """

    def __init__(
        self,
        database_url: str,
        now_ms: Callable[[], int],
        hold: HoldSettings,
        *,
        outage_seconds_max: float,
        probe: Callable[[str], None] = lambda point: None,
        locks: bool = True,
    ) -> None:
        self._database_url = database_url
        self.is_on_citus = leads_to_citus(database_url)
        self._now_ms = now_ms
        self._hold = hold
        self._outage_seconds_max = outage_seconds_max
        self._probe = probe
        self._locks = locks
        self._connection: Connection | None = None
        self._nodes = Nodes(self._connect_to_node) if self.is_on_citus else None
        self._kept = KeptRows()
        self._kept_networks = KeptNetworks()
        self._planned_at = float("-inf")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._nodes is not None:
            self._nodes.close()

    def connection(self) -> Connection:
        """The connection, which is opened if there is none; on Citus it leads to the coordinator.

        Raises:
            psycopg.OperationalError: Postgres cannot be reached.
        """
        if self._connection is None or self._connection.closed:
            session = _SESSION_OF_COORDINATOR if self.is_on_citus else _SESSION
            self._connection = _connect(self._database_url, session)
        return self._connection

    def _connect_to_node(self, host: str, port: int) -> Connection:
        return _connect(at_host(self._database_url, host, port), _SESSION)

    def apply(self, commands: Sequence[Command]) -> Applied:
        """Apply a batch in one transaction, or in several if one of its commands cannot be applied. On Citus each event
        has a transaction of its own, which is at one node.

        Raises:
            OutageError: Postgres stayed away. The batch may be applied again; it takes effect once.
            rq.timeouts.BaseTimeoutException: the job ran longer than RQ allows. It may be applied again, too.
        """
        if not self.is_on_citus:
            return self._apply(commands)
        of_events: defaultdict[int, list[Command]] = defaultdict(list)
        for command in commands:
            of_events[command.event_id].append(command)
        return sum(map(self._apply, of_events.values()), NOTHING)

    def _apply(self, commands: Sequence[Command]) -> Applied:
        try:
            return self._patiently(lambda: self._apply_once(commands))
        except (BaseTimeoutException, OutageError):
            raise
        except Exception as error:
            if trouble_of(error) is Trouble.CONFLICT:
                raise
            return self._bisect(commands, error)

    def give_up(self, commands: Sequence[Command]) -> Applied:
        """End commands that can be neither applied nor tried again. Outcomes that were recorded earlier stand; the
        other commands fail for good.

        Raises:
            OutageError: Postgres stayed away; what is recorded by then stays.
        """
        outcomes = [self._failed(command) for command in commands if command.is_recorded]
        return Applied(tuple(outcomes), (), (), ())

    def _patiently(self, work: Callable[[], _T]) -> _T:
        """Do ``work`` and give its result. It is tried again after a conflict with another transaction or an outage."""
        started = time.monotonic()
        pause = RETRY_PAUSE_SECONDS
        conflicts = 0
        while True:
            try:
                return work()
            except psycopg.Error as error:
                trouble = self._trouble_of(error)
                if trouble is None:
                    raise
                if trouble is Trouble.CONFLICT:
                    conflicts += 1
                    if conflicts > CONFLICTS_MAX:
                        raise
                    logger.warning("batch meets another transaction (%s), trying again", type(error).__name__)
                    time.sleep(RETRY_PAUSE_SECONDS * conflicts)
                    continue
                if time.monotonic() - started > self._outage_seconds_max:
                    raise OutageError(str(error)) from error
                logger.warning("Postgres is away (%s), trying again in %.2f s", type(error).__name__, pause)
                self.close()
                time.sleep(pause)
                pause = min(pause * 2, RECONNECT_PAUSE_SECONDS_MAX)

    def _trouble_of(self, error: psycopg.Error) -> Trouble | None:
        is_lost = self._connection is None or self._connection.closed
        is_lost = is_lost or (self._nodes is not None and self._nodes.is_lost)
        if is_lost and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return Trouble.AWAY
        return trouble_of(error)

    def _bisect(self, commands: Sequence[Command], error: Exception) -> Applied:
        """Find the command that breaks its batch, by halves; only this command fails."""
        if len(commands) > 1:
            logger.warning("batch of %d fails (%s), halving it", len(commands), error)
            middle = len(commands) // 2
            return self.apply(commands[:middle]) + self.apply(commands[middle:])
        command = commands[0]
        logger.error(
            "command %s of kind %s fails",
            command.command_id,
            KINDS[type(command)],
            exc_info=error,
            extra={"command_id": command.command_id, "user_id": command.user_id},
        )
        return Applied((self._failed(command),), (), (), ()) if command.is_recorded else NOTHING

    def _failed(self, command: Command) -> Outcome:
        """Record the command's failure, so that it cannot succeed in a second run. An earlier outcome stands."""
        outcome = _outcome(command, {"status": "failed", "problem": problem("internal_error")})

        def recorded() -> Outcome:
            with self._transaction([command]) as ours:
                ours.begin()
                stands = record(ours.connection, outcome)
                ours.commit()
                return stands

        try:
            return self._patiently(recorded)
        except psycopg.Error as error:
            logger.warning("failure of command %s not recorded: %s", outcome.command_id, error)
            return outcome

    @contextlib.contextmanager
    def _transaction(self, commands: Sequence[Command]) -> Iterator[Transaction]:
        """A transaction for these commands, which the caller begins and commits; on Citus, where they are about one
        event, at the node that has its rows.
        """
        connection = self.connection()
        try:
            if self._nodes is not None:
                with self._nodes.transaction(connection, commands[0].event_id) as at_node:
                    yield Transaction(at_node, is_ours=False)
            else:
                with transaction(connection) as ours:
                    yield ours
        except Exception as error:
            # RQ's time limit comes as a signal at any moment. psycopg may then fail with another error that hides it,
            # and the connection cannot be used any more.
            if connection.info.transaction_status != TransactionStatus.IDLE:
                self.close()
            raised: BaseException | None = error
            while raised is not None:
                if isinstance(raised, BaseTimeoutException):
                    raise raised from None
                raised = raised.__context__
            raise

    def _apply_once(self, commands: Sequence[Command]) -> Applied:
        probe = self._probe
        self._plan_anew()
        with self._transaction(commands) as ours:
            book, recorded = lock_and_read(
                ours, self._kept, self._kept_networks, commands, self._hold, locks=self._locks
            )
            probe("locked")
            decided = self._decide(book, commands, recorded)
            probe("decided")
            if self._nodes is not None and book.changes.purchases:
                number_orders(self.connection(), book.changes.purchases)
            connection = ours.connection
            with connection.pipeline():
                # Postgres is at work on each statement while the next one is made here.
                write(connection, book)
                new = _outcomes(book, decided.answers)
                # An unknown event has no row to record an outcome under.
                write_outcomes(connection, book, [outcome for outcome in new if outcome.event_id in book.events])
                probe("written")
                ours.commit()
                applied = _applied(book, (*recorded.values(), *decided.repeated, *new), decided.awaiting)
        probe("committed")
        self._keep_rows(book)
        return applied

    def _plan_anew(self) -> None:
        """Forget plans that are older than a second, because they were made for smaller tables. A pooler's connections
        keep none (`db.connections.pooled`).
        """
        now = time.monotonic()
        if now - self._planned_at > PLANS_SECONDS_MAX:
            for connection in [self.connection()] if self._nodes is None else self._nodes.connections():
                if not isinstance(connection, PooledConnection):
                    connection.execute("DISCARD PLANS")
            self._planned_at = now

    def _keep_rows(self, book: Book) -> None:
        changed = book.changes.event_ids()
        for event_id, event in book.events.items():
            rows = {kind: rows for kind, rows in book.free_rows.items() if kind[0] == event_id}
            version = event.version + (event_id in changed)
            self._kept.keep(event_id, version, rows)
            self._kept_networks.keep(event_id, version, book.networks[event_id], book.network_seats_max(event))

    def _decide(self, book: Book, commands: Sequence[Command], recorded: Mapping[uuid.UUID, Outcome]) -> _Decided:
        now_ms = self._now_ms()
        decided = _Decided([], [], [])
        seen = set(recorded)
        for command in commands:
            if not command.is_recorded:
                if command.event_id in book.events:
                    decide(book, command)
            elif command.command_id not in seen:
                seen.add(command.command_id)
                try:
                    decided.answers.append((command, command.event_id, self._answer(book, command, now_ms)))
                except AwaitsPayment as awaits:
                    payment = book.payments[awaits.payment_id]
                    decided.awaiting.append(_awaiting(command, KINDS[type(command)], payment))
        for payment in book.changes.kept:
            jobs = [job for job in payment.jobs if job.outcome is None]
            decided.awaiting.extend(_awaiting(job, KINDS[Checkout], payment) for job in jobs)
        if book.turns:
            make_offers(book)
        for event_id, job, answer in book.changes.settled:
            if job.outcome is None:
                decided.answers.append((job, event_id, answer))
            elif job.command_id not in seen:
                decided.repeated.append(_outcome_of_job(job, event_id, job.outcome))
        return decided

    def _answer(self, book: Book, command: Command, now_ms: int) -> Result | dict[str, Any]:
        """The command's result or its problem, both still without the event's version.

        Raises:
            AwaitsPayment: its outcome comes with its payment.
        """
        if now_ms > command.deadline_ms:
            return problem("timed_out")
        try:
            return decide(book, command)
        except Refused as refusal:
            return refusal.document


def _outcomes(book: Book, answers: Sequence[_Answered]) -> list[Outcome]:
    """The outcomes that say these answers, each with the version that its event has after the batch."""
    changed = book.changes.event_ids()
    new = []
    for asked, event_id, answer in answers:
        event = book.events.get(event_id)
        version = 0 if event is None else event.version + (event_id in changed)
        if isinstance(answer, Result):
            answer.version = version
            body: dict[str, object] = {"status": "succeeded", "result": answer}
        else:
            if event is not None:
                answer["version"] = version
            body = {"status": "failed", "problem": answer}
        if isinstance(asked, PaymentJob):
            new.append(_outcome_of_job(asked, event_id, msgspec.json.encode(body)))
        else:
            new.append(_outcome(asked, body))
    return new


def _applied(book: Book, outcomes: tuple[Outcome, ...], awaiting: Sequence[Awaiting]) -> Applied:
    changes = book.changes
    return Applied(
        outcomes,
        event_changes(book),
        tuple(
            [
                (hold.event_id, hold.user_id, int(hold.expires_at.timestamp() * 1000))
                for hold in (*changes.new_holds.values(), *changes.extended_holds.values())
                if hold.is_open
            ]
        ),
        tuple([(purchase.event_id, purchase.user_id) for purchase in changes.purchases]),
        tuple(awaiting),
    )


def _connect(database_url: str, session: Mapping[str, object]) -> Connection:
    return primary.connect(
        database_url, "admitone-worker", connect_seconds=CONNECT_SECONDS, session=session, **_connection_classes()
    )


def _connection_classes() -> _Classes:
    if not tracing.tracer.is_on:
        return {}
    from workers.engine.traced import TracedConnection, TracedPooledConnection

    return {"connection_class": TracedConnection, "pooled_class": TracedPooledConnection}


def _awaiting(waits: Command | PaymentJob, kind: str, payment: Payment) -> Awaiting:
    return Awaiting(
        command_id=waits.command_id,
        event_id=payment.event_id,
        user_id=waits.user_id,
        kind=kind,
        body_hash=waits.body_hash,
        payment_id=payment.payment_id,
        payment_until_us=(payment.expires_at - _EPOCH) // dt.timedelta(microseconds=1),
        is_processing=payment.processing_at is not None,
    )


def _outcome_of_job(job: PaymentJob, event_id: int, body: bytes) -> Outcome:
    return Outcome(
        command_id=job.command_id,
        event_id=event_id,
        user_id=job.user_id,
        kind=KINDS[Checkout],
        body_hash=job.body_hash,
        body=body,
    )


def _outcome(command: Command, answer: dict[str, object]) -> Outcome:
    return Outcome(
        command_id=command.command_id,
        event_id=command.event_id,
        user_id=command.user_id,
        kind=KINDS[type(command)],
        body_hash=command.body_hash,
        body=msgspec.json.encode(answer),
    )
