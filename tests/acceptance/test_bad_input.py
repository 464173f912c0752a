"""Bad input of every kind: each a clear 4xx that names the fault, and a database that stays as it was.

`tests.client.Client` refuses any 5xx and any error that is no problem document, so every call here checks that.
"""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.acceptance.conftest import Site
from tests.client import Fan

NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def event_id(site: Site) -> int:
    return site.event(seats_per_fan_max=100)


@pytest.fixture(scope="module")
def fan(site: Site, event_id: int) -> Fan:
    """An admitted fan with a hold: so that nothing but the input can be at fault."""
    fan = site.admitted_fan(event_id)
    fan.hold(event_id, [(1, 6, 10)])
    return fan


def seats(rows: Any, numbers: Any, kind: Any = 1) -> dict[str, Any]:
    return {"seatDetails": [{"ticketTypeId": kind, "metaData": {"rowNumbers": rows, "seatNumbers": numbers}}]}


ONE = seats([1], [1])
MANY = [[1] * 10_000] * 2
NESTED: Any = 1
for _ in range(500):
    NESTED = [NESTED]

# What is wrong, the body without its eventId, and where the fault is.
BODIES: list[tuple[str, dict[str, Any], str]] = [
    ("nothing asked for", {}, "$"),
    ("seats and best available", {**ONE, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}}, "$"),
    ("an unknown field", {**ONE, "discount": 100}, "$"),
    ("an unknown field inside", {"seatDetails": [{**ONE["seatDetails"][0], "row": 1}]}, "$.seatDetails[0]"),
    ("rows and seats of unequal length", seats([1, 2], [1]), "$.seatDetails[0].metaData"),
    ("no rows and no seats", seats([], []), "$.seatDetails[0].metaData.rowNumbers"),
    ("no details", {"seatDetails": []}, "$.seatDetails"),
    ("a seat twice", seats([1, 1], [1, 1]), "$.seatDetails"),
    ("a seat twice in two details", {"seatDetails": ONE["seatDetails"] * 2}, "$.seatDetails"),
    ("a negative row", seats([-1], [1]), "$.seatDetails[0].metaData.rowNumbers[0]"),
    ("a negative seat", seats([1], [-1]), "$.seatDetails[0].metaData.seatNumbers[0]"),
    ("ticket type 0", seats([1], [1], 0), "$.seatDetails[0].ticketTypeId"),
    ("a negative ticket type", seats([1], [1], -5), "$.seatDetails[0].ticketTypeId"),
    ("2^31", seats([2**31], [1]), "$.seatDetails[0].metaData.rowNumbers[0]"),
    ("2^63", seats([1], [2**63]), "$.seatDetails[0].metaData.seatNumbers[0]"),
    ("2^64", seats([1], [1], 2**64), "$.seatDetails[0].ticketTypeId"),
    ("a googol", seats([10**100], [1]), "$.seatDetails[0].metaData.rowNumbers[0]"),
    ("a fraction", seats([1.5], [1]), "$.seatDetails[0].metaData.rowNumbers[0]"),
    ("a string for a number", seats(["1"], [1]), "$.seatDetails[0].metaData.rowNumbers[0]"),
    ("a string for an id", seats([1], [1], "1"), "$.seatDetails[0].ticketTypeId"),
    ("true for a number", seats([True], [1]), "$.seatDetails[0].metaData.rowNumbers[0]"),
    ("null for a number", seats([None], [1]), "$.seatDetails[0].metaData.rowNumbers[0]"),
    ("null for an array", seats(None, [1]), "$.seatDetails[0].metaData.rowNumbers"),
    ("a number for an array", seats(1, 1), "$.seatDetails[0].metaData.rowNumbers"),
    ("an object for an array", {"seatDetails": ONE["seatDetails"][0]}, "$.seatDetails"),
    ("an array for an object", {"seatDetails": [[1, 1, 1]]}, "$.seatDetails[0]"),
    ("a missing member", {"seatDetails": [{"ticketTypeId": 1}]}, "$.seatDetails[0]"),
    ("deep arrays", seats(NESTED, [1]), "$.seatDetails[0].metaData.rowNumbers[0]"),
    ("51 seats", seats(list(range(1, 52)), [1] * 51), "$.seatDetails"),
    ("10,000 seats", seats(*MANY), "$.seatDetails[0].metaData.rowNumbers"),
    ("a negative user", {**ONE, "userId": -1}, "$.userId"),
    ("user 2^53", {**ONE, "userId": 2**53}, "$.userId"),
    ("a string for a user", {**ONE, "userId": "me"}, "$.userId"),
]
RESERVE_ONLY = [
    ("best of nothing", {"bestAvailable": {}}, "$.bestAvailable"),
    ("best of quantity 0", {"bestAvailable": {"ticketTypeId": 1, "quantity": 0}}, "$.bestAvailable.quantity"),
    ("best of quantity 51", {"bestAvailable": {"ticketTypeId": 1, "quantity": 51}}, "$.bestAvailable.quantity"),
    ("best of 10,000", {"bestAvailable": {"ticketTypeId": 1, "quantity": 10_000}}, "$.bestAvailable.quantity"),
    ("best of a fraction", {"bestAvailable": {"ticketTypeId": 1, "quantity": 1.5}}, "$.bestAvailable.quantity"),
    ("best of a word", {"bestAvailable": {"ticketTypeId": 1, "quantity": "two"}}, "$.bestAvailable.quantity"),
    ("a captcha where none is asked", {**ONE, "captchaToken": "x"}, "$"),
]
CHECKOUT_ONLY = [
    ("both ways to name a hold", {**ONE, "reservationId": NOBODY}, "$"),
    ("no UUID", {"reservationId": "one"}, "$.reservationId"),
    ("a number for a UUID", {"reservationId": 1}, "$.reservationId"),
    ("best available", {"bestAvailable": {"ticketTypeId": 1, "quantity": 1}}, "$"),
    ("a number for a captcha", {"reservationId": NOBODY, "captchaToken": 1}, "$.captchaToken"),
    ("a captcha too long", {"reservationId": NOBODY, "captchaToken": "x" * 8193}, "$.captchaToken"),
]
CASES = [
    *(("POST", "/api/reserve", *case) for case in BODIES + RESERVE_ONLY),
    *(("PUT", "/api/checkout", *case) for case in BODIES + CHECKOUT_ONLY),
]
# A checkout knows seats by name only, so these two are no faults of its shape.
CASES = [case for case in CASES if (case[1], case[2]) != ("/api/checkout", "seats and best available")]


