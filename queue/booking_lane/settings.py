"""Settings of the booking lanes, of the holds that they give, and of the Redis that carries both."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded, setting


class RedisSettings(Section, frozen=True, kw_only=True):
    """``url`` is the line's Redis, and also that of RQ's jobs unless ``jobs_url`` names another. Only the line's may be
    a cluster.
    """

    url: Annotated[
        str,
        setting(
            "Redis or Valkey, e.g. redis://:password@host:6379/0, or its sentinels:"
            " redis+sentinel://:password@host:26379,host:26379/service/0, or servers of a cluster:"
            " redis+cluster://:password@host:6379,host:6379/; empty: embedded",
            variable="REDIS_URL",
        ),
    ] = ""
    jobs_url: Annotated[
        str,
        setting(
            "Redis for RQ's jobs, if it is another than the line's, as it must be for a cluster",
            variable="ADMITONE_JOBS_REDIS_URL",
        ),
    ] = ""

    @property
    def line(self) -> str:
        """The URL of the line's Redis."""
        return self.url

    @property
    def jobs(self) -> str:
        """The URL of the Redis of RQ's jobs."""
        return self.jobs_url or self.url

    @property
    def one_server(self) -> bool:
        """Whether the line and the jobs share one Redis."""
        return self.jobs == self.line


class LaneSettings(Section, frozen=True, kw_only=True):
    """``count`` must be equal at every gateway and worker of a site."""

    count: Annotated[
        int,
        bounded("booking lanes, one RQ queue and one worker each; equal everywhere", 1, 64, variable="ADMITONE_LANES"),
    ] = 2
    batch_max: Annotated[int, bounded("commands in one batch at most", 1, 4096, variable="ADMITONE_BATCH_MAX")] = 512
    batches_unfinished_max: Annotated[
        int,
        bounded("batches a gateway has under way in a lane", 1, 16, variable="ADMITONE_BATCHES_UNFINISHED_MAX"),
    ] = 2
    buffer_max: Annotated[int, bounded("commands waiting in a gateway for a lane; beyond it 503", 1, 100_000)] = 4096
    wait_seconds_max: Annotated[int, bounded("a command waits for its lane; beyond it 503", 1, 60)] = 2
    command_deadline_seconds: Annotated[
        int,
        bounded("a command not applied by then is timed_out", 1, 300, variable="ADMITONE_COMMAND_DEADLINE_SECONDS"),
    ] = 30
    batch_setbacks_max: Annotated[
        int,
        bounded(
            "a batch that failed or killed its worker so often goes command by command; one alone fails",
            1,
            100,
            variable="ADMITONE_BATCH_SETBACKS_MAX",
        ),
    ] = 3
    result_ttl_seconds: Annotated[
        int,
        bounded("how long Redis remembers a job's result", 60, 86_400, variable="ADMITONE_RESULT_TTL_SECONDS"),
    ] = 3600
    command_keep_hours: Annotated[
        int,
        bounded("how long Postgres remembers a command's outcome", 1, 720, variable="ADMITONE_COMMAND_KEEP_HOURS"),
    ] = 24


class HoldSettings(Section, frozen=True, kw_only=True):
    """The fan may still check out for ``grace_seconds`` after the shown end of the hold. The sweep waits as long."""

    seconds: Annotated[int, bounded("how long a seat is held", 1, 3600)] = 600
    grace_seconds: Annotated[int, bounded("hidden grace of the owner's checkout", 0, 60)] = 15
    paying_seconds: Annotated[int, bounded("a hold lasts so long at least once its payment begins", 60, 3600)] = 600
    life_seconds_max: Annotated[
        int, bounded("a hold ends so long after it was made at most, however its payment goes", 60, 86_400)
    ] = 1800
    cancel_until_hours: Annotated[
        int,
        bounded(
            "a purchase can be cancelled until so long before its event's date; 0: until then",
            0,
            8784,
            variable="ADMITONE_CANCEL_UNTIL_HOURS",
        ),
    ] = 24
    ticket_issues_max: Annotated[
        int,
        bounded(
            "how often a ticket is issued, each time to another holder; 1: tickets are not handed on",
            1,
            1000,
            variable="ADMITONE_TICKET_ISSUES_MAX",
        ),
    ] = 10
    waiting_network_max: Annotated[
        int,
        bounded(
            "entries of a network in an event's waiting list before each further one needs a proof",
            1,
            100_000,
            variable="ADMITONE_WAITING_NETWORK_MAX",
        ),
    ] = 24
