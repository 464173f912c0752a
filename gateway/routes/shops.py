"""Operators: rooms before somebody else's shops, how they are protected, and what the shops tell of themselves."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import msgspec
from litestar.params import Parameter

from db.operators.roles import DOOR, OWNER, VIEWER
from db.rooms.dials import dials_of
from db.rooms.rooms import RoomRow, UnknownRoomError
from db.rooms.steering import RoomChangedError, SteeringRefusedError
from db.shops.model import Shop, ShopRefusedError, shop_of
from db.shops.probes import check_probe
from db.shops.writing import NoShopError, ShopPlan, change_shop, make_shop
from db.webhooks.urls import UrlRefusedError
from gateway.contract.dials import dials_in
from gateway.contract.shops import (
    SHOP_DIALS,
    NewShopBody,
    ShopAnswer,
    ShopBody,
    ShopFiguresAnswer,
    ShopFiguresBody,
    ShopList,
    ShopProxyFile,
    ShopProxyFiles,
    fields_of,
)
from gateway.contract.values import ID_MAX, RequestBody
from gateway.identity.needs import at_event, at_site, somewhere
from gateway.identity.sessions import Session
from gateway.line.places import room_state
from gateway.routes.outward import RESOLVE_SECONDS_MAX
from gateway.routes.rooms import conflict
from gateway.routes.routers import operator_router
from gateway.services import Services, services_of
from gateway.shops.addresses import waiting_page
from gateway.shops.proxies import proxy_files
from gateway.wire.addresses import below, origin
from gateway.wire.problems import ProblemError, invalid
from gateway.wire.requests import AnyRequest
from waiting_room.shop_figures import Figures, Pushed

operators = operator_router("shops")

NO_SHOP: Final = "There is no shop behind this room."
REFUSED: Final = ("invalid_request", "unknown_event")
BODY_REFUSED: Final = ("invalid_request", "body_too_large", "unsupported_media_type")
PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="the room's event id")]


@operators.get("/api/ops/shops", needs=somewhere(VIEWER))
async def listed(request: AnyRequest, operator: Session) -> ShopList:
    """Every shop with a room before it that the operator may see."""
    services = services_of(request)
    rows = services.figures.rows_of(operator.grants.events_of(VIEWER))
    answers = [await _answer(services, row, row.shop) for row in rows if row.shop is not None]
    return ShopList(shops=tuple(sorted(answers, key=lambda one: one.event_id)))


@operators.post("/api/ops/shops", status_code=201, refuses=(*BODY_REFUSED, "url_refused"), needs=at_site(OWNER))
async def make(request: AnyRequest, operator: Session, data: NewShopBody) -> ShopAnswer:
    """Put a room before a shop. Its line is open at once, or from ``opensAt`` on; the check answers by it as soon as
    the shop's proxy asks.
    """
    services = services_of(request)
    with _refusals_as_problems(NewShopBody):
        shop = shop_of(**fields_of(data))
        await _check(services, shop)
        plan = ShopPlan(
            name=data.name or shop.origin.partition("://")[2],
            shop=shop,
            dials={**dials_in(data, SHOP_DIALS), "lobby_minutes": data.lobby_minutes},
            opens_at=data.opens_at,
            time_zone=data.time_zone,
        )
        async with services.engine.begin() as connection:
            row = await make_shop(connection, plan, operator.name, data.why)
    await services.rooms.configure(row)
    return await _answer(services, row, shop)


@operators.get("/api/ops/shops/{event_id:int}", refuses=REFUSED, needs=at_event(VIEWER))
async def shop(request: AnyRequest, event_id: PathEvent) -> ShopAnswer:
    """One shop."""
    services = services_of(request)
    row = await services.rooms.required_row(event_id)
    return await _answer(services, row, _required(row))


@operators.put(
    "/api/ops/shops/{event_id:int}",
    refuses=(*REFUSED, *BODY_REFUSED, "conflict", "url_refused"),
    needs=at_event(OWNER),
)
async def change(request: AnyRequest, operator: Session, event_id: PathEvent, data: ShopBody) -> ShopAnswer:
    """Protect a shop differently, and steer the dials that are named. Every gateway has it within a moment."""
    services = services_of(request)
    before = _required(await services.rooms.required_row(event_id))
    with _refusals_as_problems(ShopBody):
        asked = shop_of(**fields_of(data))
        await _check(services, asked)
        async with services.engine.begin() as connection:
            row = await change_shop(
                connection,
                event_id,
                fields_of(data),
                operator.name,
                data.why,
                dials=dials_in(data, SHOP_DIALS),
                revision=None if data.revision is msgspec.UNSET else data.revision,
            )
    await services.rooms.configure(row)
    if asked.probe_url != before.probe_url:
        await services.shop_figures.forget_looks(event_id)
    return await _answer(services, row, asked)


@operators.get("/api/ops/shops/{event_id:int}/proxies", refuses=REFUSED, needs=at_event(VIEWER))
async def proxies(request: AnyRequest, event_id: PathEvent) -> ShopProxyFiles:
    """What to put into the shop's proxy, for each proxy that we have an example of."""
    services = services_of(request)
    shop = _required(await services.rooms.required_row(event_id))
    files = await asyncio.to_thread(proxy_files, shop, event_id)
    return ShopProxyFiles(files=tuple(ShopProxyFile(**one._asdict()) for one in files))


