"""Litestar's request, with its headers built the short way: they were a sixth of a booking's cost."""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.datastructures import Headers
from litestar.types import Empty
from litestar.utils.scope.state import ScopeState
from multidict import CIMultiDict, CIMultiDictProxy


class LeanHeaders(Headers):
    """The same multi-dict; only its making skips the test for every type it could be made of."""

    def __init__(self, raw: Any = ()) -> None:
        CIMultiDictProxy.__init__(
            self, CIMultiDict([(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw])
        )
        self._header_list = None


class LeanRequest(Request[Any, Any, Any]):
    """Makes its headers once, lean."""

    @property
    def headers(self) -> Headers:
        state = ScopeState.from_scope(self.scope)
        if state.headers is Empty:
            state.headers = LeanHeaders(self.scope["headers"])
        return state.headers