@pytest.mark.parametrize(
    ("method", "path", "body", "fault"),
    [(method, path, body, fault) for method, path, _, body, fault in CASES],
    ids=[f"{path.rpartition('/')[2]}: {name}" for _, path, name, _, _ in CASES],
)
def test_bad_bodies_change_nothing(
    site: Site, event_id: int, fan: Fan, method: str, path: str, body: dict[str, Any], fault: str
) -> None:
    before = site.bookings()
    answer = fan.call(method, path, {"eventId": event_id, **body}, headers={"Prefer": "wait=5"})
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.json["errors"][0]["path"] == fault
    assert fault in answer.json["detail"]
    assert site.bookings() == before


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        (None, "$.eventId"),
        (0, "$.eventId"),
        (-1, "$.eventId"),
        (2**53, "$.eventId"),
        (2**63, "$.eventId"),
        (10**400, "$.eventId"),
        (1.5, "$.eventId"),
        ("1", "$.eventId"),
        ([1], "$.eventId"),
        ({}, "$.eventId"),
        (True, "$.eventId"),
    ],
    ids=lambda value: str(value)[:12],
)
@pytest.mark.parametrize("path", ["/api/reserve", "/api/checkout"])
def test_bad_events_in_bodies(site: Site, fan: Fan, path: str, event: object, fault: str) -> None:
    before = site.bookings()
    answer = fan.post(path, {"eventId": event, **ONE})
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.json["errors"][0]["path"] == fault
    assert site.bookings() == before


