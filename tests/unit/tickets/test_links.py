"""Links that hand a ticket on."""

from __future__ import annotations

import pytest

from gateway.contract.booking import TOKEN_CHARS_MAX
from tests.unit.tickets.vectors import OTHER_SECRET, SEATED, SECRET, VALID
from tickets.links import TicketLinks
from tickets.signed import SignedTicket
from waiting_room.errors import TokenInvalid


@pytest.mark.parametrize("ticket", VALID.values(), ids=str)
def test_a_token_gives_its_ticket(ticket: SignedTicket) -> None:
    token = TicketLinks(SECRET).token(ticket)
    assert TicketLinks(SECRET).ticket(token) == ticket
    assert len(token) <= TOKEN_CHARS_MAX


def test_no_other_token_gives_a_ticket() -> None:
    links = TicketLinks(SECRET)
    token = links.token(SEATED)
    changed = [token[:at] + ("a" if token[at] != "a" else "b") + token[at + 1 :] for at in range(len(token))]
    forged = TicketLinks(OTHER_SECRET).token(SEATED)
    for other in (*changed, token.upper(), token[:-1], token + "a", "", "ö" * len(token), forged):
        with pytest.raises(TokenInvalid):
            links.ticket(other)
