"""How webhooks are delivered; the settings ``ADMITONE_WEBHOOK_…`` have the same names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """``public_only``: https and public addresses only, as in production.

    The n-th retry comes ``retry_first_seconds`` times four to the n-1 after its attempt, ``retry_seconds_max`` at most.
    """

    public_only: bool = False
    connect_seconds: int = 5
    timeout_seconds: int = 15
    at_once_max: int = 8
    attempts_max: int = 11
    retry_first_seconds: float = 5
    retry_seconds_max: float = 21_600
    failing_hours_max: int = 72
    keep_hours: int = 168
