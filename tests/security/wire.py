"""HTTP as bytes, for what no client library would send."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

ANSWER_SECONDS_MAX = 10.0
_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n(.*?)\r\n\r\n", re.DOTALL)


@dataclass(frozen=True)
class Heard:
    """All that the server said until it closed, or fell silent."""

    content: bytes

    @property
    def statuses(self) -> list[int]:
        return [int(found[1]) for found in _HEAD.finditer(self.content)]

    @property
    def headers(self) -> bytes:
        """The heads of all answers, in lower case."""
        return b"\r\n".join(found[2] for found in _HEAD.finditer(self.content)).lower()


def send(url: str, content: bytes, *, silence_seconds: float = 1.0) -> Heard:
    """Send these bytes; what comes back until the server closes or says nothing for ``silence_seconds``."""
    address = urlsplit(url)
    heard = b""
    with socket.create_connection(
        (address.hostname or "", address.port or 0), timeout=ANSWER_SECONDS_MAX
    ) as connection:
        try:
            connection.sendall(content)
            while chunk := connection.recv(65_536):
                heard += chunk
                connection.settimeout(silence_seconds)
        except (TimeoutError, ConnectionError):
            pass
    return Heard(heard)


def request(target: bytes, *headers: bytes, method: bytes = b"GET", body: bytes = b"", close: bool = True) -> bytes:
    """A request; the connection is to be closed after it unless told otherwise."""
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: tickets.example", *headers]
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
