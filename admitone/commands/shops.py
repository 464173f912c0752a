"""``admitone shop``: rooms before somebody else's shop (docs/gate.md)."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping
from typing import Annotated

import typer

from admitone.commands.environment import fail, load_settings, sentence
from admitone.settings import Settings
from db.connections.engines import transaction
from db.rooms.rooms import RoomRow, UnknownRoomError, rooms
from db.shops.model import Shop, ShopRefusedError, shop_of
from db.shops.probes import check_probe
from db.shops.writing import NoShopError, ShopPlan, change_shop, make_shop
from db.webhooks.urls import UrlRefusedError
from gateway.wire.addresses import PublicAddress

APPLICATION = "admitone-shop"
WHO = "command line"

Event = Annotated[int, typer.Argument(min=1, help="The number of the room.")]
ReturnOrigin = Annotated[list[str] | None, typer.Option(help="A further origin that fans may be sent back to.")]
Path = Annotated[list[str] | None, typer.Option(help="Protect what stands below this path; may be given often.")]
OpenPath = Annotated[list[str] | None, typer.Option(help="Ask for no pass below this path, e.g. for webhooks.")]
Always = Annotated[
    bool | None,
    typer.Option("--always/--only-when-full", help="Send everybody to the line, or the overflow alone."),
]
OwnPage = Annotated[
    bool | None,
    typer.Option("--own-page/--our-page", help="Fans wait at the shop's host, below the path of our site."),
]
ProbeUrl = Annotated[
    str | None, typer.Option(help="A page of the shop that is asked for again and again; empty: none.")
]
TargetMs = Annotated[int | None, typer.Option(help="The autopilot keeps the p95 of the shop's answers below this.")]
FailOpen = Annotated[
    bool | None, typer.Option("--fail-open/--fail-closed", help="Let fans through while the line does not answer.")
]


def add(
    origin: Annotated[str, typer.Argument(help="The shop's scheme and host, e.g. https://shop.example.")],
    name: Annotated[str, typer.Option(help="What the waiting page calls the shop.")] = "",
    visitors: Annotated[int, typer.Option(min=0, help="Visitors at a time: the room's capacity.")] = 500,
    rate: Annotated[int, typer.Option(min=0, help="Visitors let in a minute: the room's rate.")] = 300,
    idle_seconds: Annotated[int, typer.Option(help="A pass that is not used lives so long.")] = 300,
    life_seconds: Annotated[int, typer.Option(help="No pass lives longer, however it is used.")] = 3600,
    opens_at: Annotated[
        dt.datetime | None, typer.Option(help="Nobody is let in before (UTC); at once where it is not given.")
    ] = None,
    lobby_minutes: Annotated[
        int, typer.Option(min=0, help="A lobby so long before, whose order is drawn; 0: none.")
    ] = 0,
    path: Path = None,
    open_path: OpenPath = None,
    return_origin: ReturnOrigin = None,
    always: Always = None,
    fail_open: FailOpen = None,
    own_page: OwnPage = None,
    probe_url: ProbeUrl = None,
    target_ms: TargetMs = None,
) -> None:
    """Make a room before a shop, and print its number."""
    settings = load_settings()
    dials = {
        "capacity": visitors,
        "rate_per_minute": rate,
        "pass_seconds": idle_seconds,
        "pass_life_seconds": life_seconds,
        "lobby_minutes": lobby_minutes,
    }
    asked = _asked(path, open_path, return_origin, always, fail_open, own_page, probe_url, target_ms)
    _check(settings, asked)

    async def make() -> RoomRow:
        shop = shop_of(origin=origin, **asked)
        plan = ShopPlan(
            name=name or shop.origin.partition("://")[2],
            shop=shop,
            dials=dials,
            opens_at=None if opens_at is None else opens_at.replace(tzinfo=opens_at.tzinfo or dt.UTC),
        )
        async with transaction(settings.db.url, APPLICATION) as connection:
            return await make_shop(connection, plan, WHO)

    try:
        row = asyncio.run(make())
    except ShopRefusedError as refused:
        raise fail(sentence(refused)) from None
    typer.echo(f"room {row.event_id}")
    if not settings.site.public_url.startswith(("http://", "https://")):
        typer.echo("Set ADMITONE_PUBLIC_URL to the whole address of this site: the check sends fans there.", err=True)


def list_all() -> None:
    """The rooms that stand before shops."""
    settings = load_settings()

    async def read() -> list[tuple[RoomRow, Shop]]:
        async with transaction(settings.db.url, APPLICATION) as connection:
            return [(row, row.shop) for row in await rooms(connection, settings.line.rooms_max) if row.shop is not None]

    for row, shop in asyncio.run(read()):
        typer.echo(_described(row, shop))


def change(
    event: Event,
    origin: Annotated[str | None, typer.Option(help="The shop's scheme and host.")] = None,
    path: Path = None,
    open_path: OpenPath = None,
    return_origin: ReturnOrigin = None,
    always: Always = None,
    fail_open: FailOpen = None,
    own_page: OwnPage = None,
    probe_url: ProbeUrl = None,
    target_ms: TargetMs = None,
    why: Annotated[str, typer.Option(help="For the log.")] = "",
) -> None:
    """Change how a shop is protected; what is not named stays. `admitone room` steers the room itself."""
    settings = load_settings()
    asked = _asked(path, open_path, return_origin, always, fail_open, own_page, probe_url, target_ms)
    _check(settings, asked)
    if origin is not None:
        asked["origin"] = origin

    async def write() -> RoomRow:
        async with transaction(settings.db.url, APPLICATION) as connection:
            return await change_shop(connection, event, asked, WHO, why)

    try:
        row = asyncio.run(write())
    except (UnknownRoomError, NoShopError, ShopRefusedError) as refused:
        raise fail(sentence(refused)) from None
    assert row.shop is not None
    typer.echo(f"{_described(row, row.shop)}\nIn force within five seconds.")


def _asked(
    path: list[str] | None,
    open_path: list[str] | None,
    return_origin: list[str] | None,
    always: bool | None,
    fail_open: bool | None,
    own_page: bool | None,
    probe_url: str | None,
    target_ms: int | None,
) -> dict[str, object]:
    asked = {
        "paths": path,
        "open_paths": open_path,
        "return_origins": return_origin,
        "always": always,
        "fail_open": fail_open,
        "own_page": own_page,
        "probe_url": probe_url,
        "target_ms": target_ms,
    }
    # Typer gives an empty list where an option that may be given often is not given.
    return {name: value for name, value in asked.items() if value is not None and value != []}


def _check(settings: Settings, asked: Mapping[str, object]) -> None:
    """End with a sentence where the probe URL leads where it may not, or the site cannot be at the shop's host."""
    if asked.get("own_page") and not PublicAddress.of(settings.site.public_url or "/").root:
        raise fail("The shop's host can have our pages only below a path of their own: name it in ADMITONE_PUBLIC_URL.")
    try:
        if asked.get("probe_url"):
            check_probe(str(asked["probe_url"]), settings.shop.networks, production=settings.site.production)
    except UrlRefusedError as refused:
        raise fail(sentence(refused)) from None


def _described(row: RoomRow, shop: Shop) -> str:
    return (
        f"room {row.event_id}: {row.state}, {' '.join(shop.origins)}, paths {' '.join(shop.paths)}"
        f"{' but not ' if shop.open_paths else ''}{' '.join(shop.open_paths)}, "
        f"{'always' if shop.always else 'only when full'}, fails {'open' if shop.fail_open else 'closed'}"
        f"{', waits at its own host' if shop.own_page else ''}"
        f"{f', probed at {shop.probe_url} for {shop.target_ms} ms' if shop.probe_url else ''}; "
        f"{row.capacity} visitors at a time, {row.rate_per_minute} a minute, passes {row.pass_seconds} s unused, "
        f"{row.pass_life_seconds or 2 * row.pass_seconds} s at most"
    )