RAW = {
    "nothing": b"",
    "white space": b"  \n ",
    "half an object": b'{"eventId": 1,',
    "a trailing comma": b'{"eventId": 1,}',
    "two objects": b'{"eventId": 1}{"eventId": 1}',
    "single quotes": b"{'eventId': 1}",
    "a comment": b'{"eventId": 1 /* one */}',
    "NaN": b'{"eventId": NaN}',
    "Infinity": b'{"eventId": Infinity}',
    "1e400": b'{"eventId": 1e400}',
    "-1e400": b'{"eventId": -1e400}',
    "1e5000000000": b'{"eventId": 1e5000000000}',
    "a leading zero": b'{"eventId": 01}',
    "an array": b"[]",
    "a string": b'"reserve"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "NUL": b"\x00",
    "NUL inside": b'{"eventId": 1\x00}',
    "invalid UTF-8": b'{"eventId": "\xff\xfe"}',
    "invalid UTF-8 in a name": b'{"\xc3\x28": 1}',
    "a lone surrogate": b'{"eventId": 1, "\\ud800": 1}',
    "a byte order mark": b'\xef\xbb\xbf{"eventId": 1}',
    "UTF-16": '{"eventId": 1}'.encode("utf-16"),
    "words": b"two tickets please",
    "a form": b"eventId=1&seat=1",
    "XML": b"<reserve/>",
    "deep arrays": b"[" * 30_000,
    "deep objects": b'{"a":' * 10_000,
    "deep and closed": b'{"eventId":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "deep in an unknown field": b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW.keys())
@pytest.mark.parametrize("path", ["/api/reserve", "/api/checkout"])
def test_what_is_no_json_object_changes_nothing(site: Site, fan: Fan, path: str, raw: bytes) -> None:
    before = site.bookings()
    answer = fan.call("POST", path, raw=raw)
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert answer.json["errors"], answer.json
    assert site.bookings() == before


@pytest.mark.parametrize("path", ["/api/ops/session", "/api/queue/{}"])
@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"x": 1}', b'{"name": 1}', b'{"captchaToken": []}', b"\xff"])
def test_other_bodies_are_held_to_their_shape(site: Site, fan: Fan, event_id: int, path: str, raw: bytes) -> None:
    client = fan if "queue" in path else site.client()
    client.source = "127.0.99.1" if client is not fan else client.source
    answer = client.call("POST", path.format(event_id), raw=raw)
    assert answer.code in ("invalid_request", "rate_limited")


def test_names_with_nul_reach_no_database(site: Site) -> None:
    client = site.client()
    client.source = "127.0.98.1"
    for body in ({"name": "A\0da", "password": "x"}, {"name": "Ada", "password": "\0"}):
        answer = client.post("/api/ops/session", body)
        assert answer.status in (400, 401), body
    for query in ("q=%00", "venue=a%00b", "cursor=%00", "q=%ff"):
        assert site.client().get(f"/api/events?{query}").status in (200, 400), query


@pytest.mark.parametrize("path", ["/api/reserve", "/api/checkout"])
def test_an_oversize_body_is_refused(site: Site, event_id: int, fan: Fan, path: str) -> None:
    before = site.bookings()
    padded = json.dumps({"eventId": event_id, **ONE}).encode() + b" " * 70_000
    answer = fan.call("POST", path, raw=padded)
    assert (answer.status, answer.code) == (413, "body_too_large")
    # In chunks, without a length to be judged by.
    address = urlsplit(site.url)
    with closing(http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)) as connection:
        connection.request(
            "POST",
            path,
            iter([b" " * 16_384] * 6),
            {**fan.headers, "Content-Type": "application/json", "Transfer-Encoding": "chunked"},
            encode_chunked=True,
        )
        with connection.getresponse() as response:
            assert response.status == 413
            assert json.loads(response.read())["code"] == "body_too_large"
    assert site.bookings() == before


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "text/plain; charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/msgpack",
        "nonsense",
    ],
)
@pytest.mark.parametrize("path", ["/api/reserve", "/api/checkout"])
def test_only_json_is_taken(site: Site, event_id: int, fan: Fan, path: str, media_type: str) -> None:
    before = site.bookings()
    answer = fan.post(path, {"eventId": event_id, **ONE}, Content_Type=media_type)
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert site.bookings() == before


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_by_any_spelling_is(event_id: int, fan: Fan, media_type: str) -> None:
    unknown = {"eventId": event_id, **seats([9999], [1])}
    answer = fan.call("POST", "/api/reserve", unknown, headers={"Content-Type": media_type, "Prefer": "wait=10"})
    assert answer.code == "unknown_seats"


