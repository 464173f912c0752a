"""Bodies and answers of rooms before somebody else's shop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from db.rooms.dials import DIALS, Dial
from db.shops.model import (
    ORIGINS_MAX,
    PATH_CHARS_MAX,
    PATHS_MAX,
    TARGET_MS,
    TARGET_MS_LEAST,
    TARGET_MS_MOST,
    Shop,
)
from db.shops.writing import NAME_CHARS_MAX
from db.texts import END, ONE_LINE
from db.webhooks.urls import URL_CHARS_MAX
from gateway.contract.dials import answer_of_dials, body_of_dials
from gateway.contract.values import AnswerBody, Moment, RequestBody, Revision, TimeZone, Why

SHOP_DIALS: Final[tuple[Dial, ...]] = tuple(
    DIALS[name] for name in ("capacity", "rate_per_minute", "pass_seconds", "pass_life_seconds", "autopilot")
)
"""The dials that say how a shop is protected; the others are steered as in every room."""
PUSHED_SECONDS_MAX: Final = 60
PUSHED_MS_MAX: Final = 600_000

ShopOrigin = Annotated[
    str,
    Meta(
        max_length=300,
        pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?" + END,
        description="scheme and host of the shop, and its port where it has one of its own",
        examples=["https://shop.example"],
    ),
]
ShopPath = Annotated[
    str,
    Meta(
        max_length=PATH_CHARS_MAX,
        pattern=r"^(/[A-Za-z0-9_~!$&'()*+,=:@.-]*)+" + END,
        description="what stands below it, in whole segments; written plainly, without dots as segments",
        examples=["/checkout"],
    ),
]
ProbeUrl = Annotated[
    str,
    Meta(
        max_length=URL_CHARS_MAX,
        pattern=r"^(https?://[A-Za-z0-9.\[\]:-]+(/[!\x22$-~]*)?)?" + END,
        description="a page of the shop that is asked for again and again; empty: none. In production of a public host "
        "by https, or in a network that ADMITONE_SHOP_PROBE_NETWORKS names",
    ),
]

if TYPE_CHECKING:
    _DialsOfShop = RequestBody
    _DialsAnswer = AnswerBody
else:
    _DialsOfShop = body_of_dials("_DialsOfShop", SHOP_DIALS, RequestBody)
    _DialsAnswer = answer_of_dials("_DialsOfShopAnswer", SHOP_DIALS, AnswerBody)


class _Protection(_DialsOfShop, kw_only=True):
    origin: ShopOrigin
    return_origins: Annotated[tuple[ShopOrigin, ...], Meta(max_length=ORIGINS_MAX)] = ()
    paths: Annotated[tuple[ShopPath, ...], Meta(min_length=1, max_length=PATHS_MAX)] = ("/",)
    open_paths: Annotated[tuple[ShopPath, ...], Meta(max_length=PATHS_MAX)] = ()
    always: bool = True
    fail_open: bool = True
    own_page: bool = False
    probe_url: ProbeUrl = ""
    target_ms: Annotated[int, Meta(ge=TARGET_MS_LEAST, le=TARGET_MS_MOST)] = TARGET_MS
    why: Why = ""


class NewShopBody(_Protection, kw_only=True):
    """A room before a shop. ``paths`` need a pass, and ``openPaths`` below them need none; fans are sent back to
    ``origin`` and ``returnOrigins`` alone. With ``always`` every fan goes through the line, else only the overflow.
    ``failOpen``: fans without a pass are let through while the line does not answer.
    """

    EXAMPLES = (
        {
            "origin": "https://shop.example",
            "name": "The Corner Shop",
            "paths": ["/checkout"],
            "openPaths": ["/checkout/webhook"],
            "capacity": 500,
            "ratePerMinute": 300,
        },
    )

    name: Annotated[str, Meta(max_length=NAME_CHARS_MAX, pattern=ONE_LINE)] = ""
    opens_at: Moment | None = None
    lobby_minutes: Annotated[int, Meta(ge=0, le=DIALS["lobby_minutes"].most)] = 0
    time_zone: TimeZone = "UTC"


class ShopBody(_Protection, kw_only=True):
    """How a shop is protected, in place of how it was: a field that is left out has its default again, but a dial keeps
    its value. If it names a ``revision`` and the room is at another one, the change is refused.
    """

    EXAMPLES = ({"origin": "https://shop.example", "paths": ["/checkout", "/cart"], "ratePerMinute": 120},)

    revision: Revision | msgspec.UnsetType = msgspec.UNSET


class ShopFiguresBody(RequestBody, kw_only=True):
    """What a shop tells of itself: of the ``requests`` that it answered in the last ``seconds``, how many ``failed``
    through no fault of the fan (answers of 5xx), and the 95th percentile of the time that they took.
    """

    EXAMPLES = ({"p95Ms": 420, "requests": 1840, "failed": 3, "seconds": 10},)

    p95_ms: Annotated[float, Meta(ge=0, le=PUSHED_MS_MAX)]
    requests: Annotated[int, Meta(ge=0, le=100_000_000)]
    failed: Annotated[int, Meta(ge=0, le=100_000_000)]
    seconds: Annotated[float, Meta(ge=1, le=PUSHED_SECONDS_MAX)] = 10.0

    def __post_init__(self) -> None:
        if self.failed > self.requests:
            raise ValueError("failed counts some of the requests, so it is no greater than requests")


class ShopFiguresAnswer(AnswerBody, kw_only=True):
    """How a shop bears its fans. ``fresh`` is false where nothing came for a minute; the numbers then say nothing.

    ``asked`` are the looks at the probe URL and the requests that the shop told of, ``perSecond`` what the shop serves
    by its own word.
    """

    at: Moment
    fresh: bool
    p95_ms: float
    asked: int
    failed: int
    per_second: float
    source: Literal["probe", "pushed", "both"]


class ShopAnswer(_DialsAnswer, kw_only=True):
    """A shop, its room's state, and where its proxy and its fans find us.

    ``waitingPage`` and ``check`` are paths alone where no setting names the site's whole address. ``autopilotWhy`` says
    why the rate is what it is, where the autopilot steers. ``figures`` is null where none ever came.
    """

    event_id: int
    name: str
    origin: str
    return_origins: tuple[str, ...]
    paths: tuple[str, ...]
    open_paths: tuple[str, ...]
    always: bool
    fail_open: bool
    own_page: bool
    probe_url: str
    target_ms: int
    state: str
    waiting: int
    admitted: int
    rate_now_per_minute: float
    autopilot_why: str
    revision: int
    waiting_page: str
    check: str
    figures: ShopFiguresAnswer | None


class ShopList(AnswerBody, kw_only=True):
    shops: tuple[ShopAnswer, ...]


class ShopProxyFile(AnswerBody, kw_only=True):
    """A file for the shop's proxy. What is still to be exchanged in it is the address of a gateway and of the shop."""

    proxy: str
    file: str
    text: str


class ShopProxyFiles(AnswerBody, kw_only=True):
    files: tuple[ShopProxyFile, ...]


def fields_of(body: _Protection) -> dict[str, Any]:
    """The fields of `db.shops.model.Shop` that the body has."""
    return {name: getattr(body, name) for name in Shop.__struct_fields__}
