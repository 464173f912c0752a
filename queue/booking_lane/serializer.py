"""RQ's serializer: msgpack. Whoever can write to Redis must not be able to run code in a worker."""

from __future__ import annotations

from typing import Any

import msgspec


class MsgpackSerializer:
    """RQ's `Serializer` protocol over msgpack: plain data only, never pickle."""

    @staticmethod
    def dumps(obj: Any, /) -> bytes:
        return msgspec.msgpack.encode(obj)

    @staticmethod
    def loads(data: bytes, /) -> Any:
        return msgspec.msgpack.decode(data)
