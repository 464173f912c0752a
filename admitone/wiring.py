"""From the settings to what each component takes: the only place that knows both."""

from __future__ import annotations

from admitone.settings import Settings
from admitone.telemetry import telemetry
from db.connections.urls import psycopg_conninfo
from db.events.seed import RoomSeed
from gateway.captcha import CaptchaConfig
from gateway.config import GatewayConfig
from workers.channels.webhooks.config import WebhookConfig
from workers.config import WorkerConfig
from workers.engine.engine import EngineConfig


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def gateway_config(settings: Settings) -> GatewayConfig:
    return GatewayConfig(
        database_url=settings.database_url,
        line_redis_url=settings.redis_url,
        jobs_redis_url=settings.jobs_redis_url or settings.redis_url,
        secret=settings.secret,
        open_auth=settings.auth == "open",
        production=settings.env == "production",
        captcha=CaptchaConfig(
            provider=settings.captcha,
            process_secret=settings.secret.encode(),
            site_key=settings.captcha_site_key,
            secret=settings.captcha_secret,
            project=settings.captcha_project,
            verify_url=settings.captcha_verify_url,
            hostnames=_listed(settings.captcha_hostnames),
            score_min=settings.captcha_score_min,
            timeout_seconds=settings.captcha_timeout_seconds,
            work_max=settings.captcha_work_max,
            ttl_seconds=settings.captcha_ttl_seconds,
        ),
        room=room_seed(settings),
        lanes=settings.lanes,
        batch_max=settings.batch_max,
        batches_unfinished_max=settings.batches_unfinished_max,
        lane_buffer_max=settings.lane_buffer_max,
        lane_wait_seconds_max=settings.lane_wait_seconds_max,
        autopilot_p95_ms=settings.autopilot_p95_ms,
        command_deadline_seconds=settings.command_deadline_seconds,
        result_ttl_seconds=settings.result_ttl_seconds,
        hold_seconds=settings.hold_seconds,
        cancel_until_hours=settings.cancel_until_hours,
        seats_per_request_max=settings.seats_per_request_max,
        absence_seconds=settings.absence_seconds,
        connected_seconds=settings.connected_seconds,
        rebuild_seconds=settings.rebuild_seconds,
        receipt_entries_max=settings.receipt_entries_max,
        receipt_fans_max=settings.receipt_fans_max,
        draw_reads_per_minute=settings.draw_reads_per_minute,
        session_seconds=settings.session_seconds,
        sessions_per_minute=settings.sessions_per_minute,
        joins_per_minute=settings.joins_per_minute,
        joins_free_per_minute=settings.joins_free_per_minute,
        wrong_codes_per_minute=settings.wrong_codes_per_minute,
        body_bytes_max=settings.body_bytes_max,
        event_bytes_max=settings.event_bytes_max,
        event_seats_max=settings.event_seats_max,
        stream_seconds_max=settings.stream_seconds_max,
        streams_max=settings.streams_max,
        stream_send_seconds_max=settings.stream_send_seconds_max,
        drain_seconds=settings.drain_seconds,
        db_pool_max=settings.db_pool_max,
    )


def worker_config(settings: Settings) -> WorkerConfig:
    return WorkerConfig(
        conninfo=psycopg_conninfo(settings.database_url),
        jobs_redis_url=settings.jobs_redis_url or settings.redis_url,
        line_redis_url=settings.redis_url,
        lanes=settings.lanes,
        result_ttl_seconds=settings.result_ttl_seconds,
        command_keep_hours=settings.command_keep_hours,
        batch_setbacks_max=settings.batch_setbacks_max,
        # Nothing but a booking's way is traced.
        telling=lambda process: telemetry(settings, f"worker {process}", traces=process.startswith("lane-")),
        engine=EngineConfig(
            hold_seconds=settings.hold_seconds,
            hold_grace_seconds=settings.hold_grace_seconds,
            outage_seconds_max=settings.command_deadline_seconds,
            cancel_until_hours=settings.cancel_until_hours,
        ),
        webhooks=WebhookConfig(
            public_only=settings.env == "production",
            connect_seconds=settings.webhook_connect_seconds,
            timeout_seconds=settings.webhook_timeout_seconds,
            at_once_max=settings.webhook_at_once_max,
            attempts_max=settings.webhook_attempts_max,
            retry_first_seconds=settings.webhook_retry_first_seconds,
            retry_seconds_max=settings.webhook_retry_seconds_max,
            failing_hours_max=settings.webhook_failing_hours_max,
            keep_hours=settings.webhook_keep_hours,
        ),
    )


def room_seed(settings: Settings) -> RoomSeed:
    return RoomSeed(
        state=settings.room_state,
        rate_per_minute=settings.rate_per_minute,
        capacity=settings.capacity,
        line_cap=settings.line_cap,
        claim_window_seconds=settings.claim_window_seconds,
        pass_seconds=settings.pass_seconds,
        lobby_minutes=settings.lobby_minutes,
    )
