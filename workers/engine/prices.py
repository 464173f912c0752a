"""What a hold costs when it is bought, with a voucher or without: the one place where a purchase's total comes from."""

from __future__ import annotations

from db.booking.charges import Charge
from db.booking.holds import Hold
from db.booking.vouchers import Voucher
from workers.engine.book import Book
from workers.engine.refused import Refused


def price_of(book: Book, hold: Hold, hashes: tuple[bytes, ...]) -> tuple[tuple[Charge, ...], Voucher | None]:
    """What is charged for each seat of the hold, and the voucher that it is bought with.

    Args:
        hashes: of the voucher's code, by each key that the site has; none without a voucher.

    Raises:
        Refused: ``voucher_unknown``, ``voucher_expired``, ``voucher_used`` or ``voucher_not_for_these``.
    """
    if not hashes:
        return hold.charges, None
    found = [voucher for one in hashes if (voucher := book.vouchers.get((hold.event_id, one))) is not None]
    if not found:
        raise Refused("voucher_unknown")
    voucher = found[0]
    if fault := voucher.fault(hold.seats, book.now):
        raise Refused(fault)
    return voucher.applied(hold.seats, hold.charges), voucher
