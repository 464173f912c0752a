"""Bodies and answers of the networks that operators let through or turn away."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Literal

from msgspec import Meta

from db.networks.rules import REASON_MAX, network_of
from db.texts import NO_NUL
from gateway.contract.values import AnswerBody, RequestBody

NETWORKS_MAX = 1000
Verdict = Literal["allow", "deny"]


class NetworksBody(RequestBody, kw_only=True):
    """Networks in CIDR, or single addresses; ``hours`` is how long the rules hold, for good without it."""

    EXAMPLES = ({"networks": ["198.51.100.0/24"], "verdict": "deny", "reason": "scalpers", "hours": 24},)

    networks: Annotated[
        tuple[Annotated[str, Meta(min_length=2, max_length=49)], ...], Meta(min_length=1, max_length=NETWORKS_MAX)
    ]
    verdict: Verdict
    reason: Annotated[str, Meta(min_length=1, max_length=REASON_MAX, pattern=NO_NUL)]
    hours: Annotated[float, Meta(gt=0, le=87_600)] | None = None

    def __post_init__(self) -> None:
        for network in self.networks:
            network_of(network)


class NetworkRuleAnswer(AnswerBody, kw_only=True):
    rule_id: uuid.UUID
    network: str
    verdict: Verdict
    until: dt.datetime | None
    reason: str
    made_by: str
    made_at: dt.datetime


class NetworkRuleList(AnswerBody, kw_only=True):
    """The newest rules in force; ``in_all`` counts those that this gateway has in memory."""

    in_all: int
    rules: tuple[NetworkRuleAnswer, ...]


class NetworkRulesMade(AnswerBody, kw_only=True):
    rule_ids: tuple[uuid.UUID, ...]


class Points(AnswerBody, kw_only=True):
    """Why a network has points: the reason as a sentence, and how many for it."""

    reason: str
    points: int


class Lately(AnswerBody, kw_only=True):
    """Sessions that began, joins, and proofs that were good."""

    sessions: int
    joins: int
    proofs: int


class SessionSeen(AnswerBody, kw_only=True):
    """A session with points of its own: why, which answer they have by themselves, and how often each was given."""

    user_id: int
    network: str
    points: int
    reasons: tuple[Points, ...]
    answer: Literal["nothing", "proof", "captcha", "behind", "refuse"]
    answered: dict[str, int]


class NetworkSeen(AnswerBody, kw_only=True):
    """What came from a network at an event, the points that it has for it, and what it is answered at present.

    ``lately`` is what came in the last ten minutes to all events together, and ``refusedLately`` what was refused then,
    by its code. ``answeredLately`` counts the answers that sessions of it had for their own points.
    """

    network: str
    sessions: int
    proven_sessions: int
    bought: int
    held: int
    lately: Lately
    refused_lately: dict[str, int]
    answered_lately: dict[str, int]
    unproven_seats: int
    unbought_seats: float
    points: int
    reasons: tuple[Points, ...]
    answer: Literal["nothing", "proof"]


class NetworksSeen(AnswerBody, kw_only=True):
    """The networks with the most points first, and after those whose fans held seats the ones that did most lately;
    ``unproven_seats_max`` is what a network may have without proofs. ``sessions`` are those whose own doings look
    like a program's, at all events, in the last ten minutes.
    """

    unproven_seats_max: int
    networks: tuple[NetworkSeen, ...]
    sessions: tuple[SessionSeen, ...]
