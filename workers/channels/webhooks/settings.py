"""Settings of the webhooks' dispatcher."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded


class WebhookSettings(Section, frozen=True, kw_only=True):
    """The n-th retry comes ``retry_first_seconds`` times four to the n-1 after its attempt, ``retry_seconds_max`` at
    most.
    """

    connect_seconds: Annotated[int, bounded("to connect to a webhook endpoint", 1, 60)] = 5
    timeout_seconds: Annotated[int, bounded("an attempt to deliver to it, connecting included", 1, 120)] = 15
    at_once_max: Annotated[int, bounded("attempts under way to one endpoint, a worker process", 1, 100)] = 8
    attempts_max: Annotated[
        int, bounded("attempts of a delivery; with those of the defaults the last comes after about a day", 1, 100)
    ] = 11
    retry_first_seconds: Annotated[
        float, bounded("after a first failed attempt; four times as long after each further one", 1, 3600)
    ] = 5
    retry_seconds_max: Annotated[float, bounded("between two attempts", 1, 86_400)] = 21_600
    failing_hours_max: Annotated[int, bounded("an endpoint that only failed for so long is disabled", 1, 720)] = 72
    keep_hours: Annotated[int, bounded("how long news and its deliveries are kept once sent", 48, 2160)] = 168
