"""A small client of the public contract, for tests: synchronous, and it holds every answer to the error form."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from admitone.fan.captcha import solve
from admitone.fan.ledger import Kind, Ledger, line_of
from admitone.fan.seats import Seat, seat_details
from admitone.fan.sse import EventParser, StreamEvent

CALL_SECONDS_MAX = 40.0
WAIT_SECONDS = 10
"""How long `Fan`'s calls let a job take, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """The code of a problem: of the answer, or of the failed job it tells of; empty otherwise."""
        if not self.content:
            return ""
        document = self.json
        problem = document if self.status >= 400 else document.get("problem", {})
        return str(problem.get("code", ""))

    @property
    def problem(self) -> dict[str, Any]:
        """The problem of an error or of a failed job."""
        found: dict[str, Any] = self.json if self.status >= 400 else self.json["problem"]
        return found

    @property
    def result(self) -> dict[str, Any]:
        """The result of a job that succeeded.

        Raises:
            AssertionError: it did not, or is not finished.
        """
        assert self.status == 200, (self.status, self.content)
        assert self.json["status"] == "succeeded", self.content
        found: dict[str, Any] = self.json["result"]
        return found


def check(answer: Answer) -> None:
    """What holds of every answer: errors are problems of the documented form, and none is our fault.

    Raises:
        AssertionError
    """
    assert answer.status < 500 or answer.status == 503, (answer.status, answer.content)
    if answer.status < 400:
        return
    assert answer.headers["Content-Type"] == "application/problem+json", (answer.status, answer.content)
    document = answer.json
    assert set(document) >= {"type", "title", "status", "detail", "code"}, document
    assert document["status"] == answer.status, document
    assert document["type"].endswith(document["code"]), document
    if answer.status in (429, 503) and document["code"] != "closed":
        assert int(answer.headers["Retry-After"]) == document["retryAfterSeconds"] > 0, document


class Client:
    """Calls one gateway. A connection a call, so that no test depends on what another left open.

    Args:
        source: the local address to call from: another 127.x.y.z is another network to the limits.
        tls: whom an https:// address is believed by; None: by whom the machine believes.
    """

    tls: ssl.SSLContext | None = None

    def __init__(self, url: str, *, source: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.url = url
        self.source = source
        self.tls = tls
        self.headers: dict[str, str] = {}

    @property
    def _root(self) -> str:
        """The path that the site stands below."""
        return urlsplit(self.url).path.rstrip("/")

    def _connect(self, seconds_max: float) -> http.client.HTTPConnection:
        address, source = urlsplit(self.url), (self.source, 0)
        if address.scheme == "https":
            return http.client.HTTPSConnection(
                address.hostname or "", address.port, timeout=seconds_max, source_address=source, context=self.tls
            )
        return http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=seconds_max, source_address=source
        )

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds_max: float = CALL_SECONDS_MAX,
    ) -> Answer:
        """One call; ``raw`` is sent as it is, ``body`` as JSON. A header of "" is left out.

        Raises:
            AssertionError: the answer is a 5xx other than 503, or an error that is no problem document.
        """
        data = raw if raw is not None or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} if data is not None else {}
        sent |= self.headers | dict(headers or {})
        with contextlib.closing(self._connect(seconds_max)) as connection:
            connection.request(
                method, self._root + path, data, {name: value for name, value in sent.items() if value != ""}
            )
            with connection.getresponse() as response:
                answer = Answer(response.status, response.headers, response.read())
        if method != "HEAD":
            check(answer)
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, headers={_header(name): value for name, value in headers.items()})

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        return self.call("POST", path, body, headers={_header(name): value for name, value in headers.items()})

    def patch(self, path: str, body: object) -> Answer:
        return self.call("PATCH", path, body)

    def stream(self, path: str, **headers: str) -> Stream:
        """Open a stream, read from now on; use it with ``with``."""
        return Stream(
            self._connect(60),
            self._root + path,
            self.headers | {_header(name): value for name, value in headers.items()},
        )


def _header(name: str) -> str:
    return name.replace("_", "-")


