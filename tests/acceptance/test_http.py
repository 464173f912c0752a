"""HTTP as its RFCs have it, for clients and proxies that take them at their word."""

from __future__ import annotations

import gzip
import http.client
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import brotli
import pytest

from db.events.seed import RoomSeed, TicketTypePlan
from tests.acceptance.conftest import Site

BIG_HALL = (TicketTypePlan(ticket_type="Stalls", price=4900, rows=40, seats_per_row=40),)


@pytest.fixture(scope="module")
def event_id(site: Site) -> int:
    return site.event(room=RoomSeed(state="off"), hall=BIG_HALL)


def ask(
    site: Site, method: str, path: str, *headers: tuple[str, str], body: bytes = b""
) -> tuple[int, list[tuple[str, str]], bytes]:
    """The answer to a request whose headers come in as many lines as are given."""
    with closing(http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=20)) as connection:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        if "event-stream" in (answer.getheader("Content-Type") or "") and method == "GET":
            return answer.status, answer.getheaders(), answer.readline()
        return answer.status, answer.getheaders(), answer.read()


def raw(site: Site, request: bytes, *, until: bytes = b"") -> bytes:
    """What comes until the end of the connection, or ``until`` it has come."""
    where = urlsplit(site.url)
    with socket.create_connection((where.hostname, where.port), timeout=15) as connection:
        connection.sendall(request)
        got = b""
        while (not until or until not in got) and (piece := connection.recv(65536)):
            got += piece
        return got


def static_path(site: Site) -> str:
    page = ask(site, "GET", "/")[2].decode()
    found = re.search(r"/static/[0-9a-f]+/admit\.css", page)
    assert found is not None
    return found[0]


def read_paths(site: Site, event_id: int) -> Iterator[str]:
    yield from ("/", "/purchases", "/ops", f"/events/{event_id}", static_path(site))
    yield from ("/health/live", "/health/ready", "/health/serving", "/metrics", "/schema/openapi.json")
    yield from ("/api/captcha", "/api/events")
    yield from (f"/api/initial-call/{event_id}", f"/api/events/{event_id}/seats", f"/api/events/{event_id}/live")


