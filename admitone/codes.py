"""``admitone codes``: access codes from the command line, as the console issues them."""

from __future__ import annotations

import datetime as dt
import re

from admitone.settings import Settings
from db.codes.access_codes import LABEL_MAX, CodeTakenError, TooManyIssuesError, issue_codes
from db.connections.engines import transaction
from db.keys.signing_keys import read_keys
from db.rooms.rooms import UnknownRoomError
from db.texts import fault_of_name, tidy
from waiting_room.access import CODE_MAX, NAMED_CODE, CodeHasher, random_codes
from waiting_room.key_ring import KeyRing


class CodesError(Exception):
    """No code was issued; the message says why."""


async def issue(
    settings: Settings,
    event_id: int,
    label: str,
    *,
    count: int,
    code: str | None,
    uses: int,
    hours: float | None,
    why: str,
) -> list[str]:
    """Issue ``count`` random codes, or the one named, and return them.

    Raises:
        CodesError: the event has no room, or the code is malformed or taken.
    """
    if code is not None and (len(code) > CODE_MAX or re.search(NAMED_CODE, code) is None):
        raise CodesError("A code has four letters or digits at least, with a space or hyphen between some.")
    label = tidy(label)
    fault = fault_of_name(label, LABEL_MAX)
    if fault is not None:
        raise CodesError(f"The label: {fault}.")
    codes = [code] if code is not None else random_codes(count)
    ring = KeyRing(settings.site.secret)
    hasher = CodeHasher(ring)
    try:
        async with transaction(settings.db.url, "admitone-codes") as connection:
            ring.take(await read_keys(connection))
            await issue_codes(
                connection,
                event_id,
                [hasher.hash(event_id, one) for one in codes],
                label=label,
                uses_max=uses,
                starts_at=None,
                ends_at=None if hours is None else dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours),
                operator="command line",
                why=why,
                also_known_as=[] if code is None else hasher.hashes(event_id, code)[1:],
            )
    except UnknownRoomError as error:
        raise CodesError(f"{error}.".capitalize()) from None
    except CodeTakenError:
        raise CodesError("This event has such a code already.") from None
    except TooManyIssuesError:
        raise CodesError("This event has as many issues of codes as one may have.") from None
    return codes
