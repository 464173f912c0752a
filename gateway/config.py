"""What a gateway process needs to know; `admitone.settings` makes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from db.events.seed import RoomSeed
from gateway.captcha import CaptchaConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """The settings of the same names; ``secret`` signs sessions, places and passes."""

    database_url: str
    line_redis_url: str
    jobs_redis_url: str
    secret: str = field(repr=False)
    open_auth: bool
    production: bool
    captcha: CaptchaConfig
    room: RoomSeed
    """Of a new event."""

    lanes: int
    batch_max: int
    batches_unfinished_max: int
    lane_buffer_max: int
    lane_wait_seconds_max: int
    autopilot_p95_ms: int
    command_deadline_seconds: int
    result_ttl_seconds: int

    hold_seconds: int
    cancel_until_hours: int
    seats_per_request_max: int
    absence_seconds: int
    connected_seconds: int
    rebuild_seconds: int
    receipt_entries_max: int
    receipt_fans_max: int
    draw_reads_per_minute: int

    session_seconds: int
    sessions_per_minute: int
    joins_per_minute: int
    joins_free_per_minute: int
    wrong_codes_per_minute: int

    body_bytes_max: int
    event_bytes_max: int
    event_seats_max: int
    stream_seconds_max: int
    streams_max: int
    stream_send_seconds_max: int
    drain_seconds: int
    db_pool_max: int
