"""Vouchers as a batch reads them, and the uses that it counts.

A batch counts the uses of the purchases that it makes, in the same transaction and under the event's lock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from db.booking.charges import Charge, discounted, half_up
from db.booking.seats import Seat
from db.events.terms import BASIS_POINTS

_COLUMNS: Final = """v.event_id, v.code_hash, v.uses, v.uses_max, i.basis_points, i.amount, i.ticket_type_ids,
       i.ends_at, i.revoked_at IS NOT NULL"""

READ_VOUCHERS: Final = f"""
SELECT {_COLUMNS}
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, code_hash text)
  JOIN voucher v ON v.code_hash = decode(k.code_hash, 'hex') AND v.event_id = k.event_id
  JOIN voucher_issue i ON i.issue_id = v.issue_id AND i.event_id = v.event_id
"""  # noqa: S608 - of constants alone

WRITE_VOUCHER_USES: Final = """
UPDATE voucher v
   SET uses = v.uses + k.uses
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, code_hash text, uses int)
 WHERE v.code_hash = decode(k.code_hash, 'hex') AND v.event_id = k.event_id
"""


@dataclass(slots=True)
class Voucher:
    """A voucher of an event. ``ticket_type_ids`` is None where it is good for all of them."""

    event_id: int
    code_hash: bytes
    uses: int
    uses_max: int
    basis_points: int
    amount: int
    ticket_type_ids: tuple[int, ...] | None
    ends_at: dt.datetime | None
    is_revoked: bool

    def fault(self, seats: Sequence[Seat], now: dt.datetime) -> str:
        """The code of the problem that keeps it from being used for these seats now; empty if nothing does."""
        if self.is_revoked:
            return "voucher_unknown"
        if self.ends_at is not None and now >= self.ends_at:
            return "voucher_expired"
        if self.uses >= self.uses_max:
            return "voucher_used"
        return "" if any(self._is_for(seat) for seat in seats) else "voucher_not_for_these"

    def applied(self, seats: Sequence[Seat], charges: Sequence[Charge]) -> tuple[Charge, ...]:
        """The charges with the voucher's discount on each seat that it is good for."""
        return tuple(
            [
                discounted(charge, self._discount(charge.price)) if self._is_for(seat) else charge
                for seat, charge in zip(seats, charges, strict=True)
            ]
        )

    def _is_for(self, seat: Seat) -> bool:
        return self.ticket_type_ids is None or seat[0] in self.ticket_type_ids

    def _discount(self, price: int) -> int:
        return min(price, self.amount or half_up(price * self.basis_points, BASIS_POINTS))


def voucher_row(row: Sequence[Any]) -> Voucher:
    """A row of `READ_VOUCHERS`."""
    event_id, code_hash, uses, uses_max, basis_points, amount, types, ends_at, is_revoked = row
    of_types = None if types is None else tuple(types)
    return Voucher(event_id, bytes(code_hash), uses, uses_max, basis_points, amount, of_types, ends_at, is_revoked)


def voucher_key(event_id: int, code_hash: bytes) -> dict[str, Any]:
    """A row of the recordset of `READ_VOUCHERS`."""
    return {"event_id": event_id, "code_hash": code_hash.hex()}


def voucher_uses(event_id: int, code_hash: bytes, uses: int) -> dict[str, Any]:
    """A row of `WRITE_VOUCHER_USES`."""
    return voucher_key(event_id, code_hash) | {"uses": uses}
