"""Settings of the autopilot."""

from __future__ import annotations

from typing import Annotated

from db.settings import Section, bounded


class AutopilotSettings(Section, frozen=True, kw_only=True):
    p95_ms: Annotated[int, bounded("what the autopilot keeps the 95th percentile of bookings under", 50, 30_000)] = 500
