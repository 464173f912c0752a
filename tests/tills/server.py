"""A local HTTP server in the place of a payment provider: it answers from its books, and makes faults."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

Answer = tuple[int, dict[str, Any]]

LOST = "lost"
"""A call is carried out, and its answer is lost."""
SLOW = "slow"
"""A call is carried out, and its answer comes once the books are `released`."""
SLOW_SECONDS_MAX = 10.0


class Unanswered(Exception):  # noqa: N818 - no error of ours
    """The books want to answer so before anything is done."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        super().__init__(status)
        self.answer = status, document


@dataclass
class Books:
    """What a provider knows, and how it misbehaves.

    Attributes:
        faults: are taken by the calls in their order: a status to answer with, `LOST` or `SLOW`.
        away: every call is answered with 503.
        calls: ``METHOD path`` of each.
    """

    faults: list[str] = field(default_factory=list)
    away: bool = False
    calls: list[str] = field(default_factory=list)
    answered: dict[str, tuple[bytes, Answer]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    released: threading.Event = field(default_factory=threading.Event)
    address: str = ""

    def answer(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Carry a call out; the same key with the same body is answered as before."""
        self.check(headers)
        key = headers.get("idempotency-key", "")
        if key in self.answered:
            asked, answer = self.answered[key]
            return answer if asked == body else self.reused()
        answer = self.carry_out(method, path, body)
        if key and answer[0] < 500:
            self.answered[key] = body, answer
        return answer

    # -- what a fan and a bank do with the payment of that id

    def pay(self, payment_id: str, amount: int | None = None) -> None:
        """The fan pays; nothing happens where that is not possible any more."""
        raise NotImplementedError

    def decline(self, payment_id: str) -> None:
        """It is declined for good."""
        raise NotImplementedError

    def delay(self, payment_id: str) -> None:
        """The bank works on it."""
        raise NotImplementedError

    def refuse(self, payment_id: str) -> None:
        """A bank that was asked for days does not pay."""
        raise NotImplementedError

    def kept(self) -> dict[str, int]:
        """What was taken and not given back, by the payments' ids."""
        raise NotImplementedError

    # -- each provider's own

    def check(self, headers: dict[str, str]) -> None:
        raise NotImplementedError

    def reused(self) -> Answer:
        raise NotImplementedError

    def fault(self, status: int) -> Answer:
        raise NotImplementedError

    def carry_out(self, method: str, path: str, body: bytes) -> Answer:
        raise NotImplementedError


class _Handler(BaseHTTPRequestHandler):
    books: Books

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        books = self.books
        with books.lock:
            books.calls.append(f"{self.command} {self.path.partition('?')[0]}")
            fault = books.faults.pop(0) if books.faults else ""
            if books.away:
                status, document = books.fault(503)
            elif fault.isdigit():
                status, document = books.fault(int(fault))
            else:
                try:
                    status, document = books.answer(self.command, self.path, body, headers)
                except Unanswered as other:
                    status, document = other.answer
        if fault == LOST:
            self.close_connection = True
            return
        if fault == SLOW:
            books.released.wait(SLOW_SECONDS_MAX)
        content = msgspec.json.encode(document)
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(books: Books, port: int = 0) -> Iterator[str]:
    """Serve the books on a port of this machine, a free one unless given; the address."""
    handler = type("Handler", (_Handler,), {"books": books})
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        books.address = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield books.address
        finally:
            server.shutdown()
            thread.join()