class Stream:
    """An open stream, read by a thread of its own as a browser would.

    Raises:
        AssertionError: when made, if the server did not open a stream.
    """

    def __init__(self, connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> None:
        self._connection = connection
        self._connection.request("GET", path, headers={**headers, "Accept": "text/event-stream"})
        self._response = connection.getresponse()
        if self._response.status != 200:
            answer = Answer(self._response.status, self._response.headers, self._response.read())
            self._response.close()
            connection.close()
            check(answer)
            raise AssertionError((answer.status, answer.content))
        assert self._response.headers["Content-Type"].startswith("text/event-stream")
        assert "no-store" in self._response.headers["Cache-Control"]
        self._parser = EventParser()
        self._events: queue.SimpleQueue[StreamEvent | None] = queue.SimpleQueue()
        self.seen: list[StreamEvent] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            while chunk := self._response.read1(65_536):
                for event in self._parser.feed(chunk):
                    self._events.put(event)
        self._events.put(None)

    @property
    def headers(self) -> http.client.HTTPMessage:
        return self._response.headers

    @property
    def retry_ms(self) -> int | None:
        """What the server said of reconnecting."""
        return self._parser.retry_ms

    def next(self, *names: str, seconds_max: float = 10) -> StreamEvent:
        """The next event, of one of these names if any are given; others are passed over and kept in `seen`.

        Raises:
            AssertionError: none came in time, or the stream ended.
        """
        until = time.monotonic() + seconds_max
        while True:
            try:
                event = self._events.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {names} in {seconds_max} s; seen: {self.seen[-5:]}") from None
            if event is None:
                self._events.put(None)
                raise AssertionError(f"the stream ended before {names}; seen: {self.seen[-5:]}")
            if event.event == "beat" and "beat" not in names:
                continue
            self.seen.append(event)
            if not names or event.event in names:
                return event

    def data(self, *names: str, seconds_max: float = 10) -> Any:
        """The JSON of `next`."""
        return json.loads(self.next(*names, seconds_max=seconds_max).data)

    def rest(self, seconds_max: float = 10) -> list[StreamEvent]:
        """The events until the server ends the stream.

        Raises:
            AssertionError: it did not in time.
        """
        until = time.monotonic() + seconds_max
        events: list[StreamEvent] = []
        while True:
            try:
                event = self._events.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"the stream did not end in {seconds_max} s; {events[-5:]}") from None
            if event is None:
                self._events.put(None)
                return events
            if event.event != "beat":
                events.append(event)

    def close(self) -> None:
        """Go away, as a closed tab does."""
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._reader.join(5)
        self._response.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def solve_captcha(client: Client) -> str:
    """A fresh ALTCHA solution, as its widget sends it."""
    solved = solve(client.get("/api/captcha/challenge").json)
    assert solved is not None
    return solved


