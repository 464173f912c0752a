"""What the worker processes need to know; `admitone.settings` makes it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from workers.channels.webhooks.config import WebhookConfig
from workers.engine.engine import EngineConfig


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """``conninfo`` is libpq's; ``jobs_redis_url`` holds RQ's jobs, ``line_redis_url`` the line."""

    conninfo: str
    jobs_redis_url: str
    line_redis_url: str
    lanes: int
    result_ttl_seconds: int
    command_keep_hours: int
    engine: EngineConfig
    hold_pass_margin_seconds: int = 60
    batch_setbacks_max: int = 3
    telling: Callable[[str], AbstractContextManager[None]] = lambda process: nullcontext()
    """Entered by each process for as long as it works: by its queue's name, ``cron`` or ``pool``."""
    webhooks: WebhookConfig = field(default_factory=WebhookConfig)