@operators.post(
    "/api/ops/shops/{event_id:int}/figures", status_code=204, refuses=(*REFUSED, *BODY_REFUSED), needs=at_event(DOOR)
)
async def take_figures(request: AnyRequest, event_id: PathEvent, data: ShopFiguresBody) -> None:
    """Take what the shop tells of itself, in place of what it told before: once in ten seconds is enough, and after a
    minute of silence the autopilot raises the rate no more. A token with the role ``door`` at this room is enough.
    """
    services = services_of(request)
    _required(await services.rooms.required_row(event_id))
    pushed = Pushed(services.clock.now(), data.p95_ms, data.requests, data.failed, data.seconds)
    await services.shop_figures.take(event_id, pushed)


def _required(row: RoomRow) -> Shop:
    if row.shop is None:
        raise ProblemError("unknown_event", NO_SHOP)
    return row.shop


async def _check(services: Services, shop: Shop) -> None:
    """Refuse a probe URL that leads where it may not, and a waiting page that the shop's host cannot have."""
    if shop.own_page and not below(""):
        raise invalid(
            "the shop's host can have our pages only below a path of their own: name it in ADMITONE_PUBLIC_URL",
            "$.ownPage",
        )
    if not shop.probe_url:
        return
    site, settings = services.settings.site, services.settings.shop
    checked = asyncio.to_thread(check_probe, shop.probe_url, settings.networks, production=site.production)
    try:
        await asyncio.wait_for(checked, RESOLVE_SECONDS_MAX)
    except (UrlRefusedError, TimeoutError) as error:
        said = str(error) or "the name is not resolved in time"
        raise ProblemError("url_refused", f"{said[:1].upper()}{said[1:]}.") from None


@contextmanager
def _refusals_as_problems(body: type[RequestBody]) -> Iterator[None]:
    try:
        yield
    except (UnknownRoomError, NoShopError):
        raise ProblemError("unknown_event", NO_SHOP) from None
    except (ShopRefusedError, SteeringRefusedError) as refused:
        names = dict(zip(body.__struct_fields__, body.__struct_encode_fields__, strict=True))
        raise invalid(str(refused), f"$.{names.get(refused.field, refused.field)}") from None
    except RoomChangedError as meanwhile:
        raise conflict(meanwhile) from None


async def _answer(services: Services, row: RoomRow, shop: Shop) -> ShopAnswer:
    event_id = row.event_id
    counts = await services.counts.of(event_id)
    event = (await services.halls.current(event_id)).event
    figures = await services.shop_figures.of(event_id, services.clock.now())
    dials = dials_of(row)
    steers = row.autopilot and counts is not None and counts.steering is not None
    return ShopAnswer(
        event_id=event_id,
        name=event.name,
        **{name: getattr(shop, name) for name in Shop.__struct_fields__},
        **{dial.name: dials[dial.name] for dial in SHOP_DIALS},
        state=row.state if counts is None else room_state(counts),
        waiting=0 if counts is None else counts.waiting,
        admitted=0 if counts is None else counts.admitted,
        rate_now_per_minute=0.0 if counts is None else round(counts.rate_per_minute, 1),
        autopilot_why=counts.steering.why if steers and counts is not None and counts.steering is not None else "",
        revision=row.revision,
        waiting_page=waiting_page(shop, event_id),
        check=f"{origin()}{below(f'/gate/{event_id}')}",
        figures=None if figures is None else _figures(figures),
    )


def _figures(figures: Figures) -> ShopFiguresAnswer:
    return ShopFiguresAnswer(
        at=dt.datetime.fromtimestamp(figures.at_seconds, dt.UTC),
        fresh=figures.is_fresh,
        p95_ms=figures.p95_ms,
        asked=figures.asked,
        failed=figures.failed,
        per_second=round(figures.per_second, 1),
        source=figures.source,
    )


ROUTERS = (operators,)
