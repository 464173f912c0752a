"""Settings of operators' alarms. Their thresholds are set in the console."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded


class AlarmSettings(Section, frozen=True, kw_only=True):
    remind_minutes: Annotated[
        int,
        bounded("after so long an alarm that still stands is told again, and again after as long; 0: never", 0, 1440),
    ] = 60
    group_seconds: Annotated[
        int, bounded("alarms that begin or end within so long are told in one message", 0, 300)
    ] = 10
    chat_timeout_seconds: Annotated[int, bounded("one request to the webhook of a chat", 1, 60)] = 10
    keep_hours: Annotated[int, bounded("how long alarms are kept once they are over", 24, 8760)] = 720
