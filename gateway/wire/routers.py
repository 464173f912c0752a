"""Routers that Litestar takes as they are."""

from __future__ import annotations

from typing import Any, Self

from litestar import Router


class OnceRouter(Router):
    """A router that is made for one application and registered once.

    Litestar registers a deep copy of a router, so that one may be registered at several places. Ours are made anew for
    each application, and to copy all that their handlers carry took a sixth of a gateway's start.
    """

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self