UUIDS = ["1", "x", "00000000-0000-7000-8000-00000000000", "g" * 32, "%00", "..%2f..", "'; DROP TABLE seat; --", "é"]


@pytest.mark.parametrize("uuid", UUIDS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/jobs/{}"),
        ("GET", "/api/purchases/{}"),
        ("DELETE", "/api/reservations/{}?eventId=1"),
    ],
)
def test_bad_uuids_in_paths(site: Site, fan: Fan, method: str, path: str, uuid: str) -> None:
    before = site.bookings()
    answer = fan.call(method, path.format(uuid if "%" in uuid else quote(uuid)))
    assert answer.status in (400, 404)
    assert answer.code in ("not_found", "invalid_request")
    assert site.bookings() == before


@pytest.mark.parametrize("event", ["0", "-1", "x", "1.5", str(2**53), str(2**63), "9" * 400, "%00", "1e3", "٣"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/initial-call/{}"),
        ("GET", "/api/events/{}/seats"),
        ("GET", "/api/events/{}/live"),
        ("GET", "/api/queue/{}"),
        ("POST", "/api/queue/{}"),
        ("GET", "/api/queue/{}/stream"),
        ("POST", "/api/queue/{}/claim"),
        ("DELETE", "/api/queue/{}"),
        ("GET", "/api/reservations?eventId={}"),
        ("DELETE", f"/api/reservations/{NOBODY}?eventId={{}}"),
        ("GET", "/events/{}"),
    ],
)
def test_bad_events_in_addresses(fan: Fan, method: str, path: str, event: str) -> None:
    address = path.format(event if "%" in event else quote(event))
    if path.startswith("/events/"):
        with closing(fan._connect(10)) as connection:
            connection.request(method, address)
            with connection.getresponse() as response:
                response.read()
                assert response.status in (400, 404)
        return
    answer = fan.call(method, address)
    assert answer.status in (400, 404)
    assert answer.code in ("not_found", "invalid_request", "unknown_event")


@pytest.mark.parametrize(
    "query",
    [
        "/api/jobs/{nobody}?wait=-1",
        "/api/jobs/{nobody}?wait=31",
        "/api/jobs/{nobody}?wait=abc",
        "/api/jobs/{nobody}?wait=",
        "/api/jobs/{nobody}?wait=NaN",
        "/api/jobs/{nobody}?wait=inf",
        "/api/jobs/{nobody}?wait=1e400",
        "/api/initial-call/{event}?minVersion=-1",
        "/api/initial-call/{event}?minVersion=x",
        "/api/initial-call/{event}?minVersion=9007199254740992",
        "/api/events/{event}/seats?minVersion=1.5",
        "/api/events?limit=0",
        "/api/events?limit=101",
        "/api/events?limit=x",
        "/api/events?limit=-1",
        "/api/events?cursor=nonsense",
        "/api/events?cursor=e30=",
        "/api/events?cursor=bnVsbA==",
        "/api/events?from=yesterday",
        "/api/events?to=2026-13-01T00:00:00Z",
        "/api/events?from=2026-01-01T00:00:00",
        "/api/events?q=" + "x" * 201,
        "/api/reservations",
        "/api/reservations?eventId=",
        "/api/queue/{event}?token=" + "x" * 1025,
    ],
)
def test_bad_queries(site: Site, fan: Fan, event_id: int, query: str) -> None:
    answer = fan.get(query.format(event=event_id, nobody=NOBODY))
    assert (answer.status, answer.code) == (400, "invalid_request"), answer.content
    assert answer.json["errors"], answer.json


