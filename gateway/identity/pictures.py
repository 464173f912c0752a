"""Why a network has points: each reason is a sentence that an operator can tell to anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from db.booking.conduct import PictureRow
from gateway.contract.networks import Lately, NetworkSeen, Points, SessionSeen
from gateway.identity.sightings import ANSWERED, BOUGHT, JOIN, PROOF, SESSION
from gateway.identity.suspicions import Suspect

FULL: Final = 100
"""Points at which a network's fans are asked for proofs."""
SESSIONS_USUAL: Final = 5
OF_SESSIONS: Final = 5
OF_SESSIONS_MAX: Final = 50
OTHERS_MAX: Final = 50


def pictures_of(
    rows: Sequence[PictureRow], seats_max: int, unbought_max: int, lately: Mapping[str, Counter[str]]
) -> tuple[NetworkSeen, ...]:
    """All networks: those whose fans held seats at an event, then those that did most lately at any.

    Args:
        lately: what `gateway.identity.sightings` counted, by network.
    """
    known = {row.network for row in rows}
    others = sorted(lately.keys() - known, key=lambda network: -lately[network].total())[:OTHERS_MAX]
    nothing = [PictureRow(network, 0, 0, 0, 0, 0.0, 0) for network in others]
    return tuple(picture_of(row, seats_max, unbought_max, lately.get(row.network, {})) for row in (*rows, *nothing))


def picture_of(row: PictureRow, seats_max: int, unbought_max: int, lately: Mapping[str, int]) -> NetworkSeen:
    """The network as operators see it.

    Args:
        seats_max: seats that a network may have without proofs; 0: any number.
        unbought_max: how many holds a fan may let end unbought; 0: any number.
        lately: what `gateway.identity.sightings` counted.
    """
    reasons = []
    if seats_max and row.unproven_seats:
        share = FULL * row.unproven_seats // seats_max
        reasons.append(Points(reason=f"{row.unproven_seats} of {seats_max} seats without a proof", points=share))
    if seats_max and unbought_max and row.unbought_seats >= 1:
        bound = seats_max * unbought_max
        share = int(FULL * row.unbought_seats / bound)
        reasons.append(
            Points(reason=f"{row.unbought_seats:.0f} of {bound} seats blocked for a hold and not bought", points=share)
        )
    asks_proof = any(one.points >= FULL for one in reasons)
    unproven = row.sessions - row.proven_sessions
    if unproven > SESSIONS_USUAL:
        points = min(OF_SESSIONS_MAX, OF_SESSIONS * (unproven - SESSIONS_USUAL))
        reasons.append(Points(reason=f"{unproven} sessions held seats without a proof", points=points))
    return NetworkSeen(
        network=row.network,
        sessions=row.sessions,
        proven_sessions=row.proven_sessions,
        bought=row.bought,
        held=row.held,
        lately=Lately(sessions=lately.get(SESSION, 0), joins=max(0, lately.get(JOIN, 0)), proofs=lately.get(PROOF, 0)),
        refused_lately={
            what: number
            for what, number in lately.items()
            if what not in (SESSION, JOIN, PROOF, BOUGHT) and not what.startswith(ANSWERED)
        },
        answered_lately={
            what.removeprefix(ANSWERED): number for what, number in lately.items() if what.startswith(ANSWERED)
        },
        unproven_seats=row.unproven_seats,
        unbought_seats=round(row.unbought_seats, 1),
        points=sum(one.points for one in reasons),
        reasons=tuple(reasons),
        answer="proof" if asks_proof else "nothing",
    )


def session_of(suspect: Suspect) -> SessionSeen:
    """A suspicious session as operators see it."""
    verdict = suspect.verdict
    return SessionSeen(
        user_id=suspect.user_id,
        network=suspect.network,
        points=verdict.points,
        reasons=tuple(Points(reason=reason.sentence, points=reason.points) for reason in verdict.reasons),
        answer=verdict.answer.word,
        answered=suspect.answered,
    )