def test_head_says_what_get_says_without_the_body(site: Site, event_id: int) -> None:
    token = site.fan().token
    changing = {"date", "x-request-id", "set-cookie", "content-length", "etag"}
    for path in [
        *read_paths(site, event_id),
        "/api/purchases",
        f"/api/queue/{event_id}",
        "/nowhere",
        "/api/events/9/live",
    ]:
        bearer = ("Authorization", f"Bearer {token}")
        status, headers, _ = ask(site, "GET", path, bearer)
        head_status, head_headers, body = ask(site, "HEAD", path, bearer)
        assert (head_status, body) == (status, b""), path
        said, head_said = (
            {name.lower(): value for name, value in lines if name.lower() not in changing | {"transfer-encoding"}}
            for lines in (headers, head_headers)
        )
        assert head_said == said, path
    # Nothing of the answer comes late, as the next one's beginning.
    answers = raw(
        site,
        b"HEAD /api/events/%d/live HTTP/1.1\r\nHost: a\r\n\r\n" % event_id
        + b"HEAD /health/ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    assert re.fullmatch(rb"(HTTP/1\.1 200 OK\r\n(?:[^\r\n]+\r\n)+\r\n){2}", answers), answers


def test_allow_names_head_beside_get(site: Site) -> None:
    status, headers, _ = ask(site, "PUT", "/api/events")
    assert status == 405
    assert {"GET", "HEAD"} <= set(dict(headers)["allow"].split(", "))
    assert ask(site, "HEAD", "/api/reserve")[0] == 405


def test_gzip_is_sent_to_clients_that_take_it(site: Site, event_id: int) -> None:
    for path in (f"/api/events/{event_id}/seats", static_path(site)):
        plain = ask(site, "GET", path)[2]
        for lines in (["gzip;q=0, identity"], ["identity;q=1, gzip;q=0.0"], ["not-gzip"], ["gzip;q=0", "deflate"]):
            _, headers, body = ask(site, "GET", path, *(("Accept-Encoding", line) for line in lines))
            assert "content-encoding" not in dict(headers), (path, lines)
            assert body == plain
            assert "Accept-Encoding" in (dict(headers).get("vary") or dict(headers)["Vary"])
        for lines in (["GZIP"], ["br;q=0.9", "gzip"], ["*"], ["identity, *;q=1"]):
            _, headers, body = ask(site, "GET", path, *(("Accept-Encoding", line) for line in lines))
            assert {name.lower(): value for name, value in headers}["content-encoding"] == "gzip", (path, lines)
            assert gzip.decompress(body) == plain


def test_pages_and_static_files_are_sent_in_brotli_to_clients_that_name_it(site: Site, event_id: int) -> None:
    for path in (f"/events/{event_id}/draw", f"/de/events/{event_id}", static_path(site)):
        plain, smaller = ask(site, "GET", path)[2], []
        for line, chosen in (("gzip, deflate, br, zstd", "br"), ("br;q=0, gzip", "gzip")):
            _, headers, body = ask(site, "GET", path, ("Accept-Encoding", line))
            answered = {name.lower(): value for name, value in headers}
            assert (answered["content-encoding"], answered["vary"]) == (chosen, "Accept-Encoding")
            unpacked = brotli.decompress(body) if chosen == "br" else gzip.decompress(body)
            # A page has a key of its own in each form.
            assert len(unpacked) == len(plain), path
            smaller.append(len(body))
        assert smaller[0] < smaller[1] < len(plain), path


def test_what_a_client_has_is_not_sent_again(site: Site, event_id: int) -> None:
    for path in (f"/api/events/{event_id}/seats", f"/api/initial-call/{event_id}"):
        tag = dict(ask(site, "GET", path)[1])["etag"]
        strong = tag.removeprefix("W/")
        for lines in ([tag], [strong], [f'"x,y", {tag}'], ["*"], ['"x"', strong], ['"x"', '"y"', f'"z" , {tag}']):
            status, headers, body = ask(site, "GET", path, *(("If-None-Match", line) for line in lines))
            assert (status, body, dict(headers)["etag"]) == (304, b"", tag), lines
            assert ask(site, "HEAD", path, *(("If-None-Match", line) for line in lines))[0] == 304
        for line in ('"x"', strong.strip('"'), '"*"'):
            assert ask(site, "GET", path, ("If-None-Match", line))[0] == 200, line


def test_a_preference_may_come_in_several_lines(site: Site, event_id: int) -> None:
    for path in ("/api/reserve", "/api/reserve?long=way"):
        token = site.fan().token
        body = b'{"eventId":%d,"bestAvailable":{"ticketTypeId":%d,"quantity":1}}' % (
            event_id,
            first_type(site, event_id),
        )
        headers = [
            ("Authorization", f"Bearer {token}"),
            ("Content-Type", "application/json"),
            ("Prefer", "respond-async"),
        ]
        assert ask(site, "POST", path, *headers, body=body)[0] == 202
        status, _, content = ask(site, "POST", path, *headers, ("Prefer", 'note="a, b", wait=20'), body=body)
        assert status == 200, content


def first_type(site: Site, event_id: int) -> int:
    found = site.client().get(f"/api/initial-call/{event_id}").json["tickets"][0]["ticketTypeId"]
    assert isinstance(found, int)
    return found


def test_a_thing_has_one_address(site: Site, event_id: int) -> None:
    operator = site.operator()
    purchase = uuid.uuid4()
    wide = "".join(f"%EF%BC%{0x90 + int(digit):X}" for digit in str(event_id))
    for number in (f"+{event_id}", f"0{event_id}", wide, f"%20{event_id}", f"{event_id}_0", "-0", "1.0", "9" * 5000):
        for path in (
            f"/api/initial-call/{number}",
            f"/api/queue/{number}",
            f"/api/ops/rooms/{number}",
            f"/events/{number}",
        ):
            answer = operator.get(path) if path.startswith("/api") else None
            status = ask(site, "GET", path)[0] if answer is None else answer.status
            assert status == 404, path
    for text in (purchase.hex, f"urn:uuid:{purchase}", f"%7B{purchase}%7D"):
        assert ask(site, "GET", f"/api/jobs/{text}", ("Authorization", f"Bearer {site.fan().token}"))[0] == 404
        assert site.fan().get(f"/api/purchases/{text}").code == "not_found"
    assert site.fan().get(f"/api/purchases/{purchase}").code == "unknown_purchase"


def test_an_http_1_0_client_reads_a_stream_as_it_is(site: Site, event_id: int) -> None:
    got = raw(site, b"GET /api/events/%d/live HTTP/1.0\r\n\r\n" % event_id, until=b"\n\nid: ")
    head, _, body = got.partition(b"\r\n\r\n")
    assert b" 200 OK" in head
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    assert re.match(rb"retry: \d+\n\nid: ", body), body[:200]
    whole = raw(site, b"GET /api/initial-call/%d HTTP/1.0\r\n\r\n" % event_id)
    assert b"transfer-encoding" not in whole.lower()
    assert whole.endswith(b"}")


def test_every_answer_names_each_parameter_once_and_is_not_sniffed(site: Site, event_id: int) -> None:
    for path in [*read_paths(site, event_id), "/api/purchases", "/nowhere", "/api/nowhere"]:
        _, headers, _ = ask(site, "GET", path)
        lines = [(name.lower(), value) for name, value in headers]
        content_type = dict(lines)["content-type"]
        assert content_type.lower().count("charset=") == (1 if content_type.startswith("text/") else 0), (
            path,
            content_type,
        )
        assert [value for name, value in lines if name == "x-content-type-options"] == ["nosniff"], path
        names = [name for name, _ in lines if name != "set-cookie"]
        assert len(names) == len(set(names)), path
    for path in ("/api/reserve", "/api/session", "/api/checkout"):
        answer = site.client().post(path, {})
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"], path


def test_a_proxys_own_authorization_does_not_hide_the_cookie(site: Site, event_id: int) -> None:
    fan = site.fan()
    cookie, basic = ("Cookie", f"admitone_session={fan.token}"), ("Authorization", "Basic dXNlcjpwYXNz")
    assert ask(site, "GET", "/api/purchases", cookie, basic)[0] == 200
    assert ask(site, "GET", "/api/purchases", basic, ("Authorization", f"Bearer {fan.token}"))[0] == 200
    assert ask(site, "GET", "/api/purchases", basic)[0] == 401
    page = ask(site, "GET", f"/events/{event_id}", cookie, basic)
    assert (page[0], "set-cookie" in dict(page[1])) == (200, False), "the fan keeps the session"
    forged = ask(site, "POST", f"/api/queue/{event_id}", cookie, basic, ("Sec-Fetch-Site", "cross-site"))
    assert forged[0] == 403, "a cookie is still the browser's word only"


@pytest.mark.parametrize("hosts", [b"Host: a\r\nHost: a\r\n", b"Host: a\r\nHost: b\r\n", b"Host: a b\r\n", b""])
def test_a_request_names_exactly_one_host(site: Site, hosts: bytes) -> None:
    for line in (b"GET /health/live HTTP/1.1", b"POST /api/reserve HTTP/1.1", b"GET / HTTP/1.1"):
        got = raw(site, line + b"\r\n" + hosts + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 400 "), got
        assert b'"invalid_request"' in got


def test_streams_are_told_different_times_to_come_back_after(site: Site, event_id: int) -> None:
    lines = [ask(site, "GET", f"/api/events/{event_id}/live")[2] for _ in range(12)]
    waits = [int(line.removeprefix(b"retry: ")) for line in lines]
    assert all(500 <= wait <= 4_500 for wait in waits)
    assert len(set(waits)) > 6, waits


def test_every_stream_beats_within_ten_seconds_whatever_else_it_says(site: Site, event_id: int) -> None:
    line_event = site.event(room=RoomSeed(rate_per_minute=0, capacity=0))
    fan = site.fan()
    assert fan.join(line_event).json["state"] == "waiting"
    admitted_event = site.event()
    admitted = site.admitted_fan(admitted_event)
    streams = [
        site.client().stream(f"/api/events/{event_id}/live"),
        fan.stream(f"/api/queue/{line_event}/stream"),
        admitted.stream(f"/api/queue/{admitted_event}/stream"),
        site.operator().stream("/api/ops/stream"),
    ]
    try:
        for _ in range(2):
            for stream in streams:
                assert stream.next("beat", seconds_max=10).data == "{}"
    finally:
        for stream in streams:
            stream.close()


def test_a_browser_that_keeps_no_cookies_is_told_so_without_scripts(site: Site) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=0, capacity=0))
    status, headers, _ = ask(site, "POST", f"/events/{event_id}/join")
    assert status == 303
    said = {name.lower(): value for name, value in headers}
    words = b"Please allow cookies for this site"
    assert words in ask(site, "GET", said["location"])[2], "it has come back without the cookie"
    with_cookie = ask(site, "GET", said["location"], ("Cookie", said["set-cookie"].split(";")[0]))[2]
    assert words not in with_cookie
    assert b"Behind you" in with_cookie
    assert words not in ask(site, "GET", f"/events/{event_id}")[2]
