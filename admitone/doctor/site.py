"""The site that the doctor examines: its settings, and a connection to each server with bounded timeouts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString, cast

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from admitone.doctor.finding import Finding, Kind, Level
from admitone.settings import Settings
from booking_lane.clients import plain_client
from db.connections import look
from gateway.health.presence import GATEWAYS_KEY, GATEWAYS_READ_MAX, Presence, decode_presence, presence_key

CONNECT_SECONDS_MAX: Final = 3
ANSWER_SECONDS_MAX: Final = 5


@dataclass(slots=True)
class Site:
    """A site and the doctor's connections to its servers.

    ``postgres``, ``jobs`` and ``line`` are None where the server does not answer; ``errors`` says why.
    ``embedded`` names the variables that were not given, so that `admitone up`'s own servers are used.
    ``public_url`` is the address that fans use, empty if it is not known.
    """

    settings: Settings
    embedded: tuple[str, ...] = ()
    public_url: str = ""
    postgres: psycopg.Connection[tuple[Any, ...]] | None = None
    jobs: redis.Redis | None = None
    line: redis.Redis | None = None
    errors: dict[str, str] = field(default_factory=dict)
    gateways: tuple[Presence, ...] = ()

    def misconfigured(self, kind: Kind, code: str, says: str, fix: str) -> Finding:
        """A finding that is an error in production, and in development only a warning."""
        level = Level.ERROR if self.settings.site.env == "production" else Level.WARNING
        return Finding(kind, code, level, says, fix)

    def look_again(self) -> tuple[Presence, ...]:
        """The gateways as they are now. What one says of itself may be as old as the part that it names is away for."""
        if self.jobs is not None:
            self.gateways = _gateways(self.jobs)
        return self.gateways

    def rows(self, query: LiteralString, parameters: dict[str, object] | None = None) -> list[tuple[Any, ...]]:
        """The rows that the query gives.

        Raises:
            psycopg.Error: Postgres failed, or took longer than `db.connections.look.ANSWER_SECONDS`.
        """
        assert self.postgres is not None
        return self.postgres.execute(query, parameters).fetchall()

    def value(self, query: LiteralString, parameters: dict[str, object] | None = None) -> Any:
        return self.rows(query, parameters)[0][0]


@contextlib.contextmanager
def open_site(settings: Settings, embedded: tuple[str, ...], public_url: str) -> Iterator[Site]:
    """Connect to every server that answers, for the length of a ``with`` block."""
    with contextlib.ExitStack() as opened:
        site = Site(settings, embedded, public_url)
        try:
            site.postgres = opened.enter_context(look.connect(settings.db.url, "admitone-doctor"))
        except (psycopg.Error, ValueError) as problem:
            site.errors["postgres"] = _first_line(problem)
        site.line = _redis(site, opened, "line_redis", settings.redis.url)
        if settings.redis.one_server:
            site.jobs = site.line
        else:
            site.jobs = _redis(site, opened, "jobs_redis", settings.redis.jobs)
        if site.jobs is not None:
            site.gateways = _gateways(site.jobs)
        yield site


def _redis(site: Site, opened: contextlib.ExitStack, name: str, url: str) -> redis.Redis | None:
    try:
        client = plain_client(
            url,
            socket_timeout=ANSWER_SECONDS_MAX,
            socket_connect_timeout=CONNECT_SECONDS_MAX,
            retry=Retry(NoBackoff(), 0),
        )
        opened.callback(client.close)
        client.ping()
    except (redis.RedisError, ValueError, OSError) as problem:
        site.errors[name] = _first_line(problem)
        return None
    return client


def _gateways(jobs: redis.Redis) -> tuple[Presence, ...]:
    names = sorted(cast(set[bytes], jobs.smembers(GATEWAYS_KEY)))[:GATEWAYS_READ_MAX]
    values = jobs.mget([presence_key(name.decode()) for name in names]) if names else []
    present = (decode_presence(value) for value in values if value is not None)
    return tuple(sorted(present, key=lambda one: (one.host, one.pid)))


def _first_line(problem: Exception) -> str:
    return (str(problem) or type(problem).__name__).strip().splitlines()[0]