@pytest.mark.parametrize("header", ["Idempotency-Key", "Prefer"])
@pytest.mark.parametrize("length", [300, 5000])
def test_headers_too_long(site: Site, fan: Fan, event_id: int, header: str, length: int) -> None:
    before = site.bookings()
    answer = fan.call("POST", "/api/reserve", {"eventId": event_id, **ONE}, headers={header: "x" * length})
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert header in answer.json["detail"]
    assert site.bookings() == before


def test_other_headers_of_any_length_do_no_harm(site: Site, fan: Fan, event_id: int) -> None:
    before = site.bookings()
    for headers in (
        {"X-Admission-Pass": "x" * 20_000},
        {"Authorization": "Bearer " + "x" * 20_000},
        {"X-Admission-Pass": "\xff\xfe"},
        {"Cookie": "admitone_session=" + "x" * 20_000, "Authorization": ""},
        {"Cookie": "=;;;=;", "Authorization": ""},
        {"If-None-Match": "x" * 20_000, "Authorization": ""},
    ):
        answer = fan.call("POST", "/api/reserve", {"eventId": event_id, **ONE}, headers=headers)
        assert answer.status in (401, 403), (answer.status, answer.content)
    assert site.bookings() == before


def test_a_head_without_end_is_cut_off(site: Site) -> None:
    """Bytes that are no HTTP get a 400 or a closed connection, and the gateway lives."""
    address = urlsplit(site.url)
    for sent in (
        b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 200_000 + b"\r\n\r\n",
        b"\x16\x03\x01 not TLS here\r\n\r\n",
        b"POST /api/reserve HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\n\r\n",
        b"POST /api/reserve HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /api/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ):
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as raw:
            try:
                raw.sendall(sent)
                raw.shutdown(socket.SHUT_WR)
                head = raw.recv(64)
            except OSError:
                continue
            assert head == b"" or head.split()[1] in (b"400", b"404", b"431", b"413", b"200"), head
    assert site.client().get("/health/live").status == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/reserve", {"POST"}),
        ("DELETE", "/api/reserve", {"POST"}),
        ("PUT", "/api/reserve", {"POST"}),
        ("GET", "/api/checkout", {"POST", "PUT"}),
        ("DELETE", "/api/checkout", {"POST", "PUT"}),
        ("GET", "/api/session", {"POST"}),
        ("POST", "/api/events", {"GET"}),
        ("POST", "/api/purchases", {"GET"}),
        ("PATCH", "/api/purchases/" + NOBODY, {"GET"}),
        ("DELETE", "/api/jobs/" + NOBODY, {"GET"}),
        ("PUT", "/api/queue/1", {"GET", "POST", "DELETE"}),
        ("GET", "/api/queue/1/claim", {"POST"}),
        ("POST", "/api/ops/rooms/1", {"GET", "PATCH"}),
        ("POST", "/api/initial-call/1", {"GET"}),
        ("GET", "/api/reservations/" + NOBODY, {"DELETE"}),
    ],
)
def test_other_methods_are_not_allowed(site: Site, fan: Fan, method: str, path: str, allowed: set[str]) -> None:
    before = site.bookings()
    answer = fan.call(method, path)
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert {name.strip() for name in answer.headers["Allow"].split(",")} >= allowed
    assert site.bookings() == before


@pytest.mark.parametrize("path", ["/api/nothing", "/api/", "/api/reserve/1", "/api/queue", "/api/jobs"])
def test_unknown_addresses_are_not_found(fan: Fan, path: str) -> None:
    answer = fan.get(path)
    assert (answer.status, answer.code) == (404, "not_found")


def test_the_engine_knows_nothing_of_all_this(site: Site, event_id: int, fan: Fan) -> None:
    """After the whole table the site sells as before, and its logs tell of no fault."""
    other = site.admitted_fan(event_id)
    other.buy(event_id, [(2, 1, 1)])
    for service in site.services.started:
        assert "Traceback" not in service.text(), service.text()[-3000:]
