"""Server-sent events, read as the HTML standard says (html.spec.whatwg.org, section 9.2.6)."""

from __future__ import annotations

import dataclasses

FRAME_BYTES_MAX = 262_144


class StreamTooLong(ValueError):  # noqa: N818 - the stream is, and the parser cannot go on
    """A line or an event is longer than ``FRAME_BYTES_MAX``."""


@dataclasses.dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event; ``id`` is the last one seen on the stream."""

    event: str
    data: str
    id: str


class EventParser:
    """Turns chunks, cut anywhere, into events. ``retry_ms`` is the server's last word on reconnecting."""

    def __init__(self) -> None:
        self.retry_ms: int | None = None
        self._line = bytearray()
        self._after_cr = False
        self._event = ""
        self._data: list[str] = []
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
        *lines, rest = (chunk + b"\0").splitlines()
        events = []
        for line in lines:
            done = self._end_line(bytes(self._line) + line)
            self._line.clear()
            if done is not None:
                events.append(done)
        self._line += rest[:-1]
        if len(self._line) > FRAME_BYTES_MAX:
            raise StreamTooLong(f"a line of more than {FRAME_BYTES_MAX} bytes")
        return events

    def _end_line(self, line: bytes) -> StreamEvent | None:
        if not line:
            return self._dispatch()
        field, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
                self._data_bytes += len(line)
                if self._data_bytes > FRAME_BYTES_MAX:
                    raise StreamTooLong(f"an event of more than {FRAME_BYTES_MAX} bytes")
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_ms = int(value)
            case _:
                pass
        return None

    def _dispatch(self) -> StreamEvent | None:
        event = StreamEvent(self._event or "message", "\n".join(self._data), self._id) if self._data else None
        self._event = ""
        self._data.clear()
        self._data_bytes = 0
        return event
