"""The open book of one batch: what Postgres holds under the locks, and what the commands have changed so far.

It uses no clock, no database and no Redis. The commands' rules (`workers.engine.commands`) decide on it in the order of
arrival. Their changes are kept as a difference (`Book.changes`), which a handful of statements writes.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from booking_lane.settings import HoldSettings
from db.booking.amounts import amount_to_refund
from db.booking.conduct import is_large, network_seats_max
from db.booking.events import EventRow, TicketRow
from db.booking.holds import Hold
from db.booking.purchases import Detail, Purchase
from db.booking.results import Result
from db.booking.seats import EventSeat, Seat, SeatNow
from db.booking.states import HoldState, PurchaseStatus, SeatStatus
from db.booking.vouchers import Voucher
from db.events.sale import PROBLEMS, EventState, SaleState
from db.payments.rows import NewRefund, Payment, PaymentJob
from db.waiting.entries import Entry, ListEnd
from workers.engine.free_rows import FreeRows
from workers.engine.kept_networks import NetworkCounts
from workers.engine.refused import Refused
from workers.engine.turns import Turns


@dataclass(slots=True)
class Cancellation:
    """The seats of a purchase that one command cancelled, and the purchase's status and total right after it."""

    purchase: Purchase
    details: list[Detail]
    status: PurchaseStatus
    total_amount: int

    @property
    def fee_amount(self) -> int:
        return sum(detail.cancel_fee for detail in self.details)

    @property
    def refund_amount(self) -> int:
        return amount_to_refund(self.details)


@dataclass(slots=True)
class Taking:
    """The ticket of a seat, as it was issued to a fan who took it."""

    purchase: Purchase
    detail: Detail
    user_id: int


class Merged(NamedTuple):
    """All that the fan ``from_user_id`` has of the event is the fan's ``user_id`` from now on."""

    event_id: int
    from_user_id: int
    user_id: int


@dataclass(slots=True)
class Changes:
    """The difference that a batch makes. Each row is in it once, in its last state."""

    seats: set[EventSeat] = field(default_factory=set)
    counts: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    new_holds: dict[uuid.UUID, Hold] = field(default_factory=dict)
    hold_states: dict[uuid.UUID, Hold] = field(default_factory=dict)
    extended_holds: dict[uuid.UUID, Hold] = field(default_factory=dict)
    purchases: list[Purchase] = field(default_factory=list)
    voucher_uses: Counter[tuple[int, bytes]] = field(default_factory=Counter)
    cancellations: list[Cancellation] = field(default_factory=list)
    takings: list[Taking] = field(default_factory=list)
    new_entries: list[Entry] = field(default_factory=list)
    ended_entries: list[Entry] = field(default_factory=list)
    offers: list[tuple[Entry, Hold]] = field(default_factory=list)
    new_payments: list[Payment] = field(default_factory=list)
    payments: dict[uuid.UUID, Payment] = field(default_factory=dict)
    payment_jobs: list[tuple[Payment, PaymentJob]] = field(default_factory=list)
    kept: list[Payment] = field(default_factory=list)
    refunds: list[NewRefund] = field(default_factory=list)
    settled: list[tuple[int, PaymentJob, Result | dict[str, Any]]] = field(default_factory=list)
    merged: list[Merged] = field(default_factory=list)

    def event_ids(self) -> set[int]:
        """Events whose version goes up."""
        changed = {seat[0] for seat in self.seats}
        changed.update(hold.event_id for hold in self.hold_states.values())
        changed.update(hold.event_id for hold in self.extended_holds.values())
        return changed


