"""The way back from a line to its shop, as a browser keeps it between two pages."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Final

from litestar import Request
from litestar.datastructures import Cookie

from db.shops.model import Shop
from gateway.identity.cookies import cookie_name
from gateway.services import services_of
from gateway.shops.addresses import return_address
from gateway.wire.addresses import cookie_path

TO_CHARACTERS_MAX: Final = 8000
"""A longer address is refused whole; one that is not kept leads to the shop's front door."""
_KEPT_SECONDS: Final = 24 * 3600
_CIRCLE_SECONDS: Final = 20
CIRCLES_MAX: Final = 3
"""A fan who was sent to the shop so often within `_CIRCLE_SECONDS`, and is here again, gets no pass there: the browser
keeps no cookie of the shop, or its proxy does not hand it on.
"""


class Ways:
    """Where a fan came from, and how often the fan was just sent back."""

    def __init__(self, request: Request[Any, Any, Any], shop: Shop, event_id: int) -> None:
        self._shop = shop
        self._secure = services_of(request).settings.site.production
        self._kept_name = cookie_name(f"admitone_to_{event_id}", secure=self._secure)
        self._sent_name = cookie_name(f"admitone_sent_{event_id}", secure=self._secure)
        self._kept = _text_of(request.cookies.get(self._kept_name, ""))
        sent = request.cookies.get(self._sent_name, "")
        self._sent = int(sent) if sent in _COUNTS else 0

    def back_to(self, to: str) -> str:
        """The address in the shop: ``to``, or where it is empty what was kept, if fans may be sent there."""
        return return_address(self._shop, to or self._kept)

    def kept(self, to: str) -> Cookie:
        """The cookie that keeps the address."""
        return self._cookie(self._kept_name, urlsafe_b64encode(self.back_to(to).encode()).decode(), _KEPT_SECONDS)

    @property
    def goes_in_circles(self) -> bool:
        return self._sent >= CIRCLES_MAX

    def counted(self) -> Cookie:
        """The cookie that counts that the fan is sent to the shop."""
        return self._cookie(self._sent_name, str(min(self._sent + 1, CIRCLES_MAX)), _CIRCLE_SECONDS)

    def _cookie(self, name: str, value: str, seconds: int) -> Cookie:
        return Cookie(
            key=name,
            value=value,
            max_age=seconds,
            path=cookie_path(),
            httponly=True,
            samesite="lax",
            secure=self._secure,
        )


_COUNTS: Final = frozenset(map(str, range(1, CIRCLES_MAX + 1)))


def _text_of(kept: str) -> str:
    """What a cookie keeps in base 64, for an address has signs that no cookie may have; empty where it is none."""
    try:
        return urlsafe_b64decode(kept).decode()
    except ValueError:
        return ""
