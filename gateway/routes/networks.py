"""Networks that operators let through or turn away."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Final

from litestar.params import Parameter

from db.booking.conduct import READ_PICTURE, PictureRow, network_seats_max
from db.networks.rules import TooManyRulesError, add_rules, network_of, newest_rules, remove_rule
from db.operators.roles import STEWARD, VIEWER
from gateway.contract.networks import (
    NetworkRuleAnswer,
    NetworkRuleList,
    NetworkRulesMade,
    NetworksBody,
    NetworksSeen,
)
from gateway.contract.values import ID_MAX
from gateway.identity.needs import at_event, at_site
from gateway.identity.pictures import pictures_of, session_of
from gateway.identity.sessions import Session
from gateway.routes.routers import operator_router
from gateway.services import services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

operators = operator_router("networks")

LISTED_MAX: Final = 500
SEEN_MAX: Final = 200
PathRule = Annotated[uuid.UUID, Parameter(description="the rule's ruleId")]


@operators.get("/api/ops/networks", refuses=("invalid_request",), needs=at_site(VIEWER))
async def listed(request: AnyRequest) -> NetworkRuleList:
    """The newest rules that are in force."""
    services = services_of(request)
    async with services.engine.connect() as connection:
        rules = await newest_rules(connection, LISTED_MAX)
    return NetworkRuleList(
        in_all=len(services.networks.index),
        rules=tuple(
            NetworkRuleAnswer(
                rule_id=rule.rule_id,
                network=rule.network,
                verdict=rule.verdict,
                until=rule.until,
                reason=rule.reason,
                made_by=rule.made_by,
                made_at=rule.made_at,
            )
            for rule in rules
        ),
    )


@operators.post(
    "/api/ops/networks",
    status_code=201,
    refuses=("invalid_request", "too_many_rules", "body_too_large", "unsupported_media_type"),
    needs=at_site(STEWARD),
)
async def add(request: AnyRequest, operator: Session, data: NetworksBody) -> NetworkRulesMade:
    """Let networks through, or turn them away, from all gateways within a second: addresses, and where the site has
    database files of origins also autonomous systems (``AS64500``) and countries (``DE``).

    Fans of a network that is turned away can read pages; they get no session, place or seats, and are told the reason.
    One that is let through needs no proofs, and its seats count with no network.
    """
    services = services_of(request)
    until = None if data.hours is None else services.clock.moment() + dt.timedelta(hours=data.hours)
    try:
        async with services.engine.begin() as connection:
            rule_ids = await add_rules(
                connection,
                [network_of(network) for network in data.networks],
                verdict=data.verdict,
                until=until,
                reason=data.reason,
                made_by=operator.name,
            )
    except TooManyRulesError:
        raise ProblemError("too_many_rules") from None
    await services.networks.refresh()
    return NetworkRulesMade(rule_ids=tuple(rule_ids))


@operators.delete(
    "/api/ops/networks/{rule_id:uuid}",
    status_code=204,
    refuses=("invalid_request", "unknown_rule"),
    needs=at_site(STEWARD),
)
async def remove(request: AnyRequest, operator: Session, rule_id: PathRule) -> None:
    """End a rule, at all gateways within a second."""
    services = services_of(request)
    async with services.engine.begin() as connection:
        removed = await remove_rule(connection, rule_id)
    if not removed:
        raise ProblemError("unknown_rule")
    await services.networks.refresh()


@operators.get(
    "/api/ops/events/{event_id:int}/networks",
    refuses=("invalid_request", "unknown_event"),
    needs=at_event(VIEWER),
)
async def seen(request: AnyRequest, event_id: Annotated[int, Parameter(ge=1, le=ID_MAX)]) -> NetworksSeen:
    """The picture of bots: what came from each network, and why it is asked for proofs or not."""
    services = services_of(request)
    row = await services.rooms.required_row(event_id)
    hall = await services.hall_access.to_read(request, event_id)
    async with services.engine.connect() as connection:
        found = await connection.exec_driver_sql(READ_PICTURE, {"event_id": event_id, "networks_max": SEEN_MAX})
        rows = [PictureRow._make(one) for one in found]
    seats_max = network_seats_max(row.network_limits_max, hall.event.seats_per_fan_max, hall.quantity)
    lately = await services.limits.seen.lately()
    return NetworksSeen(
        unproven_seats_max=seats_max,
        networks=pictures_of(rows, seats_max, row.fan_unbought_max, lately),
        sessions=tuple(session_of(one) for one in services.suspicions.suspects()),
    )


ROUTERS = (operators,)
