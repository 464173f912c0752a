"""``admitone vouchers``: vouchers from the command line, as the API issues them."""

from __future__ import annotations

import re
from dataclasses import replace

from admitone.settings import Settings
from db.connections.engines import transaction
from db.keys.signing_keys import read_keys
from db.texts import fault_of_name, tidy
from db.vouchers.vouchers import (
    LABEL_MAX,
    NewVouchers,
    TooManyVouchersError,
    UnknownEventError,
    UnknownTicketTypesError,
    VoucherTakenError,
    issue_vouchers,
)
from waiting_room.access import CODE_MAX, NAMED_CODE, VOUCHERS, CodeHasher, random_codes
from waiting_room.key_ring import KeyRing


class VouchersError(Exception):
    """No voucher was issued; the message says why."""


async def issue(
    settings: Settings, event_id: int, new: NewVouchers, *, count: int, code: str | None, why: str
) -> list[str]:
    """Issue ``count`` random vouchers, or the one named, and return their codes.

    Raises:
        VouchersError: there is no such event or ticket type, no discount or two, or the code is malformed or taken.
    """
    if code is not None and (len(code) > CODE_MAX or re.search(NAMED_CODE, code) is None):
        raise VouchersError("A code has four letters or digits at least, with a space or hyphen between some.")
    if (new.basis_points > 0) == (new.amount > 0):
        raise VouchersError("Give either --percent or --amount.")
    new = replace(new, label=tidy(new.label))
    fault = fault_of_name(new.label, LABEL_MAX)
    if fault is not None:
        raise VouchersError(f"The label: {fault}.")
    codes = [code] if code is not None else random_codes(count)
    ring = KeyRing(settings.site.secret)
    hasher = CodeHasher(ring, VOUCHERS)
    try:
        async with transaction(settings.db.url, "admitone-vouchers") as connection:
            ring.take(await read_keys(connection))
            await issue_vouchers(
                connection,
                event_id,
                [hasher.hash(event_id, one) for one in codes],
                new,
                operator="command line",
                why=why,
                also_known_as=[] if code is None else hasher.hashes(event_id, code)[1:],
            )
    except UnknownEventError:
        raise VouchersError("There is no such event.") from None
    except UnknownTicketTypesError as unknown:
        raise VouchersError(f"The event has no ticket type {unknown.ticket_type_ids[0]}.") from None
    except VoucherTakenError:
        raise VouchersError("This event has such a voucher already.") from None
    except TooManyVouchersError:
        raise VouchersError("This event has as many issues of vouchers as one may have.") from None
    return codes
