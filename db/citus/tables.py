"""Which tables a Citus cluster distributes by their ``event_id``. All others stay on the coordinator."""

from __future__ import annotations

from typing import Final

DISTRIBUTED: Final = (
    "event",
    "event_cancellation",
    "ticket",
    "seat",
    "event_plan",
    "room",
    "room_step",
    "shop",
    "departed_place",
    "draw",
    "draw_entry",
    "code_issue",
    "access_code",
    "code_redemption",
    "voucher_issue",
    "voucher",
    "allotment",
    "allotment_seat",
    "reservation",
    "purchase",
    "purchase_detail",
    "ticket_issue",
    "entry",
    "entry_conflict",
    "order_terms",
    "order_answers",
    "booking_command",
    "payment",
    "payment_job",
    "payment_hint",
    "provider_intent",
    "refund",
    "waiting_entry",
    "contact",
    "push_subscription",
    "outbox",
)
"""A table stands after those that its foreign keys name."""

LOCAL: Final = (
    "alarm_rule",
    "delivery",
    "event_search",
    "invoice",
    "message",
    "operator_event_role",
    "operator_session",
    "search_change",
    "webhook_endpoint",
)
"""Tables with an ``event_id`` that stay on the coordinator, because they are read across events: by who is to be told
next, by what is looked for, by whose right it is, or by the next number of the site. The batch of bookings writes none
of them.
"""