@dataclass
class Fan(Client):
    """One fan: a session, perhaps a pass, and the calls of a fan's way. Finished jobs go into the ledger."""

    url: str
    user_id: int
    token: str
    ledger: Ledger = field(default_factory=lambda: Ledger(None), repr=False)
    source: str = "127.0.0.1"

    def __post_init__(self) -> None:
        self.headers = {"Authorization": f"Bearer {self.token}"}

    @classmethod
    def arrive(cls, url: str, ledger: Ledger | None = None, *, source: str = "127.0.0.1") -> Self:
        """A fan with a new session."""
        answer = Client(url, source=source).post("/api/session")
        assert answer.status == 201, answer.content
        return cls(url, answer.json["userId"], answer.json["token"], ledger or Ledger(None), source)

    def at(self, url: str) -> Fan:
        """The same fan at another gateway."""
        other = Fan(url, self.user_id, self.token, self.ledger, self.source)
        other.headers = dict(self.headers)
        return other

    # -- the line

    def join(self, event_id: int, body: object = None, *, place_token: str = "") -> Answer:
        """Join; a pass in the answer is kept for the calls to come."""
        return self._keep_pass(self.post(f"/api/queue/{event_id}", body, X_Place_Token=place_token))

    def poll(self, event_id: int, *, place_token: str = "") -> Answer:
        return self._keep_pass(self.get(f"/api/queue/{event_id}", X_Place_Token=place_token))

    def claim(self, event_id: int) -> Answer:
        return self._keep_pass(self.post(f"/api/queue/{event_id}/claim"))

    def leave(self, event_id: int) -> Answer:
        return self.call("DELETE", f"/api/queue/{event_id}")

    def line(self, event_id: int, place_token: str = "") -> Stream:
        """The fan's stream, opened as EventSource does: what it cannot put in headers goes in the query."""
        query = f"?{urlencode({'token': place_token})}" if place_token else ""
        return self.stream(f"/api/queue/{event_id}/stream{query}")

    def _keep_pass(self, answer: Answer) -> Answer:
        if answer.status < 300 and (admission_pass := answer.json.get("pass")):
            self.headers["X-Admission-Pass"] = admission_pass
        return answer

    # -- booking

    def reserve(
        self,
        event_id: int,
        seats: Iterable[Seat] = (),
        *,
        best: tuple[int, int] | None = None,
        wait: int = WAIT_SECONDS,
        key: str = "",
    ) -> Answer:
        """Reserve these seats, or the ``best`` (ticket type, quantity)."""
        body: dict[str, Any] = {"eventId": event_id}
        if best is None:
            body["seatDetails"] = seat_details(seats)
        else:
            body["bestAvailable"] = {"ticketTypeId": best[0], "quantity": best[1]}
        return self.command("reserve", event_id, "POST", "/api/reserve", body, wait=wait, key=key)

    def checkout(
        self,
        event_id: int,
        reservation_id: str = "",
        *,
        seats: Iterable[Seat] = (),
        captcha: str | None = None,
        wait: int = WAIT_SECONDS,
        key: str = "",
        method: str = "PUT",
        token_name: str = "captchaToken",
        voucher: str = "",
    ) -> Answer:
        """Buy a hold by its id or its seats; solves a captcha unless given a token, or "" for none."""
        body: dict[str, Any] = {"eventId": event_id}
        if reservation_id:
            body["reservationId"] = reservation_id
        else:
            body["seatDetails"] = seat_details(seats)
        token = solve_captcha(self) if captcha is None else captcha
        if token:
            body[token_name] = token
        if voucher:
            body["voucher"] = voucher
        return self.command("checkout", event_id, method, "/api/checkout", body, wait=wait, key=key)

    def release(self, event_id: int, reservation_id: str, *, wait: int = WAIT_SECONDS, key: str = "") -> Answer:
        path = f"/api/reservations/{reservation_id}?eventId={event_id}"
        return self.command("release", event_id, "DELETE", path, None, wait=wait, key=key)

    def cancel(
        self, event_id: int, purchase_id: str, seats: Iterable[Seat] = (), *, wait: int = WAIT_SECONDS, key: str = ""
    ) -> Answer:
        """Cancel these seats of a purchase, or all that are left of it."""
        body = {"details": [{"ticketTypeId": kind, "rowNumber": row, "seatNumber": seat} for kind, row, seat in seats]}
        path = f"/api/purchases/{purchase_id}/cancel"
        return self.command("cancel", event_id, "POST", path, body if seats else None, wait=wait, key=key)

    def hold(self, event_id: int, seats: Iterable[Seat]) -> dict[str, Any]:
        """Reserve these seats; gives the hold.

        Raises:
            AssertionError: it was refused.
        """
        return self.reserve(event_id, seats).result

    def buy(self, event_id: int, seats: Iterable[Seat]) -> dict[str, Any]:
        """Reserve and check out; gives the purchase.

        Raises:
            AssertionError: either was refused.
        """
        return self.checkout(event_id, self.hold(event_id, seats)["reservationId"]).result

    def job(self, job_id: str, *, wait: str = "") -> Answer:
        """Read a job, long-polling for ``wait`` seconds."""
        return self.get(f"/api/jobs/{job_id}" + (f"?wait={wait}" if wait else ""))

    def command(
        self,
        kind: Kind,
        event_id: int,
        method: str,
        path: str,
        body: object,
        *,
        wait: int,
        key: str,
    ) -> Answer:
        headers = {"Prefer": f"wait={wait}" if wait else "", "Idempotency-Key": key}
        answer = self.call(method, path, body, headers=headers)
        self.note(kind, event_id, answer)
        return answer

    def note(self, kind: Kind, event_id: int, answer: Answer) -> None:
        """Write a finished job's answer into the ledger."""
        if answer.status == 200 and answer.json["status"] != "queued":
            self.ledger.write(line_of(kind, self.user_id, event_id, answer.json))
