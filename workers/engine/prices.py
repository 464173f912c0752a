"""What a hold costs when it is bought, with a voucher or without: the one place where a purchase's total comes from.

A voucher's use is counted once: by the purchase, or as a payment with it begins. One that ends without a purchase gives
the use back.
"""

from __future__ import annotations

from db.booking.charges import Charge, discounted
from db.booking.holds import Hold
from db.booking.vouchers import Voucher
from db.payments.rows import Payment
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


def price_agreed(hold: Hold, payment: Payment) -> tuple[Charge, ...]:
    """What is charged for each seat of the hold that the payment pays: as it was agreed when the payment began."""
    if payment.discounts is None:
        return hold.charges
    return tuple(
        [
            discounted(charge, discount) if discount else charge
            for charge, discount in zip(hold.charges, payment.discounts, strict=True)
        ]
    )


def count_use(book: Book, event_id: int, code_hash: bytes, uses: int) -> None:
    """Count so many uses of a voucher more, or with -1 give one back."""
    book.changes.voucher_uses[event_id, code_hash] += uses
    voucher = book.vouchers.get((event_id, code_hash))
    if voucher is not None:
        voucher.uses += uses
