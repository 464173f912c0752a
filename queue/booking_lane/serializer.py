"""RQ's serializer: msgpack, so that data in Redis is never unpickled.

A pickle runs code while it is read. Msgpack is plain data, but RQ resolves the names that it finds in it; that is
`booking_lane.listed_jobs`' part. Together they keep a person who can write to Redis from running code in a worker. Such
a person can still write bookings, because a job in Redis is what a worker believes.
"""

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
