"""A connection to Redis on which commands follow each other without waiting for answers.

redis-py takes a connection from a pool for each round trip, and a gateway's processor pays a third of a millisecond for
the trip. Here one connection serves all, and a trip costs a write and a read of its socket.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from .sentinels import REFUSED, is_refusal

Read = TypeVar("Read")

_MORE: Final = object()
"""What the reader gives where it needs more bytes; RESP3 has a False of its own."""


def _pack(command: Sequence[Any]) -> bytes:
    """A command as Redis reads it, packed in C: redis-py's asynchronous connections pack in Python, which takes eight
    times as long.

    Raises:
        TypeError: a value is neither text, bytes nor a number.
    """
    name = command[0]
    # "SCRIPT LOAD" is two words to Redis.
    words = name.split() if isinstance(name, str) and " " in name else (name,)
    packed: bytes = hiredis.pack_command((*words, *command[1:]))
    return packed


@dataclass(slots=True)
class _Trip:
    """Commands that left together.

    Attributes:
        read: makes the answer of their replies.
    """

    commands: int
    read: Callable[[list[Any]], Any]
    left_at: float
    answer: asyncio.Future[Any]
    replies: list[Any] = field(default_factory=list)

    def end(self) -> None:
        if self.answer.done():
            return
        try:
            self.answer.set_result(self.read(self.replies))
        except Exception as error:
            self.answer.set_exception(error)


class Pipelined(asyncio.Protocol):
    """An open connection. Redis answers in the order in which it was asked.

    A server that refuses writes may not be the master any more. The connection ends with the trip that was told so, and
    the next one is made to whoever is the master then.

    Args:
        connection: connected by redis-py, which knows of names, passwords, databases and TLS. Its socket is taken over.
        answer_seconds_max: after so long without an answer the connection is given up.
    """

    def __init__(self, connection: AbstractConnection, answer_seconds_max: float) -> None:
        self._connection = connection
        self._answer_seconds_max = answer_seconds_max
        self._loop = asyncio.get_running_loop()
        self._trips: deque[_Trip] = deque()
        self._looks: asyncio.TimerHandle | None = None
        self._is_refused = False
        # redis-py must not close a socket that is no longer its own; the writer is kept until it is closed, because it
        # warns of being forgotten before.
        self._writer = cast(asyncio.StreamWriter, connection._writer)
        connection._reader = connection._writer = None
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=connection._parser.parse_error, notEnoughData=_MORE
        )
        self._transport = self._writer.transport
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, make_connection: Callable[[], Any]) -> Pipelined:
        """Connect as a pool's connections do, with its ``make_connection``.

        Raises:
            redis.RedisError: Redis does not answer, or does not let us in.
        """
        connection = make_connection()
        try:
            await connection.connect()
        except BaseException:
            # redis-py leaves it open where it is cancelled between two words of its greeting.
            await connection.disconnect(nowait=True)
            raise
        return cls(connection, connection.socket_timeout)

    @property
    def is_closed(self) -> bool:
        return self._transport.is_closing()

    def ask(self, commands: Sequence[Sequence[Any]], read: Callable[[list[Any]], Read]) -> asyncio.Future[Read]:
        """Send commands; the answer is what ``read`` makes later of their replies, a `redis.ResponseError` in place of
        each that failed, or what it raises.

        Raises:
            redis.DataError: a command has a value that Redis has no form for. Nothing is sent.
        """
        packed = self._packed(commands)
        answer: asyncio.Future[Read] = self._loop.create_future()
        if not commands:
            # A trip without a reply would never end, and take the replies of those behind it.
            answer.set_result(read([]))
            return answer
        now = time.monotonic()
        self._trips.append(_Trip(len(commands), read, now, answer))
        if self._looks is None:
            self._looks = self._loop.call_later(self._answer_seconds_max, self._look)
        self._transport.write(packed)
        return answer

    def _packed(self, commands: Sequence[Sequence[Any]]) -> bytes:
        try:
            return b"".join([_pack(command) for command in commands])
        except TypeError:
            # redis-py knows of more types, and says in its own words what has no form.
            return b"".join(self._connection.pack_commands(commands))

    def close(self) -> None:
        """Close at once. Who waits for an answer is told so."""
        self._end(RedisConnectionError("closed before Redis answered"))

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _MORE:
                if isinstance(reply, hiredis.PushNotification):
                    continue
                if isinstance(reply, ResponseError) and is_refusal(reply):
                    self._is_refused, reply = True, RedisConnectionError(REFUSED)
                trip = self._trips[0]
                trip.replies.append(reply)
                if len(trip.replies) == trip.commands:
                    self._trips.popleft()
                    trip.end()
                    if self._is_refused:
                        self._end(RedisConnectionError(REFUSED))
                        return
        except (InvalidResponse, IndexError) as error:
            self._end(RedisConnectionError(f"Redis answers what nobody can read: {error!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(RedisConnectionError(f"Redis closed the connection: {exc}" if exc else "Redis closed the connection"))

    def _look(self) -> None:
        """Give the connection up if the trip that left first is too late; look again when the next one would be."""
        self._looks = None
        if not self._trips:
            return
        late_in = self._trips[0].left_at + self._answer_seconds_max - time.monotonic()
        if late_in <= 0:
            self._end(RedisTimeoutError("Timeout reading from Redis"))
        else:
            self._looks = self._loop.call_later(late_in, self._look)

    def _end(self, error: Exception) -> None:
        self._transport.abort()
        if self._looks is not None:
            self._looks.cancel()
            self._looks = None
        while self._trips:
            answer = self._trips.popleft().answer
            if not answer.done():
                answer.set_exception(error)
