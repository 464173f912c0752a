"""What a batch must have read and locked before its first decision."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from db.booking.seats import EventSeat


@dataclass(slots=True)
class Needs:
    """Keys of rows; each command of the batch adds its own.

    Attributes:
        events: event ids. Each event's advisory lock is taken, and its row and ticket types are read.
        fans: (event_id, user_id) of fans whose holds and bought seats are read, with how many holds ended unbought.
        holds: (event_id, reservation_id) of holds, each with a fan of `fans` whose open holds need not be read again.
        purchases: (event_id, purchase_id) of purchases, with their seats.
        lapsed_of: event ids of which lapsed holds are read, as many as a sweep takes at a time.
        seats: keys of seats to be locked. The seats of open holds that were read, and of purchases, are locked too.
        free_rows: (event_id, ticket_type_id) of which all free seats are read.
        networks: of an event, the networks of which the seats without a proof are counted.
        payments: (event_id, payment_id) of payments that end, with the checkouts that wait for them.
        vouchers: (event_id, hash) of vouchers.
        bought_unproven: event ids of which the seats bought without a proof are counted, by network.
        large_holds: event ids of which the large holds without a proof are counted, by network.
        kept: event ids of which the seats that are kept for banks are counted.
        waiting_fans: (event_id, user_id) of fans whose entries in the waiting list are read.
        waiting_types: (event_id, ticket_type_id) in whose list somebody may enter.
        waiting_networks: (event_id, network) of which the waiting entries are counted.
    """

    events: set[int] = field(default_factory=set)
    fans: set[tuple[int, int]] = field(default_factory=set)
    holds: dict[tuple[int, uuid.UUID], int | None] = field(default_factory=dict)
    purchases: set[tuple[int, uuid.UUID]] = field(default_factory=set)
    lapsed_of: set[int] = field(default_factory=set)
    seats: set[EventSeat] = field(default_factory=set)
    free_rows: set[tuple[int, int]] = field(default_factory=set)
    networks: dict[int, set[str]] = field(default_factory=dict)
    vouchers: set[tuple[int, bytes]] = field(default_factory=set)
    bought_unproven: set[int] = field(default_factory=set)
    large_holds: set[int] = field(default_factory=set)
    kept: set[int] = field(default_factory=set)
    waiting_fans: set[tuple[int, int]] = field(default_factory=set)
    waiting_types: set[tuple[int, int]] = field(default_factory=set)
    waiting_networks: set[tuple[int, str]] = field(default_factory=set)
    payments: set[tuple[int, uuid.UUID]] = field(default_factory=set)
