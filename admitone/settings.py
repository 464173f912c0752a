"""Everything that can be tuned, its default and its bounds: the only module that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta

PREFIX = "ADMITONE_"
UNPREFIXED = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}


SECRET_LETTERS_MIN = 8
"""Different characters of a secret: words repeated have fewer, 32 random digits practically never."""


class SettingsError(ValueError):
    """A variable of the environment is missing, malformed or out of its bounds."""


def _name(field: str) -> str:
    return UNPREFIXED.get(field, PREFIX + field.upper())


def _int(doc: str, ge: int, le: int) -> Meta:
    return Meta(ge=ge, le=le, description=doc)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The process's settings; each field is read from ``ADMITONE_<FIELD>`` (two have their usual names).

    Raises:
        SettingsError: from `load`, naming the variable and what it may hold.
    """

    database_url: Annotated[
        str, Meta(description="Postgres, e.g. postgresql://user:password@host/db; empty: embedded")
    ] = ""
    redis_url: Annotated[
        str, Meta(description="Redis or Valkey, e.g. redis://:password@host:6379/0; empty: embedded")
    ] = ""
    jobs_redis_url: Annotated[str, Meta(description="Redis for RQ's jobs, if it is another than the line's")] = ""
    env: Annotated[
        Literal["development", "production"],
        Meta(description="production refuses open auth, a default secret and insecure cookies"),
    ] = "development"
    secret: Annotated[
        str, Meta(description="signs sessions, places and passes; at least 32 characters in production")
    ] = ""
    auth: Annotated[
        Literal["token", "open"],
        Meta(description="open takes the body's userId as it is: development and load tests only"),
    ] = "token"
    data_dir: Annotated[str, Meta(description="where the embedded servers keep their data")] = ".admitone"
    log_format: Annotated[
        Literal["auto", "text", "json"], Meta(description="auto is json in production, text in development")
    ] = "auto"
    otlp_endpoint: Annotated[
        str, Meta(description="OTLP/HTTP collector that takes traces, e.g. http://127.0.0.1:4318; empty: none are made")
    ] = ""
    trace_ratio: Annotated[float, Meta(ge=0, le=1, description="share of requests that are traced")] = 0.1
    sentry_dsn: Annotated[str, Meta(description="Sentry project that takes reports of errors; empty: none")] = ""
    host: Annotated[str, Meta(description="address the gateway listens on")] = "127.0.0.1"
    port: Annotated[int, _int("port the gateway listens on; 0 takes a free one", 0, 65535)] = 8000
    trusted_proxies: Annotated[
        str, Meta(description="comma-separated proxy addresses whose X-Forwarded-For is believed")
    ] = ""

    lanes: Annotated[int, _int("booking lanes, one RQ queue and one worker each; equal everywhere", 1, 64)] = 2
    batch_max: Annotated[int, _int("commands in one batch at most", 1, 4096)] = 512
    batches_unfinished_max: Annotated[int, _int("batches a gateway has under way in a lane", 1, 16)] = 2
    lane_buffer_max: Annotated[int, _int("commands waiting in a gateway for a lane; beyond it 503", 1, 100_000)] = 4096
    autopilot_p95_ms: Annotated[
        int, _int("what the autopilot keeps the 95th percentile of bookings under", 50, 30_000)
    ] = 500
    lane_wait_seconds_max: Annotated[int, _int("a command waits for its lane; beyond it 503", 1, 60)] = 2
    command_deadline_seconds: Annotated[int, _int("a command not applied by then is timed_out", 1, 300)] = 30
    batch_setbacks_max: Annotated[
        int, _int("a batch that failed or killed its worker so often goes command by command; one alone fails", 1, 100)
    ] = 3
    result_ttl_seconds: Annotated[int, _int("how long Redis remembers a job's result", 60, 86_400)] = 3600
    command_keep_hours: Annotated[int, _int("how long Postgres remembers a command's outcome", 1, 720)] = 24

    hold_seconds: Annotated[int, _int("how long a seat is held", 1, 3600)] = 600
    hold_grace_seconds: Annotated[int, _int("hidden grace of the owner's checkout", 0, 60)] = 15
    cancel_until_hours: Annotated[
        int, _int("a purchase can be cancelled until so long before its event's date; 0: until then", 0, 8784)
    ] = 24
    seats_per_request_max: Annotated[int, _int("seats in one request", 1, 1000)] = 50

    room_state: Annotated[Literal["off", "open"], Meta(description="state of a seeded event's room")] = "open"
    rate_per_minute: Annotated[int, _int("admissions a minute of a seeded event", 0, 1_000_000)] = 300
    capacity: Annotated[int, _int("fans called and admitted at a time", 0, 1_000_000)] = 500
    line_cap: Annotated[int, _int("fans in line per event", 0, 5_000_000)] = 5000
    claim_window_seconds: Annotated[int, _int("to claim after being called", 5, 3600)] = 60
    pass_seconds: Annotated[int, _int("a pass lives this long", 5, 86_400)] = 900
    absence_seconds: Annotated[int, _int("an absent fan's place is kept this long", 5, 3600)] = 120
    connected_seconds: Annotated[int, _int("a heartbeat counts as connected this long", 2, 120)] = 15

    lobby_minutes: Annotated[
        int,
        _int(
            "an event made before its on-sale opens its lobby so long before it, to be drawn then; 0: none", 0, 10_080
        ),
    ] = 30
    receipt_entries_max: Annotated[int, _int("changes of state kept on a fan's receipt, the latest", 1, 1000)] = 50
    receipt_fans_max: Annotated[
        int, _int("fans whose receipts an event keeps, and as many of those before them; for a week", 1000, 5_000_000)
    ] = 250_000
    draw_reads_per_minute: Annotated[int, _int("reads of draws' public lists per address prefix", 1, 10_000_000)] = 600

    rebuild_seconds: Annotated[
        int, _int("a room that Redis lost takes back known places this long before new ones; 0: not at all", 0, 600)
    ] = 10

    session_seconds: Annotated[int, _int("a fan's session lives this long", 60, 2_592_000)] = 172_800
    sessions_per_minute: Annotated[int, _int("new sessions per address prefix", 1, 10_000_000)] = 1200
    joins_per_minute: Annotated[int, _int("joins per address prefix", 1, 10_000_000)] = 1200
    joins_free_per_minute: Annotated[int, _int("joins per address prefix before a captcha is asked", 0, 10_000_000)] = (
        300
    )
    wrong_codes_per_minute: Annotated[int, _int("unknown access codes tried per address prefix", 1, 10_000_000)] = 60

    captcha: Annotated[
        Literal["altcha", "recaptcha", "recaptcha_enterprise", "off"],
        Meta(description="captcha provider; off is refused in production"),
    ] = "altcha"
    captcha_site_key: Annotated[str, Meta(description="reCAPTCHA site key")] = ""
    captcha_secret: Annotated[str, Meta(description="reCAPTCHA secret, or API key for Enterprise")] = ""
    captcha_project: Annotated[str, Meta(description="reCAPTCHA Enterprise project id")] = ""
    captcha_verify_url: Annotated[str, Meta(description="siteverify address, if not Google's")] = ""
    captcha_hostnames: Annotated[str, Meta(description="comma-separated hostnames a reCAPTCHA token may name")] = ""
    captcha_score_min: Annotated[float, Meta(ge=0, le=1, description="lowest reCAPTCHA v3 score let through")] = 0.5
    captcha_timeout_seconds: Annotated[
        float, Meta(gt=0, le=30, description="one call of siteverify; it is tried twice")
    ] = 3.0
    captcha_work_max: Annotated[int, _int("ALTCHA: largest number to search; twice the mean work", 1, 10_000_000)] = (
        50_000
    )
    captcha_ttl_seconds: Annotated[int, _int("an ALTCHA challenge is good this long", 10, 3600)] = 600

    body_bytes_max: Annotated[int, _int("request body", 1024, 10_485_760)] = 65_536
    event_bytes_max: Annotated[
        int, _int("request body of an operator who makes or changes an event", 1024, 67_108_864)
    ] = 8_388_608
    event_seats_max: Annotated[int, _int("seats of an event that an operator makes or changes", 1, 500_000)] = 200_000
    stream_seconds_max: Annotated[
        int, _int("a stream's lifetime; then `bye` and the client reconnects", 10, 86_400)
    ] = 3600
    streams_max: Annotated[int, _int("open streams in one gateway process; beyond it 503", 1, 1_000_000)] = 18_000
    stream_send_seconds_max: Annotated[int, _int("a reader who takes longer is dropped", 1, 120)] = 10
    drain_seconds: Annotated[
        int, _int("told to end, a gateway serves on for so long, not ready, before it says farewell", 0, 4)
    ] = 2
    db_pool_max: Annotated[int, _int("Postgres connections of one gateway process", 1, 100)] = 8

    webhook_connect_seconds: Annotated[int, _int("to connect to a webhook endpoint", 1, 60)] = 5
    webhook_timeout_seconds: Annotated[int, _int("an attempt to deliver to it, connecting included", 1, 120)] = 15
    webhook_at_once_max: Annotated[int, _int("attempts under way to one endpoint, a worker process", 1, 100)] = 8
    webhook_attempts_max: Annotated[
        int, _int("attempts of a delivery; with those of the defaults the last comes after about a day", 1, 100)
    ] = 11
    webhook_retry_first_seconds: Annotated[
        int, _int("after a first failed attempt; four times as long after each further one", 1, 3600)
    ] = 5
    webhook_retry_seconds_max: Annotated[int, _int("between two attempts", 1, 86_400)] = 21_600
    webhook_failing_hours_max: Annotated[int, _int("an endpoint that only failed for so long is disabled", 1, 720)] = 72
    webhook_keep_hours: Annotated[int, _int("how long news and its deliveries are kept once sent", 48, 2160)] = 168

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment (``os.environ`` unless given).

        Raises:
            SettingsError: a value is malformed, out of bounds, or unsafe in production.
        """
        environ = os.environ if environ is None else environ
        found = {field: environ[_name(field)] for field in cls.__struct_fields__ if environ.get(_name(field), "") != ""}
        known = {_name(field) for field in cls.__struct_fields__}
        unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
        if unknown:
            raise SettingsError(f"{unknown[0]} is no setting of Admit One; `admitone settings` lists them")
        try:
            settings = msgspec.convert(found, cls, strict=False)
        except msgspec.ValidationError as error:
            message = str(error)
            for field in cls.__struct_fields__:
                message = message.replace(f"$.{field}", _name(field))
            raise SettingsError(message) from None
        settings._refuse_unsafe()
        return settings

    @property
    def json_logs(self) -> bool:
        return self.log_format == "json" or (self.log_format == "auto" and self.env == "production")

    def _refuse_unsafe(self) -> None:
        if self.env != "production":
            return
        if self.auth == "open":
            raise SettingsError("ADMITONE_AUTH=open trusts a client's word for who they are: not in production")
        if len(self.secret) < 32 or len(set(self.secret)) < SECRET_LETTERS_MIN:
            raise SettingsError("ADMITONE_SECRET must be random, of at least 32 characters, in production")
        if self.captcha == "off":
            raise SettingsError("ADMITONE_CAPTCHA=off leaves checkout to bots: not in production")

    @classmethod
    def table(cls) -> list[tuple[str, str, str]]:
        """Each setting's variable, default and meaning, in the order of the fields."""
        rows = []
        info = msgspec.inspect.type_info(cls)
        assert isinstance(info, msgspec.inspect.StructType)
        for field in info.fields:
            meta = field.type
            doc = ""
            if isinstance(meta, msgspec.inspect.Metadata):
                doc = str((meta.extra_json_schema or {}).get("description", ""))
            rows.append((_name(field.name), str(field.default), doc))
        return rows