@dataclass(slots=True)
class Book:
    """State under the locks. `workers.engine.reading` fills the dictionaries before the first decision.

    Args:
        now: Postgres' clock, read once after the locks.
        settings: how long a hold is live, how much longer it keeps its seats, and until when one may cancel.

    Attributes:
        lapsed: holds to be swept, by event: those that have lapsed, and all of a cancelled event.
        bought_counts: how many seats each fan has bought; bought_of_types: the same by ticket type.
        purchases: purchases that are to be cancelled, by their ids.
        used_tickets: seats of these purchases by which somebody was let in.
        unbought: how many holds each fan let end unbought.
        networks: of an event, seats that each network has without a proof, and let end unbought (`db.booking.conduct`).
        large_holds: of an event, how many seats each network's large holds without a proof block.
        vouchers: those that a checkout names, by event and hash.
        bought_unproven: of an event, how many seats were bought without a proof, by network: of those whose holds were
            read, and of all others under an empty name.
        fans: (event_id, user_id) of fans whose holds and bought seats were read.
        turns: who waits for a ticket type of which seats are free, or may become free in this batch; only of events
            with a waiting list.
        entries: the entry of a fan that waits or whose offer is under way.
        list_ends: the last entry made in an event's waiting list.
        lists_begun: ticket types in whose list somebody has entered.
        networks_waiting: how many entries of a network wait without a proof.
        kept_seats: how many seats of an event are kept for banks that take days.
        payments: payments that end in this batch; payments_of_holds: those under way, by their holds.
    """

    now: dt.datetime
    settings: HoldSettings
    events: dict[int, EventRow] = field(default_factory=dict)
    tickets: dict[tuple[int, int], TicketRow] = field(default_factory=dict)
    seats: dict[EventSeat, SeatNow] = field(default_factory=dict)
    free_rows: dict[tuple[int, int], FreeRows] = field(default_factory=dict)
    holds: dict[uuid.UUID, Hold] = field(default_factory=dict)
    lapsed: dict[int, list[uuid.UUID]] = field(default_factory=dict)
    bought_counts: dict[tuple[int, int], int] = field(default_factory=dict)
    bought_of_types: dict[tuple[int, int, int], int] = field(default_factory=dict)
    purchases_of_holds: dict[uuid.UUID, Purchase] = field(default_factory=dict)
    purchases: dict[uuid.UUID, Purchase] = field(default_factory=dict)
    used_tickets: set[tuple[uuid.UUID, Seat]] = field(default_factory=set)
    unbought: dict[tuple[int, int], float] = field(default_factory=dict)
    networks: defaultdict[int, NetworkCounts] = field(default_factory=partial(defaultdict, NetworkCounts))
    bought_unproven: defaultdict[int, Counter[str]] = field(default_factory=partial(defaultdict, Counter))
    large_holds: dict[int, dict[str, int]] = field(default_factory=dict)
    kept_seats: Counter[int] = field(default_factory=Counter)
    fans: set[tuple[int, int]] = field(default_factory=set)
    turns: dict[tuple[int, int], Turns] = field(default_factory=dict)
    entries: dict[tuple[int, int], Entry] = field(default_factory=dict)
    list_ends: dict[int, ListEnd] = field(default_factory=dict)
    lists_begun: set[tuple[int, int]] = field(default_factory=set)
    networks_waiting: dict[tuple[int, str], int] = field(default_factory=dict)
    payments: dict[uuid.UUID, Payment] = field(default_factory=dict)
    payments_of_holds: dict[uuid.UUID, Payment] = field(default_factory=dict)
    vouchers: dict[tuple[int, bytes], Voucher] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    grace: dt.timedelta = field(init=False)
    _holds_of_fans: dict[tuple[int, int], list[Hold]] = field(default_factory=dict)
    _hall_seats: dict[int, int] = field(default_factory=dict)
    _network_seats_max: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.grace = dt.timedelta(seconds=self.settings.grace_seconds)

    # -- holds

    def add_hold(self, hold: Hold) -> None:
        if hold.reservation_id not in self.holds:
            self.holds[hold.reservation_id] = hold
            self._holds_of_fans.setdefault((hold.event_id, hold.user_id), []).append(hold)

    def holds_of(self, event_id: int, user_id: int) -> list[Hold]:
        """The fan's holds of the event that were read or made, open or not."""
        return self._holds_of_fans.get((event_id, user_id), [])

    def keeps_seats(self, hold: Hold) -> bool:
        return hold.keeps_seats(self.now, self.grace)

    def seats_had(self, event_id: int, user_id: int) -> int:
        """The fan's seats of the event that count against the limit: bought ones, and those of live holds."""
        held = sum([len(hold.seats) for hold in self.holds_of(event_id, user_id) if hold.is_live(self.now)])
        return held + self.bought_counts.get((event_id, user_id), 0)

    def seats_had_of(self, event_id: int, user_id: int, ticket_type_id: int) -> int:
        """The fan's seats of a ticket type that count against its limit, as `seats_had` counts them."""
        live = [hold for hold in self.holds_of(event_id, user_id) if hold.is_live(self.now)]
        held = sum(seat[0] == ticket_type_id for hold in live for seat in hold.seats)
        return held + self.bought_of_types.get((event_id, user_id, ticket_type_id), 0)

    def count_bought(self, event_id: int, user_id: int, seats: Iterable[Seat], sign: int = 1) -> None:
        """Count seats as bought by the fan, or with -1 as given back."""
        fan = event_id, user_id
        for seat in seats:
            of_type = *fan, seat[0]
            self.bought_counts[fan] = self.bought_counts.get(fan, 0) + sign
            self.bought_of_types[of_type] = self.bought_of_types.get(of_type, 0) + sign

    def merge(self, event_id: int, from_user_id: int, user_id: int) -> None:
        """Let what one fan has of the event be another fan's: holds, what was bought, and what was let end unbought."""
        old, new = (event_id, from_user_id), (event_id, user_id)
        for hold in self._holds_of_fans.pop(old, ()):
            hold.user_id = user_id
            self._holds_of_fans.setdefault(new, []).append(hold)
        for (event, fan, kind), seats in list(self.bought_of_types.items()):
            if (event, fan) == old:
                of_type = *new, kind
                self.bought_of_types[of_type] = self.bought_of_types.get(of_type, 0) + seats
                del self.bought_of_types[event, fan, kind]
        self.bought_counts[new] = self.bought_counts.get(new, 0) + self.bought_counts.pop(old, 0)
        self.unbought[new] = self.unbought.get(new, 0.0) + self.unbought.pop(old, 0.0)
        for purchase in (*self.purchases.values(), *self.purchases_of_holds.values()):
            if (purchase.event_id, purchase.user_id) == old:
                purchase.user_id = user_id
        for payment in self.payments.values():
            if (payment.event_id, payment.user_id) == old:
                payment.user_id = user_id
        self.changes.merged.append(Merged(event_id, from_user_id, user_id))

    def has_its_seats(self, hold: Hold) -> bool:
        return all(
            (seat := self.seats.get((hold.event_id, *key))) is not None and seat.reservation_id == hold.reservation_id
            for key in hold.seats
        )

    def hall_seats(self, event_id: int) -> int:
        """How many seats the event's hall has, those that were taken out of the sale not counted. No command changes
        them, so they are counted once a batch.
        """
        seats = self._hall_seats.get(event_id)
        if seats is None:
            seats = sum([ticket.quantity for (event, _), ticket in self.tickets.items() if event == event_id])
            self._hall_seats[event_id] = seats
        return seats

    def networks_of_holds(self, event_id: int) -> set[str]:
        """The networks of the event's holds that were read and have no proof."""
        of_event = (hold for hold in self.holds.values() if hold.event_id == event_id)
        return {hold.network for hold in of_event if hold.network and not hold.proven}

    def network_seats_max(self, event: EventRow) -> int:
        """How many seats of the event a network may have without a proof. It is the same for a whole batch."""
        most = self._network_seats_max.get(event.event_id)
        if most is None:
            most = network_seats_max(event.network_limits_max, event.seats_per_fan_max, self.hall_seats(event.event_id))
            self._network_seats_max[event.event_id] = most
        return most

    def count_with_network(self, hold: Hold, seats: int) -> None:
        """Count so many seats more (or less) with the hold's network, unless its fan proved to be a person."""
        if hold.network and not hold.proven:
            self.networks[hold.event_id].add(hold.network, seats)
            self._count_large(hold, seats)

    def count_again(self, hold: Hold) -> None:
        """Count the seats of a hold with its network that are held or bought in its grace: the network had lost them.
        They were large all the while.
        """
        if hold.network and not hold.proven and not hold.is_live(self.now):
            self.networks[hold.event_id].add(hold.network, len(hold.seats))

    def _count_large(self, hold: Hold, seats: int) -> None:
        if is_large(hold):
            of_networks = self.large_holds.setdefault(hold.event_id, {})
            of_networks[hold.network] = of_networks.get(hold.network, 0) + seats

    def stretch(self, hold: Hold, until: dt.datetime) -> None:
        """Let the hold and its seats last until then, if they would end before."""
        if until <= hold.expires_at:
            return
        self.count_again(hold)
        hold.expires_at = until
        for key in hold.seats:
            seat = self.seats.get((hold.event_id, *key))
            if seat is not None and seat.reservation_id == hold.reservation_id:
                now = SeatNow(SeatStatus.RESERVED, hold.reservation_id, until + self.grace)
                self.move(hold.event_id, key, now)
        if hold.reservation_id not in self.changes.new_holds:
            self.changes.extended_holds[hold.reservation_id] = hold

    def close(self, hold: Hold, state: HoldState) -> None:
        hold.become(state)
        self.changes.hold_states[hold.reservation_id] = hold

    def give_back(self, hold: Hold, state: HoldState) -> None:
        """Close the hold and free its seats."""
        for key in hold.seats:
            seat = self.seats.get((hold.event_id, *key))
            # A lapsed hold may have lost seats to the next fan already.
            if seat is not None and seat.reservation_id == hold.reservation_id:
                self.move(hold.event_id, key, SeatNow(SeatStatus.AVAILABLE))
        if hold.is_live(self.now):
            if hold.network and not hold.proven:
                self.networks[hold.event_id].give_back(hold.network, len(hold.seats))
                self._count_large(hold, -len(hold.seats))
        elif self.keeps_seats(hold):
            # A hold in its grace is none of its network's any more, and still blocks its seats.
            self._count_large(hold, -len(hold.seats))
        payment = self.payments_of_holds.pop(hold.reservation_id, None)
        if payment is not None and payment.expires_at > self.now:
            # The cashier closes it at the provider, so that nobody pays for seats that were given back.
            payment.expires_at = self.now
            self.changes.payments[payment.payment_id] = payment
        self.close(hold, state)

    def refuse_if_cancelled(self, event_id: int, detail: str | None = None) -> None:
        """Nothing of a cancelled event is bought, and nothing of it needs to be given back.

        Raises:
            Refused: ``event_cancelled``.
        """
        if self.events[event_id].event_state is EventState.CANCELLED:
            raise Refused(PROBLEMS[SaleState.CANCELLED], detail)

    # -- seats

    def move(self, event_id: int, seat: Seat, to: SeatNow) -> None:
        """Give a seat another status, and its ticket type the counts that go with it."""
        key = (event_id, *seat)
        ticket_type = (event_id, seat[0])
        before = self.seats.get(key)
        rows = self.free_rows.get(ticket_type)
        if before is not None:
            was = before.status
        else:
            # Seats chosen as best available were read as free rows, not one by one.
            assert rows is not None
            was = SeatStatus.RESERVED if rows.is_lapsed(seat[1], seat[2]) else SeatStatus.AVAILABLE
        self.seats[key] = to
        self.changes.seats.add(key)
        counts = self.changes.counts.setdefault(ticket_type, [0, 0])
        ticket = self.tickets[ticket_type]
        for status, change in ((was, -1), (to.status, 1)):
            if status == SeatStatus.AVAILABLE:
                counts[0] += change
                ticket.available_count += change
            elif status == SeatStatus.RESERVED:
                counts[1] += change
                ticket.held_count += change
        if rows is not None:
            if to.status == SeatStatus.AVAILABLE:
                rows.give(seat[1], seat[2])
            else:
                rows.take(seat[1], seat[2])
