"""A shop: somebody else's site with a room of ours before it, and which of its addresses fans need a pass for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from db.webhooks.urls import UrlRefusedError, check_url

ORIGINS_MAX: Final = 20
PATHS_MAX: Final = 100
PATH_CHARS_MAX: Final = 200
TARGET_MS_LEAST: Final = 50
TARGET_MS_MOST: Final = 60_000
TARGET_MS: Final = 1000
_PORTS: Final = {"http": 80, "https": 443}
_origin: Final = re.compile(
    r"(https?)://((?:[a-z0-9](?:[a-z0-9-]{0,62})\.)*[a-z0-9](?:[a-z0-9-]{0,62}))(?::(\d{1,5}))?/?"
).fullmatch
_is_plain_path: Final = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,=:@.-]*)+").fullmatch


class ShopRefusedError(ValueError):
    """The shop cannot be so. The text is a sentence for the operator, without its full stop.

    Attributes:
        field: the field of `Shop` that is the reason.
    """

    def __init__(self, sentence: str, field: str) -> None:
        super().__init__(sentence)
        self.field = field


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """How a shop is protected.

    Attributes:
        origin: scheme and host, as ``https://shop.example``.
        return_origins: further origins of the same shop to which fans may be sent back.
        paths: a fan needs a pass for what stands below one of these, in whole segments.
        open_paths: what stands below one of these needs none all the same.
        always: every fan goes through the waiting page; otherwise only while the room is full.
        fail_open: fans without a pass are let through while the line does not answer.
        own_page: fans wait at the shop's own host, whose proxy hands the path of our site on to us.
        probe_url: a page of the shop that we ask for again and again, to see how the shop bears its fans; empty: none.
        target_ms: the autopilot keeps the 95th percentile of the shop's answers below this.
    """

    origin: str
    return_origins: tuple[str, ...] = ()
    paths: tuple[str, ...] = ("/",)
    open_paths: tuple[str, ...] = ()
    always: bool = True
    fail_open: bool = True
    own_page: bool = False
    probe_url: str = ""
    target_ms: int = TARGET_MS

    @property
    def origins(self) -> tuple[str, ...]:
        """All origins to which fans may be sent back, the shop's own in front."""
        return self.origin, *self.return_origins

    def protects(self, path: str) -> bool:
        """Whether a fan needs a pass for this path of the shop, as its proxy was asked for it.

        A path that is not written plainly (percent signs, empty segments, dots) is protected: the shop may read it as
        another one than we do.
        """
        path = path.partition("?")[0]
        if not is_plain_path(path):
            return True
        if any(_stands_below(path, prefix) for prefix in self.open_paths):
            return False
        lower = path.lower()
        return any(_stands_below(lower, prefix.lower()) for prefix in self.paths)


def is_plain_path(path: str) -> bool:
    """Whether every server reads the path as it stands here."""
    return (
        _is_plain_path(path) is not None
        and "//" not in path
        and not any(segment in (".", "..") for segment in path.split("/"))
    )


def _stands_below(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and (len(path) == len(prefix) or prefix.endswith("/") or path[len(prefix)] == "/")


def origin_of(text: str) -> str | None:
    """The origin that the text names, written as browsers write it; None if it names none."""
    found = _origin(text.strip().lower())
    if found is None or int(found[3] or 1) > 65_535:
        return None
    port = "" if found[3] is None or int(found[3]) == _PORTS[found[1]] else f":{int(found[3])}"
    return f"{found[1]}://{found[2]}{port}"


def shop_of(**asked: Any) -> Shop:
    """The shop with these fields, its origins and paths written in one form.

    Raises:
        ShopRefusedError
    """
    origin = _checked_origin(asked["origin"], "origin")
    further = asked.get("return_origins", ())
    if len(further) > ORIGINS_MAX:
        raise ShopRefusedError(f"a shop has at most {ORIGINS_MAX} further origins", "return_origins")
    others = dict.fromkeys(_checked_origin(text, "return_origins") for text in further)
    return Shop(
        **{
            **asked,
            "origin": origin,
            "return_origins": tuple(one for one in others if one != origin),
            "paths": _checked_paths(asked.get("paths", ("/",)), "paths", least=1),
            "open_paths": _checked_paths(asked.get("open_paths", ()), "open_paths"),
            "probe_url": _checked_probe(asked.get("probe_url", "")),
            "target_ms": _checked_target(asked.get("target_ms", TARGET_MS)),
        }
    )


def _checked_origin(text: str, field: str) -> str:
    origin = origin_of(text)
    if origin is None:
        raise ShopRefusedError("name an origin as https://shop.example, without a path", field)
    return origin


def _checked_probe(url: str) -> str:
    if url:
        try:
            check_url(url, production=False)
        except UrlRefusedError as refused:
            raise ShopRefusedError(str(refused), "probe_url") from None
    return url


def _checked_target(target_ms: int) -> int:
    if not TARGET_MS_LEAST <= target_ms <= TARGET_MS_MOST:
        raise ShopRefusedError(f"a target is of {TARGET_MS_LEAST} to {TARGET_MS_MOST} ms", "target_ms")
    return target_ms


def _checked_paths(paths: Iterable[str], field: str, *, least: int = 0) -> tuple[str, ...]:
    kept = tuple(dict.fromkeys(paths))
    if not least <= len(kept) <= PATHS_MAX:
        raise ShopRefusedError(f"a shop names {least} to {PATHS_MAX} paths here", field)
    for path in kept:
        if len(path) > PATH_CHARS_MAX or not is_plain_path(path):
            raise ShopRefusedError(
                f"a path begins with a slash, is written plainly and has at most {PATH_CHARS_MAX} characters", field
            )
    return kept
