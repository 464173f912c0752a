"""RQ's serializer: msgpack, so that a person who can write to Redis cannot run code in a worker."""

from __future__ import annotations

from typing import Any

import msgspec


class MsgpackSerializer:
    """RQ's `Serializer` protocol with msgpack, which carries plain data only."""

    @staticmethod
    def dumps(obj: Any, /) -> bytes:
        return msgspec.msgpack.encode(obj)

    @staticmethod
    def loads(data: bytes, /) -> Any:
        return msgspec.msgpack.decode(data)
