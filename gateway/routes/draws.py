"""Draws of lobbies as everybody may recheck them, and each fan's own receipt."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response
from litestar.params import Parameter

from db.draws.draws import HASHES_MAX, DrawRow, draw_row, drawn_number, fan_hashes
from gateway.contract.line import DrawAnswer, DrawList, DrawProof, Receipt, ReceiptEntry
from gateway.contract.values import ID_MAX, INT_MAX
from gateway.identity.sessions import Session
from gateway.line.moments import from_ms
from gateway.routes.routers import fan_router, public_router
from gateway.services import AnyRequest, Services, network, services_of
from gateway.wire.problems import ProblemError
from waiting_room.draw import draw_value, fan_hash
from waiting_room.model import Noted, RoomCounts
from waiting_room.receipts import DRAWN, REASONS

public = public_router("draws")
fans = fan_router("draws")

PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
RULE: Final = (
    "Places are in the order of drawValue = HMAC-SHA256(key = seed as 32 bytes, message = fanHash as 32 lowercase "
    "hexadecimal digits), compared byte by byte; equal ones by fanHash. SHA-256(seed) = seedHash."
)
NO_STORE: Final = {"Cache-Control": "no-store"}
FOREVER: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
State = Literal["early", "open", "drawing", "drawn"]


async def _draw(services: Services, event_id: int) -> tuple[DrawRow, RoomCounts, State] | None:
    """The event's draw; None where it has none."""
    counts = await services.counts.of(event_id)
    if counts is None or event_id not in services.rooms.commitments:
        return None
    async with services.engine.connect() as connection:
        drawn = await draw_row(connection, event_id)
    if drawn is None:
        return None
    lobby = services.places.lobby(event_id, counts)
    return drawn, counts, "drawn" if drawn.drawn_at is not None else lobby.state if lobby is not None else "drawing"


async def _public_draw(services: Services, request: AnyRequest, event_id: int) -> tuple[DrawRow, RoomCounts, State]:
    """Raises:
    ProblemError: ``rate_limited``, ``unknown_event``.
    """
    await services.limits.count("draw", network(request), services.settings.limit.draw_reads_per_minute)
    found = await _draw(services, event_id)
    if found is None:
        await services.hall_access.to_read(request, event_id)
        raise ProblemError("unknown_event", "This event has no lobby, so there is no draw.")
    return found


async def public_draw(services: Services, request: AnyRequest, event_id: int) -> DrawAnswer:
    """Raises:
    ProblemError: ``rate_limited``, ``unknown_event``.
    """
    drawn, counts, state = await _public_draw(services, request, event_id)
    return DrawAnswer(
        event_id=event_id,
        state=state,
        on_sale_at=from_ms(counts.config.draw_at_ms),
        opens_at=from_ms(counts.config.lobby_at_ms),
        rule=RULE,
        seed_hash=drawn.seed_hash.hex(),
        seed=None if drawn.seed is None else drawn.seed.hex(),
        participants=_participants(drawn, counts),
        drawn_at=drawn.drawn_at,
        list_href=f"/api/events/{event_id}/draw/list",
    )


@public.get(
    "/api/events/{event_id:int}/draw",
    refuses=("invalid_request", "unknown_event", "rate_limited"),
)
async def draw(request: AnyRequest, event_id: PathEvent) -> Response[DrawAnswer]:
    """The draw: what was committed to before it, and the seed after it."""
    return Response(await public_draw(services_of(request), request, event_id), headers=NO_STORE)


def _participants(drawn: DrawRow, counts: RoomCounts) -> int:
    return counts.lobby if drawn.participants is None else drawn.participants


@public.get(
    "/api/events/{event_id:int}/draw/list",
    refuses=("invalid_request", "unknown_event", "rate_limited"),
    also={200: DrawList},
)
async def draw_list(
    request: AnyRequest,
    event_id: PathEvent,
    first: Annotated[int, Parameter(ge=1, le=INT_MAX, description="the number to begin with")] = 1,
) -> Response[bytes]:
    """Who took part, as hashes, in the drawn order; none before the draw."""
    services = services_of(request)
    drawn, _, _ = await _public_draw(services, request, event_id)
    if drawn.participants is None:
        return _json(DrawList(first=first, fan_hashes=(), next=None), NO_STORE)
    async with services.engine.connect() as connection:
        found = await fan_hashes(connection, event_id, first, HASHES_MAX)
    behind = first + len(found)
    page = DrawList(
        first=first,
        fan_hashes=tuple(one.hex() for one in found),
        next=behind if behind <= drawn.participants else None,
    )
    return _json(page, FOREVER)


def _json(answer: Any, headers: dict[str, str]) -> Response[bytes]:
    return Response(msgspec.json.encode(answer), media_type="application/json", headers=headers)


@fans.get(
    "/api/queue/{event_id:int}/receipt",
    refuses=("invalid_request", "unknown_event"),
)
async def receipt(request: AnyRequest, fan: Session, event_id: PathEvent) -> Response[Receipt]:
    """What befell the session's own fan, and the proof of the draw."""
    services = services_of(request)
    user_id = fan.user_id
    await services.finding.require_room(event_id, fan)
    counts = await services.finding.counts(event_id)
    history = await services.line.history(event_id, user_id)
    noted = list(history.noted)
    if history.joined_at_ms is not None:
        was_lobby = history.joined_at_ms < counts.config.draw_at_ms
        noted.append(Noted("lobby" if was_lobby else "joined", history.joined_at_ms))
    entries = [
        ReceiptEntry(at=from_ms(one.at_ms), state=REASONS[one.what][0], reason=REASONS[one.what][1]) for one in noted
    ]
    proof, drawn_at = await _proof(services, event_id, user_id)
    if proof is not None and proof.number is not None and drawn_at is not None:
        entries.append(ReceiptEntry(at=drawn_at, state=DRAWN[0], reason=DRAWN[1]))
        entries.sort(key=lambda entry: entry.at)
    answer = Receipt(
        event_id=event_id,
        user_id=user_id,
        state=entries[-1].state if entries else "none",
        entries=tuple(entries),
        draw=proof,
    )
    return Response(answer, headers=NO_STORE)


async def _proof(services: Services, event_id: int, fan: int) -> tuple[DrawProof | None, dt.datetime | None]:
    """The proof, None for an event without a lobby; and when it was drawn."""
    found = await _draw(services, event_id)
    if found is None:
        return None, None
    drawn, counts, state = found
    own = fan_hash(drawn.fan_key, fan)
    number = None
    if drawn.seed is not None:
        async with services.engine.connect() as connection:
            number = await drawn_number(connection, event_id, fan)
    proof = DrawProof(
        state=state,
        rule=RULE,
        seed_hash=drawn.seed_hash.hex(),
        fan_hash=own,
        seed=None if drawn.seed is None else drawn.seed.hex(),
        draw_value=None if drawn.seed is None else draw_value(drawn.seed, own).hex(),
        number=number,
        participants=_participants(drawn, counts),
        href=f"/events/{event_id}/draw",
    )
    return proof, drawn.drawn_at


ROUTERS = (public, fans)
