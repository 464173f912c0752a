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


class NetworkSeen(AnswerBody, kw_only=True):
    """What came from a network at an event, the points that it has for it, and what it is answered at present."""

    network: str
    sessions: int
    proven_sessions: int
    bought: int
    unproven_seats: int
    unbought_seats: float
    points: int
    reasons: tuple[Points, ...]
    answer: Literal["nothing", "proof"]


class NetworksSeen(AnswerBody, kw_only=True):
    """The networks with the most points first; ``unproven_seats_max`` is what one may have without proofs."""

    unproven_seats_max: int
    networks: tuple[NetworkSeen, ...]
