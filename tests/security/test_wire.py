"""What goes over the wire: injection into headers, logs, SQL and Lua; smuggled requests; bodies made to hurt."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from admitone.logs import FORMAT, LineFormatter, json_formatter
from booking_lane import about
from tests.acceptance.conftest import Site
from tests.client import Client, Fan
from tests.security.description import Operation, operations, with_value
from tests.security.wire import request, send

RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING|ERROR|CRITICAL) [\w.]+: ")
HEADERS = (
    "Authorization",
    "Cookie",
    "X-Place-Token",
    "X-Admission-Pass",
    "Idempotency-Key",
    "Prefer",
    "If-None-Match",
    "Last-Event-ID",
    "Origin",
    "Sec-Fetch-Site",
    "Content-Type",
    "Accept",
    "Accept-Encoding",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "User-Agent",
    "Host",
)
"""Every header that our code or the server under it reads."""
VALUES = {
    "CRLF and a header": b"x\r\nX-Injected: 1",
    "LF and a header": b"x\nX-Injected: 1",
    "CR alone": b"x\rX-Injected: 1",
    "CRLFCRLF and a body": b"x\r\n\r\n<script>",
    "a folded line": b"x\r\n X-Injected: 1",
    "NUL": b"x\0y",
    "control characters": bytes(range(1, 9)) + b"\x0b\x0c\x0e\x1b[31m\x7f",
    "C1 and line separators": b"\x85\xe2\x80\xa8X-Injected: 1",
    "no UTF-8": b"\xff\xfe\xc3\x28",
    "30,000 letters": b"x" * 30_000,
    "10,000 commas": b"," * 10_000,
    "10,000 pairs": b"a=b; " * 2000,
    "quotes": b"\"'`;--{}[]()$%<>\\",
    "nothing": b"",
}
EVALUATED = re.compile(rb"49[$#]|[}]49")
"""What a template would make of a payload of ours, or of a part of it."""
PAYLOADS = (
    "' OR '1'='1",
    "1; DROP TABLE seat; --",
    "'); DELETE FROM purchase; --",
    "\\'; SELECT pg_sleep(5); --",
    "1 UNION SELECT password_hash FROM operator",
    "%(user_id)s",
    "$1",
    ":name_1",
    "]] redis.call('FLUSHALL') --",
    "') return redis.call('FLUSHALL') --",
    "\r\nFLUSHALL\r\n",
    "*1\r\n$8\r\nFLUSHALL\r\n",
    "{room:1}:line",
    "room:{*}",
    "{{7*7}}${7*7}#{7*7}",
    "../../../../etc/passwd",
    "%00",
    "\u202e\ud7ff\U0001f3ab",
    "x" * 5000,
)


@pytest.fixture(scope="module")
def event_id(site: Site) -> int:
    return site.event(seats_per_fan_max=100)


@pytest.fixture(scope="module")
def fan(site: Site, event_id: int) -> Fan:
    return site.admitted_fan(event_id)


@pytest.fixture(scope="module")
def described(site: Site) -> list[Operation]:
    return operations(site.client().get("/schema/openapi.json").json)


# -- headers and logs


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_injects_nothing(site: Site, event_id: int, fan: Fan, header: str) -> None:
    """One answer, no fault of ours, none of what was sent among its headers."""
    body = json.dumps({"eventId": event_id, "bestAvailable": {"ticketTypeId": 9, "quantity": 1}}).encode()
    ours = [f"{name}: {value}".encode() for name, value in fan.headers.items() if name.lower() != header.lower()]
    for name, value in VALUES.items():
        line = header.encode() + b": " + value
        for target, method, content in (
            (b"/api/events/%d/live" % event_id, b"HEAD", b""),
            (b"/api/purchases", b"GET", b""),
            (b"/api/initial-call/%d" % event_id, b"GET", b""),
            (b"/", b"GET", b""),
            (b"/api/reserve", b"POST", body),
        ):
            about = [b"Content-Length: %d" % len(content)] if content else []
            if content and header != "Content-Type":
                about.append(b"Content-Type: application/json")
            heard = send(site.url, request(target, *ours, line, *about, method=method, body=content))
            what = (name, target, heard.content[:300])
            assert len(heard.statuses) == 1, what
            assert heard.statuses[0] < 500, what
            assert b"x-injected" not in heard.headers, what
            assert b"\x1b" not in heard.headers, what
    assert site.client().get("/health/live").status == 200


@pytest.mark.parametrize(
    "target",
    [
        b"/api/%0d%0aX-Injected:%201",
        b"/api/%0a2026-01-01%20ERROR%20forged",
        b"/events/1%0d%0aX-Injected:%201",
        b"/static/%0d%0a/x",
        b"/schema/%3Cscript%3Ealert(1)%3C/script%3E",
        b"/%3Cscript%3Ealert(1)%3C/script%3E",
        b"//elsewhere.example/api",
        b"/\\elsewhere.example",
        b"/static/..%2f..%2f/identity.py",
        b"/static/../../gateway/identity.py",
        b"http://elsewhere.example/api/session",
        b"/api/queue/1?token=%0d%0aX-Injected:%201",
        b"/?q=%0d%0aX-Injected:%201",
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_an_address_injects_nothing(site: Site, target: bytes, method: bytes) -> None:
    heard = send(site.url, request(target, b"Accept: text/html", method=method))
    assert len(heard.statuses) == 1, heard.content[:300]
    assert heard.statuses[0] < 500, heard.content[:300]
    assert b"x-injected" not in heard.headers
    assert b"location: //" not in heard.headers
    assert b"<script>alert" not in heard.content
    assert b"import" not in heard.content or b"hmac" not in heard.content


HOSTILE = (
    "one\n2026-01-01 00:00:00,000 ERROR gateway: forged",
    "carriage\rreturn",
    "escape \x1b[2J\x07 and \x85\u2028\u2029",
    "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_x",
    "postgresql://admit:hunter2@db:5432/x redis://:hunter2@cache:6379/0",
    "Key (email)=(lena.brandt+tickets@example.co.uk) already exists",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("where", ["message", "argument", "exception", "id", "extra"])
@pytest.mark.parametrize("formatter", [LineFormatter(FORMAT), json_formatter()], ids=["text", "json"])
def test_a_record_is_one_line_without_secrets(formatter: logging.Formatter, text: str, where: str) -> None:
    record = logging.LogRecord("gateway", logging.ERROR, __file__, 1, "failed: %s", (text,), None)
    if where == "message":
        record = logging.LogRecord("gateway", logging.ERROR, __file__, 1, text, None, None)
    elif where == "exception":
        try:
            raise ValueError(text)
        except ValueError as error:
            exc_info = (type(error), error, error.__traceback__)
        record = logging.LogRecord("gateway", logging.ERROR, __file__, 1, "failed", None, exc_info)
    if where == "id":
        about.begin(request_id=text.encode())
    elif where == "extra":
        record.more = text
    try:
        line = formatter.format(record)
    finally:
        about.begin()
    assert line.splitlines() == [line]
    assert line.isprintable()
    if isinstance(formatter, LineFormatter):
        assert RECORD.match(line)
    else:
        assert list(json.loads(line))[:4] == ["timestamp", "level", "logger", "message"]
    for secret in ("eyJzdWIiOiIxIn0", "c2lnbmF0dXJl", "hunter2", "lena.brandt"):
        assert secret not in line


# -- smuggling

SMUGGLED = b"GET /api/smuggled HTTP/1.1\r\nHost: tickets.example\r\n\r\n"
AMBIGUOUS = {
    "length and chunks": request(
        b"/api/session",
        b"Content-Length: 6",
        b"Transfer-Encoding: chunked",
        method=b"POST",
        body=b"0\r\n\r\n" + SMUGGLED,
        close=False,
    ),
    "chunks and length": request(
        b"/api/session",
        b"Transfer-Encoding: chunked",
        b"Content-Length: %d" % (5 + len(SMUGGLED)),
        method=b"POST",
        body=b"0\r\n\r\n" + SMUGGLED,
        close=False,
    ),
    "two lengths": request(
        b"/api/session",
        b"Content-Length: 0",
        b"Content-Length: %d" % len(SMUGGLED),
        method=b"POST",
        body=SMUGGLED,
        close=False,
    ),
    "two lengths in one": request(
        b"/api/session", b"Content-Length: 0, %d" % len(SMUGGLED), method=b"POST", body=SMUGGLED, close=False
    ),
    **{
        f"a length of {length!r}": request(
            b"/api/session", b"Content-Length: " + length, method=b"POST", body=SMUGGLED, close=False
        )
        for length in (b"-1", b"+5", b"0x5", b"5 5", b"1e1", b"99999999999999999999999", b"\xd9\xa5")
    },
    **{
        f"an encoding of {coding!r}": request(
            b"/api/session",
            b"Transfer-Encoding: " + coding,
            b"Content-Length: 5",
            method=b"POST",
            body=b"0\r\n\r\n" + SMUGGLED,
            close=False,
        )
        for coding in (b"xchunked", b"chunked, identity", b"identity, chunked", b"\x0bchunked", b"chunked\0", b"cow")
    },
    "a space before the colon": request(
        b"/api/session",
        b"Content-Length: 5",
        b"Transfer-Encoding : chunked",
        method=b"POST",
        body=b"0\r\n\r\n" + SMUGGLED,
        close=False,
    ),
    "a folded encoding": request(
        b"/api/session",
        b"Content-Length: 5",
        b"Transfer-Encoding:\r\n chunked",
        method=b"POST",
        body=b"0\r\n\r\n" + SMUGGLED,
        close=False,
    ),
    **{
        f"a chunk of size {size!r}": request(
            b"/api/session",
            b"Transfer-Encoding: chunked",
            method=b"POST",
            body=size + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED,
            close=False,
        )
        for size in (b"zz", b"-5", b"0x5", b"+5", b"", b"5 5", b"fffffffffffffffff", b"5\n")
    },
    "a chunk without its end": request(
        b"/api/session",
        b"Transfer-Encoding: chunked",
        method=b"POST",
        body=b"5\r\nhelloXX0\r\n\r\n" + SMUGGLED,
        close=False,
    ),
    "a header without a name": request(b"/api/session", b": x", method=b"POST", body=SMUGGLED, close=False),
    "a header with a space": request(b"/api/session", b"X Y: z", method=b"POST", body=SMUGGLED, close=False),
    "HTTP/9.9": b"GET /health/live HTTP/9.9\r\nHost: x\r\n\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("content", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_two_servers_could_read_two_ways_is_refused(site: Site, content: bytes) -> None:
    """The connection ends with a 400: a proxy in front cannot be brought to disagree about where a request ends."""
    heard = send(site.url, content)
    assert b"404" not in heard.content, "the smuggled request was answered"
    assert heard.statuses in ([400], []), heard.content[:500]
    assert site.client().get("/health/live").status == 200


def test_two_good_requests_are_two(site: Site) -> None:
    """The control: the same socket does answer a second request where nothing is ambiguous."""
    first = request(b"/health/live", close=False)
    assert send(site.url, first + SMUGGLED).statuses == [200, 404]


# -- SQL and Lua

IN_TURNS = pytest.mark.parametrize("one_in", [6, pytest.param(1, marks=pytest.mark.long)])
"""Every operation with every sixth of what is tried, each with another sixth, so that all is tried somewhere; the long
form tries all everywhere.
"""


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator()


def tables(site: Site, event_id: int) -> list[Any]:
    """What no request may change that does not name this event. The description's example of a new operator is Grace,
    whom a payload as her password adds.
    """
    with psycopg.connect(site.database_url) as connection:
        return connection.execute(
            """
            SELECT (SELECT count(*) FROM seat WHERE event_id = %(event_id)s),
                (SELECT string_agg(t::text, '|' ORDER BY ticket_type_id) FROM ticket t WHERE event_id = %(event_id)s),
                (SELECT e::text FROM event e WHERE event_id = %(event_id)s),
                (SELECT string_agg(name, '|' ORDER BY name) FROM operator WHERE name <> 'Grace'),
                (SELECT count(*) FROM purchase), (SELECT count(*) FROM pg_tables WHERE schemaname = 'public')
            """,
            {"event_id": event_id},
        ).fetchall()


@IN_TURNS
def test_no_string_reaches_sql_or_lua(
    site: Site, event_id: int, fan: Fan, operator: Client, described: list[Operation], one_in: int
) -> None:
    """Every parameter of every operation, and every string of every body, takes payloads."""
    other = site.event()
    before = tables(site, other)
    with site.redis() as line:
        line.set("canary", "alive")
    ids = {"event_id": event_id, "eventId": event_id}
    tried = 0
    for turn, operation in enumerate(described):
        who: Client = {"fan": fan, "operator": operator, "nobody": site.client()}[operation.who]
        sources = iter(range(1, 10_000))
        for number, payload in enumerate(PAYLOADS):
            changes = [({name: payload}, None) for name in operation.named("path", "query")]
            if payload.isprintable() and payload.isascii():
                changes += [({name: payload}, None) for name in operation.named("header")]
            changes += [({}, with_value(operation.body, path, payload)) for path in operation.strings]
            for place, (changed, body) in enumerate(changes):
                if (turn + number + place) % one_in:
                    continue
                if operation.path == "/api/ops/session":
                    # Tries are limited by network.
                    who = Client(site.url, source=f"127.{20 + next(sources) // 9}.1.1")
                answer = operation.call(who, ids=ids, changed=changed, body=body)
                assert answer.status < 500, (operation.name, changed, body)
                assert not EVALUATED.search(answer.content), answer.content
                # What an event is named by one request, another may tell.
                assert b"password_hash" not in answer.content.replace(b"SELECT password_hash FROM", b"")
                assert b"$argon2" not in answer.content
                tried += 1
    assert tried > 1000
    assert tables(site, other) == before
    with site.redis() as line:
        assert line.get("canary") == b"alive"
        line.delete("canary")
    assert fan.poll(event_id).json["state"] in ("admitted", "waiting", "lobby") or fan.join(event_id).status < 300


@pytest.mark.parametrize("q", ["%", "_", "%%%", "\\", "\\%", "' OR 1=1 --", "Nacht%flug", "N_chtflug", "*", ".*"])
def test_a_search_is_of_words_alone(site: Site, event_id: int, q: str) -> None:
    """A sign means nothing to it: it is as if a blank stood there, and signs alone are found nowhere."""
    client = site.client()
    assert client.get("/api/events?q=nachtflug").json["events"]

    def found(name: str, text: str) -> list[int]:
        operation = Operation(
            "GET",
            "/api/events",
            "nobody",
            False,
            ({"name": name, "in": "query", "required": False, "schema": {}},),
            None,
            (),
        )
        return [event["eventId"] for event in operation.call(client, changed={name: text}).json["events"]]

    blank = "".join(sign if sign.isalnum() or sign == "'" else " " for sign in q)
    for name in ("q", "venue", "town", "tag"):
        assert found(name, q) == (found(name, blank) if blank.strip() else []), name


# -- bodies


def bodies(operation: Operation) -> Iterator[tuple[str, bytes]]:
    """Bodies made to hurt, each with its name."""
    good = json.dumps(operation.body)
    yield "deep arrays", b"[" * 30_000 + b"]" * 30_000
    yield "deep objects", b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    yield "a huge array", b"[" + b"1," * 30_000 + b"1]"
    yield "a huge number", b'{"eventId":' + b"9" * 60_000 + b"}"
    yield "a huge exponent", b'{"eventId":1e999999999}'
    yield "too large", b'{"x":"' + b"x" * 70_000 + b'"}'
    yield "ten thousand names", json.dumps({f"x{number}": 1 for number in range(4000)}).encode()
    yield "one name ten thousand times", b"{" + b",".join([b'"x":1'] * 9000) + b"}"
    for name in ("NaN", "Infinity", "-Infinity", "1e400", "01", "0x1", "'x'", "undefined", "\x00"):
        for field in operation.body or {"eventId": 1}:
            yield f"{field} of {name!r}", f'{{"{field}":{name}}}'.encode()
    for path in operation.strings:
        for name, escape in {"lone": "\\ud800", "reversed": "\\udc00\\ud800", "NUL": "\\u0000"}.items():
            changed = json.dumps(with_value(operation.body, path, "HERE")).replace("HERE", escape)
            yield f"{'.'.join(path)} with a surrogate or NUL ({name})", changed.encode()
        yield f"{'.'.join(path)} very long", json.dumps(with_value(operation.body, path, "x" * 60_000)).encode()
        yield (
            f"{'.'.join(path)} no UTF-8",
            json.dumps(with_value(operation.body, path, "HERE")).encode().replace(b"HERE", b"\xff\xfe"),
        )
    yield "two in one", (good + good).encode()
    yield "a byte order mark", b"\xef\xbb\xbf" + good.encode()
    yield "UTF-16", good.encode("utf-16")
    yield "UTF-7", good.encode("utf-7") + b"+AAA-"


@IN_TURNS
def test_no_body_hurts(
    site: Site, event_id: int, fan: Fan, operator: Client, described: list[Operation], one_in: int
) -> None:
    """Each answered with a problem, in time, by a gateway that lives on, and nothing is booked."""
    taking = [operation for operation in described if operation.body is not None]
    assert len(taking) >= 5
    other = site.event()
    before = tables(site, other)
    ids = {"event_id": event_id, "eventId": event_id}
    refused = 0
    for turn, operation in enumerate(taking):
        for number, (name, raw) in enumerate(bodies(operation)):
            if (turn + number) % one_in:
                continue
            who: Client = {"fan": fan, "operator": operator}.get(operation.who) or Client(
                site.url, source=f"127.9.{number}.1"
            )
            answer = operation.call(who, ids=ids, raw=raw)
            assert answer.status < 500, (operation.name, name)
            refused += answer.status >= 400
    assert refused > 150
    assert tables(site, other) == before


def test_of_a_name_given_twice_the_last_counts(site: Site, event_id: int) -> None:
    """As every JSON reader in front of us has it too (RFC 8259, 4 leaves it open): nobody is misled by the first."""
    fan = site.admitted_fan(event_id)  # the other one looks like a program by now
    raw = b'{"userId":1,"eventId":987654321,"eventId":%d,"userId":%d,"bestAvailable":{"ticketTypeId":1,"quantity":1}}'
    answer = fan.call("POST", "/api/reserve", raw=raw % (event_id, fan.user_id), headers={"Prefer": "wait=10"})
    assert answer.status == 200, answer.content
    turned = b'{"userId":%d,"eventId":%d,"userId":1,"bestAvailable":{"ticketTypeId":1,"quantity":1}}'
    assert fan.call("POST", "/api/reserve", raw=turned % (fan.user_id, event_id)).code == "not_you"


def test_the_logs_tell_of_no_fault(site: Site) -> None:
    for service in site.services.started:
        assert "Traceback" not in service.text(), service.text()[-3000:]


# -- last, for the workers too complain while Postgres is away


@pytest.fixture
def without_postgres(site: Site) -> Iterator[None]:
    """The site's database takes no connection for a while."""
    name = conninfo_to_dict(site.database_url)["dbname"]
    with psycopg.connect(site.database_url, dbname="postgres", autocommit=True) as connection:
        allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        connection.execute(allow.format(sql.Identifier(str(name)), sql.SQL("false")))
        of_site = "FROM pg_stat_activity WHERE datname = %s"
        connection.execute(f"SELECT pg_terminate_backend(pid) {of_site}", (name,))
        until = time.monotonic() + 10
        while connection.execute(f"SELECT 1 {of_site}", (name,)).fetchone() and time.monotonic() < until:
            time.sleep(0.01)
        try:
            yield
        finally:
            connection.execute(allow.format(sql.Identifier(str(name)), sql.SQL("true")))


def test_a_failure_tells_no_secret_and_logs_lines(site: Site, fan: Fan, without_postgres: None) -> None:
    """With Postgres away: what the fan sent is in neither the answer nor the log, and each record is a line."""
    for path in (
        "/api/events?q=what%20I%20look%20for%0A2026-01-01%2000:00:00,000%20ERROR%20forged:%20x",
        f"/api/events?q={fan.token[:200]}",
        "/api/purchases",
        f"/api/queue/4711?token={fan.token}",
    ):
        answer = fan.get(path)
        assert answer.status in (401, 404, 503), answer.content
        text = answer.content.decode()
        for secret in ("eyJ", "what I look for", "SELECT", "psycopg", "password", site.database_url):
            assert secret not in text, (path, text)
    login = Client(site.url, source="127.8.1.1").post("/api/ops/session", {"name": "Ada", "password": "my password"})
    assert login.status == 503, login.content
    gateway = site.gateways[0].text()
    assert "a part is away" in gateway
    for secret in ("eyJ", "what I look for", "my password", str(fan.user_id)):
        assert secret not in gateway, secret
    assert "forged" not in gateway
    for line in gateway.splitlines():
        assert RECORD.match(line), line
