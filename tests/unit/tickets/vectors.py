"""Makes `docs/ticket-vectors.json`: `python -m tests.unit.tickets.vectors --write`."""

from __future__ import annotations

import json
import sys
import uuid
from base64 import b32decode, b32encode
from pathlib import Path
from typing import Any, Final

from tickets.keys import TicketKeys
from tickets.signed import SignedTicket

FILE: Final = Path(__file__).parents[3] / "docs" / "ticket-vectors.json"
SECRET: Final = "the secret of the vectors, which signs no other ticket"
OTHER_SECRET: Final = "another secret, whose keys the vectors do not name"
SEATED: Final = SignedTicket(1, uuid.UUID("019a5b1e-7c1a-7b44-9d3e-5f0a2b6c8d10"), (2, 14, 7), 1)
VALID: Final = {
    "a seat": SEATED,
    "a seat whose ticket was handed on": SEATED._replace(issue_number=2),
    "without a seat": SEATED._replace(seat=(3, 0, 412)),
    "the largest numbers": SignedTicket(
        2**53 - 1, uuid.UUID("ffffffff-ffff-7fff-bfff-ffffffffffff"), (2**31 - 1, 2**31 - 1, 2**31 - 1), 2**16 - 1
    ),
}


def vectors() -> dict[str, Any]:
    keys = TicketKeys(SECRET)
    good = keys.sign(SEATED)
    content = bytearray(b32decode(good + "======"))
    handed_on, version = content.copy(), content.copy()
    handed_on[41] = 9
    version[0] = 2
    invalid = {
        "another issue number than was signed": (_text(handed_on), "signature"),
        "signed by a key that is not published": (TicketKeys(OTHER_SECRET).sign(SEATED), "unknown_key"),
        "a version to come": (_text(version), "unknown_version"),
        "the same bytes in another spelling": (good[:-1] + chr(ord(good[-1]) + 1), "malformed"),
        "small letters": (good.lower(), "malformed"),
        "a letter too few": (good[:-1], "malformed"),
        "a short code": ("ABCDEFGHIJKLMNOP", "malformed"),
    }
    return {
        "keySet": keys.key_set(),
        "valid": [{"name": name, "text": keys.sign(ticket), **said(ticket)} for name, ticket in VALID.items()],
        "invalid": [{"name": name, "text": text, "reason": reason} for name, (text, reason) in invalid.items()],
    }


def said(ticket: SignedTicket) -> dict[str, Any]:
    """What a ticket says, as the file has it."""
    ticket_type_id, row_number, seat_number = ticket.seat
    return {
        "eventId": ticket.event_id,
        "purchaseId": str(ticket.purchase_id),
        "ticketTypeId": ticket_type_id,
        "rowNumber": row_number,
        "seatNumber": seat_number,
        "issueNumber": ticket.issue_number,
    }


def _text(content: bytes | bytearray) -> str:
    return b32encode(content).decode().rstrip("=")


if __name__ == "__main__" and "--write" in sys.argv:
    FILE.write_text(json.dumps(vectors(), indent=2) + "\n")
