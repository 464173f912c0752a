"""Bodies, decoded once and strictly into the type that the route names.

Litestar decodes a body without its type and converts it laxly afterwards: "1" would pass for 1, and 1 for true.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from gateway.wire.problems import ProblemError, invalid, invalid_body
from gateway.wire.requests import LeanRequest


class StrictRequest(LeanRequest):
    """A request whose JSON body must be of its route's type, field by field."""

    async def json(self) -> Any:
        """The body as the type of the route's ``data``.

        Raises:
            ProblemError: ``unsupported_media_type`` or ``invalid_request``.
        """
        field = self.route_handler.parsed_data_field
        assert field is not None
        return await self.json_of(field.annotation)

    def require_json(self) -> None:
        """Refuse a body that says it is of another type.

        Raises:
            ProblemError: ``unsupported_media_type``.
        """
        if self.headers.get("content-type") != "application/json":
            media_type = self.content_type[0]
            if media_type and media_type != "application/json":
                raise ProblemError("unsupported_media_type")

    async def json_of(self, body_type: Any) -> Any:
        """The body as this type.

        Raises:
            ProblemError: ``unsupported_media_type`` or ``invalid_request``.
        """
        self.require_json()
        return decoded(await self.body(), body_type)


def decoded(body: bytes, body_type: Any) -> Any:
    """The JSON body as this type.

    Raises:
        ProblemError: ``invalid_request``.
    """
    try:
        return _decoder(body_type).decode(body)
    except msgspec.MsgspecError as error:
        raise invalid_body(error) from None
    except (UnicodeDecodeError, RecursionError):
        raise invalid("the body is not readable JSON") from None


@lru_cache(maxsize=64)
def _decoder(body_type: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(body_type)
