"""The parts of a worker's work, which may run on hosts of their own."""

from __future__ import annotations

from enum import StrEnum


class Part(StrEnum):
    """What one `admitone worker` does. Each part but the lanes is one process; a lane is one process each."""

    LANES = "lanes"
    """Bookings."""
    HOUSEKEEPING = "housekeeping"
    """What is swept, compared and put right every few seconds."""
    MESSAGES = "messages"
    """Mail, SMS and web push to fans, and alarms to operators."""
    CRON = "cron"
    """The clock that puts the recurring jobs into the queues of housekeeping and messages."""
    WEBHOOKS = "webhooks"
    """News to other systems."""
    PAYMENTS = "payments"
    """What payment providers are asked, where the site names any."""
