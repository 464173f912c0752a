"""Whether a fan must prove to be a person before more seats are held, by what the fan and the network did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from booking_lane.commands import Checkout, Proof, Reserve
from db.booking.conduct import (
    LARGE_HOLD_SEATS,
    NETWORK_LIMITS_OFF,
    bought_seats_max,
    is_large,
    large_seats_max,
    unproven_seats_max,
)
from db.booking.holds import Hold
from workers.engine.book import Book
from workers.engine.refused import Refused

STEPS_MAX: Final = 4
"""From so many times the allowed number of unbought holds on, no proof helps: the fan has to wait."""
WAIT_SECONDS: Final = 900

_PROVE: Final = "Solve the captcha of /api/captcha for action=reserve in this session; send it in X-Captcha-Token."


PROVE_AT_CHECKOUT: Final = (
    "Much was bought from your network with captchas that name no session. Ask GET /api/captcha/challenge with the"
    " session, by Authorization or its cookie, and check out with its solution and a new Idempotency-Key. Your hold"
    " stays."
)


def refuse_by_conduct(book: Book, command: Reserve, count: int, in_grace: Sequence[Hold]) -> None:
    """Return if the fan may hold ``count`` seats more.

    Args:
        in_grace: the fan's own holds that are over, whose seats do not stand in the way.

    Raises:
        Refused: ``captcha_required`` where a proof is missing; ``too_many_holds`` where the fan let so many holds end
            unbought that no proof helps for a while.
    """
    if not command.network:
        return
    event = book.events[command.event_id]
    unbought_max = event.fan_unbought_max
    unbought = book.unbought.get((command.event_id, command.user_id), 0.0)
    if unbought_max and unbought >= unbought_max * STEPS_MAX:
        raise Refused("too_many_holds", retryAfterSeconds=WAIT_SECONDS)
    if unbought_max and unbought >= unbought_max and command.proof < Proof.FRESH:
        raise Refused("captcha_required", f"You let {unbought:.0f} holds end without buying. {_PROVE}")
    if command.proof or event.network_limits_max >= NETWORK_LIMITS_OFF:
        return
    of_networks = book.networks[command.event_id]
    seats_max = book.network_seats_max(event)
    unbought_seats_max = seats_max * unbought_max or float("inf")
    if (
        of_networks.seats.get(command.network, 0) + count > seats_max
        or of_networks.unbought.get(command.network, 0.0) >= unbought_seats_max
    ):
        raise Refused("captcha_required", f"Many seats are held or bought from your network. {_PROVE}")
    if count >= LARGE_HOLD_SEATS:
        large = book.large_holds.get(command.event_id, {})
        own = [hold for hold in in_grace if is_large(hold)]
        held = sum(large.values()) - sum(len(hold.seats) for hold in own)
        of_network = large.get(command.network, 0)
        of_network -= sum(len(hold.seats) for hold in own if hold.network == command.network)
        # One network alone has the bound above.
        if held > of_network and held + count > large_seats_max(book.hall_seats(command.event_id)):
            raise Refused("captcha_required", f"Much of the hall is held in large parts. {_PROVE}")


def refuse_unproven_mass(book: Book, command: Checkout, hold: Hold) -> None:
    """Return if the hold may be bought, and count it: only so much is bought without proofs of the fans' own, from one
    network and from all together. A browser's page brings its own proof with each checkout.

    Raises:
        Refused: ``captcha_required``.
    """
    event = book.events[command.event_id]
    if command.proof or hold.proven or not hold.network or event.network_limits_max >= NETWORK_LIMITS_OFF:
        return
    bought, count = book.bought_unproven[command.event_id], len(hold.seats)
    hall_seats = book.hall_seats(command.event_id)
    of_network_max = bought_seats_max(event.network_limits_max, event.seats_per_fan_max)
    in_all_max = unproven_seats_max(event.network_limits_max, event.seats_per_fan_max, hall_seats)
    if bought[hold.network] + count > of_network_max or bought.total() + count > in_all_max:
        raise Refused("captcha_required", PROVE_AT_CHECKOUT)
    bought[hold.network] += count
