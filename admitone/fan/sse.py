"""Server-sent events, read as the HTML standard says (html.spec.whatwg.org, section 9.2.6)."""

from __future__ import annotations

from typing import NamedTuple

FRAME_BYTES_MAX = 262_144


class StreamTooLong(ValueError):  # noqa: N818 - the stream is, and the parser cannot go on
    """A line or an event is longer than ``FRAME_BYTES_MAX``."""


class StreamEvent(NamedTuple):
    """One event; ``id`` is the last one seen on the stream."""

    event: str
    data: str
    id: str


class EventParser:
    """Turns chunks, cut anywhere, into events. ``retry_ms`` is the server's last word on reconnecting."""

    __slots__ = ("_after_cr", "_data", "_data_bytes", "_event", "_id", "_line", "retry_ms")

    def __init__(self) -> None:
        self.retry_ms: int | None = None
        self._line = b""
        self._after_cr = False
        self._event = ""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._id = ""

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that ``chunk`` completes.

        Raises:
            StreamTooLong: a line or an event exceeds ``FRAME_BYTES_MAX``.
        """
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        # bytes.splitlines splits at \n, \r and \r\n and, unlike str's, at nothing else.
        lines = (self._line + chunk + b"\0").splitlines()
        self._line = lines.pop()[:-1]
        if len(self._line) > FRAME_BYTES_MAX:
            raise StreamTooLong(f"a line of more than {FRAME_BYTES_MAX} bytes")
        events = []
        for line in lines:
            if line:
                self._take_field(line)
            elif self._data:
                data = b"\n".join(self._data).decode("utf-8", "replace")
                events.append(StreamEvent(self._event or "message", data, self._id))
                self._event = ""
                self._data = []
                self._data_bytes = 0
            else:
                self._event = ""
        return events

    def _take_field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if field == b"data":
            self._data.append(value)
            self._data_bytes += len(line)
            if self._data_bytes > FRAME_BYTES_MAX:
                raise StreamTooLong(f"an event of more than {FRAME_BYTES_MAX} bytes")
        elif field == b"event":
            self._event = value.decode("utf-8", "replace")
        elif field == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif field == b"retry" and value.isdigit():
            self.retry_ms = int(value)
