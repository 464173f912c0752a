"""Settings of requests and streams, whatever they are about."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded, setting


class BodySettings(Section, frozen=True, kw_only=True):
    bytes_max: Annotated[int, bounded("request body", 1024, 10_485_760)] = 65_536


class ServedSettings(Section, frozen=True, kw_only=True):
    """What one group of gateways serves, where several groups share a site (docs/running.md)."""

    serve: Annotated[
        str,
        setting(
            "the parts that this gateway serves, with commas between: pages, search, booking, streams, operators;"
            " empty: all"
        ),
    ] = ""
    events: Annotated[
        str, setting("ids of the events whose addresses this gateway serves, with commas between; empty: all")
    ] = ""


class ConnectionSettings(Section, frozen=True, kw_only=True):
    """Bounds of a client's connection, and the proxies whose word about their clients is believed."""

    trusted_proxies: Annotated[
        str,
        setting(
            "comma-separated addresses and networks of proxies whose X-Forwarded-For is believed",
            variable="ADMITONE_TRUSTED_PROXIES",
        ),
    ] = ""
    per_address_max: Annotated[
        int,
        bounded(
            "open connections of one address, trusted proxies aside, in one gateway process; 0: half of all",
            0,
            1_000_000,
        ),
    ] = 0
    head_seconds_max: Annotated[int, bounded("a request's head has come by then; else 408", 1, 120)] = 10
    head_bytes_max: Annotated[int, bounded("a request's head; beyond it 431", 16_384, 1_048_576)] = 65_536
    body_seconds_max: Annotated[int, bounded("a request's body has come by then; else 408", 1, 3600)] = 60
    hsts_seconds: Annotated[
        int,
        bounded(
            "in production a browser that saw a page keeps to TLS for so long (HSTS); 0, or below a path: not told",
            0,
            63_072_000,
            variable="ADMITONE_HSTS_SECONDS",
        ),
    ] = 31_536_000


class MetricsSettings(Section, frozen=True, kw_only=True):
    token: Annotated[
        str,
        setting(
            "what a scrape of /metrics shows as a Bearer token; empty: anybody in development, nobody in production"
        ),
    ] = ""


class StreamSettings(Section, frozen=True, kw_only=True):
    """``per_process_max`` bounds the open streams of all kinds together. Where it is reached, the streams of halls
    yield to those of the line.
    """

    seconds_max: Annotated[int, bounded("a stream's lifetime; then `bye` and the client reconnects", 10, 86_400)] = 3600
    per_process_max: Annotated[
        int,
        bounded("open streams in one gateway process; beyond it 503", 1, 1_000_000, variable="ADMITONE_STREAMS_MAX"),
    ] = 18_000
    per_session_max: Annotated[int, bounded("open streams of one session in one gateway process", 1, 10_000)] = 12
    per_network_max: Annotated[
        int, bounded("open streams without a session of one address prefix in one gateway process", 1, 1_000_000)
    ] = 100
    send_seconds_max: Annotated[int, bounded("a reader who takes longer is dropped", 1, 120)] = 10


class LimitSettings(Section, frozen=True, kw_only=True):
    """How much one fan or one address prefix may ask for."""

    seats_per_request_max: Annotated[
        int, bounded("seats in one request", 1, 1000, variable="ADMITONE_SEATS_PER_REQUEST_MAX")
    ] = 50
    sessions_per_minute: Annotated[
        int, bounded("new sessions per address prefix", 1, 10_000_000, variable="ADMITONE_SESSIONS_PER_MINUTE")
    ] = 12_000
    joins_per_minute: Annotated[
        int, bounded("joins per address prefix", 1, 10_000_000, variable="ADMITONE_JOINS_PER_MINUTE")
    ] = 12_000
    challenges_per_minute: Annotated[int, bounded("captcha challenges made per address prefix", 1, 10_000_000)] = 6000
    commands_per_minute: Annotated[
        int,
        bounded(
            "bookings, releases and cancellations that a fan may ask for at an event; 0: any number", 0, 10_000_000
        ),
    ] = 300
    network_commands_per_minute: Annotated[
        int, bounded("the same of an address prefix; 0: any number", 0, 100_000_000)
    ] = 60_000
    proof_stands_seconds: Annotated[
        int, bounded("a fan who proved to be a person need not do it again for so long at an event", 10, 86_400)
    ] = 900
    contacts_per_minute: Annotated[int, bounded("addresses for messages given per address prefix", 1, 100_000)] = 30
    pdfs_per_minute: Annotated[int, bounded("tickets made into a PDF per address prefix", 1, 100_000)] = 60
    moves_per_minute: Annotated[
        int,
        bounded(
            "place tokens of other sessions shown per address prefix",
            1,
            10_000_000,
            variable="ADMITONE_MOVES_PER_MINUTE",
        ),
    ] = 120
    joins_free_per_minute: Annotated[
        int,
        bounded(
            "joins per address prefix before a captcha is asked",
            0,
            10_000_000,
            variable="ADMITONE_JOINS_FREE_PER_MINUTE",
        ),
    ] = 300
    wrong_codes_per_minute: Annotated[
        int,
        bounded(
            "unknown access codes tried per address prefix", 1, 10_000_000, variable="ADMITONE_WRONG_CODES_PER_MINUTE"
        ),
    ] = 60
    draw_reads_per_minute: Annotated[
        int,
        bounded(
            "reads of draws' public lists per address prefix",
            1,
            10_000_000,
            variable="ADMITONE_DRAW_READS_PER_MINUTE",
        ),
    ] = 600
