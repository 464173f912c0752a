"""Sessions: tokens, cookies, limits, and who may ask what."""

from __future__ import annotations

import http.cookies
import itertools
import json
import time
import urllib.error
import urllib.request
from typing import Any

import jwt
import pytest

from gateway.identity.sessions import Identity
from tests.acceptance.conftest import OPERATOR, PASSWORD, Site
from tests.client import Answer, Client, Fan
from tests.services import Service
from tests.waiting import await_that

FAN_ROUTES = [
    ("POST", "/api/queue/{event}"),
    ("GET", "/api/queue/{event}"),
    ("GET", "/api/queue/{event}/stream"),
    ("POST", "/api/queue/{event}/claim"),
    ("DELETE", "/api/queue/{event}"),
    ("POST", "/api/reserve"),
    ("PUT", "/api/checkout"),
    ("POST", "/api/checkout"),
    ("DELETE", "/api/reservations/00000000-0000-7000-8000-000000000000?eventId={event}"),
    ("GET", "/api/reservations?eventId={event}"),
    ("GET", "/api/jobs/00000000-0000-7000-8000-000000000000"),
    ("GET", "/api/purchases"),
    ("GET", "/api/purchases/00000000-0000-7000-8000-000000000000"),
]
OPERATOR_ROUTES = [
    ("GET", "/api/ops/session"),
    ("DELETE", "/api/ops/session"),
    ("GET", "/api/ops/rooms"),
    ("GET", "/api/ops/rooms/{event}"),
    ("PATCH", "/api/ops/rooms/{event}"),
    ("GET", "/api/ops/rooms/{event}/log"),
    ("GET", "/api/ops/rooms/{event}/history"),
    ("GET", "/api/ops/rooms/{event}/steps"),
    ("POST", "/api/ops/rooms/{event}/steps"),
    ("DELETE", "/api/ops/rooms/{event}/steps/00000000-0000-7000-8000-000000000000"),
    ("GET", "/api/ops/rooms/{event}/codes"),
    ("POST", "/api/ops/rooms/{event}/codes"),
    ("DELETE", "/api/ops/rooms/{event}/codes/00000000-0000-7000-8000-000000000000"),
    ("GET", "/api/ops/stream"),
]
BODIES: dict[str, dict[str, Any]] = {
    "/api/reserve": {"bestAvailable": {"ticketTypeId": 1, "quantity": 1}},
    "/api/checkout": {"reservationId": "00000000-0000-7000-8000-000000000000", "captchaToken": "x"},
    "/api/ops/rooms/{event}": {"capacity": 1},
    "/api/ops/rooms/{event}/steps": {"at": "2027-01-09T09:00:00Z", "capacity": 1},
    "/api/ops/rooms/{event}/codes": {"label": "Fan club"},
}


def ask(client: Client, method: str, path: str, event_id: int) -> Answer:
    """The route with a body that is well formed, so that only who asks can be at fault."""
    body = BODIES.get(path)
    if body is not None and not path.startswith("/api/ops"):
        body = {"eventId": event_id, **body}
    return client.call(method, path.format(event=event_id), body)


@pytest.fixture(scope="module")
def event_id(site: Site) -> int:
    return site.event()


def cookie_of(answer: Answer, name: str) -> http.cookies.Morsel[str]:
    cookies: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
    for line in answer.headers.get_all("Set-Cookie") or []:
        cookies.load(line)
    return cookies[name]


def test_a_session_is_a_token_and_a_cookie_that_scripts_cannot_read(site: Site) -> None:
    answer = site.client().post("/api/session")
    assert answer.status == 201
    assert set(answer.json) == {"token", "userId"}
    assert 1 <= answer.json["userId"] < 2**52
    assert answer.headers["Cache-Control"] == "no-store"
    cookie = cookie_of(answer, "admitone_session")
    assert cookie.value == answer.json["token"]
    assert cookie["httponly"] is True
    assert cookie["samesite"].lower() == "lax"
    assert cookie["path"] == "/"
    assert not cookie["secure"], "development serves plain HTTP"
    assert int(cookie["max-age"]) >= 24 * 3600, "a session outlives the longest line"
    claims = jwt.decode(answer.json["token"], options={"verify_signature": False})
    assert claims["exp"] - time.time() > 24 * 3600


def test_users_are_random(site: Site) -> None:
    users = sorted(site.fan().user_id for _ in range(8))
    assert min(later - earlier for earlier, later in itertools.pairwise(users)) > 1000


@pytest.fixture(scope="module")
def stricter(site: Site) -> Service:
    """A gateway of another site: production, another secret, three sessions a minute."""
    return site.services.gateway(
        ADMITONE_ENV="production",
        ADMITONE_SECRET="another site's secret, which is as good as any",
        ADMITONE_SESSIONS_PER_MINUTE="3",
    )


def test_in_production_the_cookie_travels_over_tls_only(stricter: Service) -> None:
    answer = Client(stricter.url, source="127.1.3.1").post("/api/session")
    cookie = cookie_of(answer, "__Host-admitone_session")
    assert cookie["secure"] is True
    assert (cookie["path"], cookie["domain"]) == ("/", "")


def test_in_production_a_write_by_cookie_says_where_it_comes_from(stricter: Service, event_id: int) -> None:
    client = Client(stricter.url, source="127.1.9.1")
    token = client.post("/api/session").json["token"]
    client.headers["Cookie"] = f"__Host-admitone_session={token}"
    ours = stricter.url.removeprefix("http://")
    join = f"/api/queue/{event_id}"
    assert client.call("POST", join).code == "cross_site"
    assert client.call("POST", f"/events/{event_id}/join").status == 403
    assert client.get("/api/purchases").status == 200, "what changes nothing needs no such word"
    for headers in ({"Origin": f"http://{ours}"}, {"Sec-Fetch-Site": "same-origin"}):
        assert client.call("POST", join, headers=headers).status in (200, 201), headers
    client.headers["Cookie"] = f"admitone_session={token}"
    assert client.get("/api/purchases").code == "unauthenticated", "another site of the domain can set that cookie"
    program = Client(stricter.url, source="127.1.9.1")
    program.headers["Authorization"] = f"Bearer {token}"
    assert program.call("POST", join).status in (200, 201), "a token in a header is not sent by a page of another site"


def test_in_production_browsers_are_told_to_keep_to_tls(site: Site, stricter: Service) -> None:
    told = Client(stricter.url, source="127.1.9.2").get("/", Accept="text/html").headers
    assert told["Strict-Transport-Security"] == "max-age=31536000"
    assert "Strict-Transport-Security" not in site.client().get("/", Accept="text/html").headers


def test_the_cookie_says_who_asks_as_the_token_does(site: Site, event_id: int) -> None:
    fan = site.fan()
    by_cookie = site.client()
    by_cookie.headers["Cookie"] = f"admitone_session={fan.token}"
    assert by_cookie.get("/api/purchases").json == {"purchases": []}
    ours = site.url.removeprefix("http://")
    for headers in ({}, {"Origin": f"http://{ours}"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}):
        assert by_cookie.call("POST", f"/api/queue/{event_id}", headers=headers).status in (200, 201), headers
    assert fan.poll(event_id).json["ticketNumber"] == by_cookie.get(f"/api/queue/{event_id}").json["ticketNumber"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_a_foreign_page_cannot_use_the_cookie(site: Site, event_id: int, headers: dict[str, str]) -> None:
    fan = site.fan()
    browser = site.client()
    browser.headers["Cookie"] = f"admitone_session={fan.token}"
    before = site.bookings()
    for method, path in FAN_ROUTES:
        if method == "GET":
            continue
        path = path.format(event=event_id)
        body = {"eventId": event_id, **BODIES[path]} if path in BODIES else None
        answer = browser.call(method, path, body, headers=headers)
        assert (answer.status, answer.code) == (403, "cross_site"), (method, path)
    assert site.bookings() == before
    assert fan.poll(event_id).code == "not_in_line"
    # The same token in the header is the client's own doing: no other site can make a browser send it.
    assert fan.call("POST", f"/api/queue/{event_id}", headers=headers).status == 201


@pytest.mark.parametrize(("method", "path"), FAN_ROUTES)
def test_a_fans_routes_need_a_fans_session(site: Site, event_id: int, method: str, path: str) -> None:
    answer = ask(site.client(), method, path, event_id)
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_operator_is_no_fan(site: Site, event_id: int) -> None:
    operator = site.operator()
    for method, path in FAN_ROUTES:
        answer = ask(operator, method, path, event_id)
        assert (answer.status, answer.code) == (401, "unauthenticated"), (method, path)


@pytest.mark.parametrize(("method", "path"), OPERATOR_ROUTES)
def test_a_fan_is_no_operator(site: Site, event_id: int, method: str, path: str) -> None:
    answer = ask(site.fan(), method, path, event_id)
    assert (answer.status, answer.code) == (403, "not_operator")
    answer = ask(site.client(), method, path, event_id)
    assert (answer.status, answer.code) == (401, "unauthenticated")


def test_a_wrong_name_or_password_is_refused_alike(site: Site) -> None:
    site.operator()
    client = Client(site.url, source="127.0.201.1")
    for name, password in ((OPERATOR, PASSWORD + "!"), ("Nobody", PASSWORD), (OPERATOR, "x")):
        answer = client.post("/api/ops/session", {"name": name, "password": password})
        assert (answer.status, answer.code) == (401, "unauthenticated")
        assert "Set-Cookie" not in answer.headers
    cookie = cookie_of(client.post("/api/ops/session", {"name": OPERATOR, "password": PASSWORD}), "admitone_operator")
    assert cookie["httponly"] is True
    by_cookie = site.client()
    by_cookie.headers["Cookie"] = f"admitone_operator={cookie.value}"
    assert by_cookie.get("/api/ops/rooms").status == 200
    assert by_cookie.get("/api/ops/session").json["name"] == OPERATOR
    gone = cookie_of(by_cookie.call("DELETE", "/api/ops/session"), "admitone_operator")
    assert (gone.value, gone["max-age"], gone["path"]) == ("", "0", cookie["path"])
    assert by_cookie.get("/api/ops/rooms").code == "session_invalid"
    # Guessing ends soon.
    tries = [client.post("/api/ops/session", {"name": OPERATOR, "password": "guess"}) for _ in range(10)]
    assert tries[-1].code == "rate_limited"


def test_user_id_must_be_the_sessions(site: Site, event_id: int) -> None:
    fan, other = site.admitted_fan(event_id), site.fan()
    before = site.bookings()
    body = {"eventId": event_id, "userId": other.user_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}}
    assert (answer := fan.post("/api/reserve", body)).code == "not_you", answer.content
    assert answer.status == 403
    buy = {"eventId": event_id, "userId": other.user_id, "reservationId": "00000000-0000-7000-8000-000000000000"}
    assert fan.call("PUT", "/api/checkout", buy).code == "not_you"
    assert site.bookings() == before
    own = {"eventId": event_id, "userId": fan.user_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}}
    assert fan.post("/api/reserve", own, Prefer="wait=10").status == 200


def test_sessions_are_limited_per_network(stricter: Service) -> None:
    neighbours = [Client(stricter.url, source=f"127.1.1.{host}") for host in (1, 2, 3, 4, 5)]
    answers = [neighbour.post("/api/session") for neighbour in neighbours]
    assert [answer.status for answer in answers] == [201, 201, 201, 429, 429]
    assert answers[3].code == "rate_limited"
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 120
    assert "Set-Cookie" not in answers[3].headers
    assert Client(stricter.url, source="127.1.2.1").post("/api/session").status == 201, "another network"


def test_open_auth_takes_the_bodys_word(site: Site) -> None:
    event_id = site.event()
    gateway = site.services.gateway(ADMITONE_AUTH="open")
    try:
        anybody = Client(gateway.url)
        with_pass = Fan.arrive(gateway.url, site.ledger)
        with_pass.join(event_id)
        body = {
            "eventId": event_id,
            "userId": with_pass.user_id,
            "seatDetails": [{"ticketTypeId": 1, "metaData": {"rowNumbers": [1], "seatNumbers": [1]}}],
        }
        anybody.headers["X-Admission-Pass"] = with_pass.headers["X-Admission-Pass"]
        held = anybody.post("/api/reserve", body, Prefer="wait=10")
        with_pass.note("reserve", event_id, held)
        assert seats(with_pass, event_id) == [held.result["reservationId"]]
        # The closed mode takes the same body for nobody's.
        assert site.client().post("/api/reserve", body).code == "unauthenticated"
    finally:
        gateway.stop()
    refused = site.services.run("gateway", ADMITONE_AUTH="open", ADMITONE_ENV="production")
    assert refused.returncode != 0
    assert "ADMITONE_AUTH" in refused.stderr


def seats(fan: Fan, event_id: int) -> list[str]:
    return [hold["reservationId"] for hold in fan.get(f"/api/reservations?eventId={event_id}").json["reservations"]]


FORGED = {
    "empty": "",
    "words": "let me in",
    "two parts": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0",
    "alg none": jwt.encode({"sub": "1", "role": "fan", "jti": "x", "exp": 4e9}, "", algorithm="none"),
    "another key": jwt.encode(
        {"sub": "1", "role": "fan", "jti": "x", "exp": 4e9}, "a key of somebody else's own making", algorithm="HS256"
    ),
    "long": "x" * 5000,
    "not ascii": "jötün",
}


@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_forged_sessions_are_refused(site: Site, event_id: int, token: str) -> None:
    client = site.client()
    client.headers["Authorization"] = f"Bearer {token}"
    for method, path in (*FAN_ROUTES, *OPERATOR_ROUTES):
        answer = ask(client, method, path, event_id)
        assert (answer.status, answer.code) == (401, "session_invalid"), (method, path)


def test_a_changed_or_foreign_session_is_refused(site: Site, stricter: Service, event_id: int) -> None:
    fan = site.fan()
    head, claims, signature = fan.token.split(".")
    operators = site.operator().headers["Authorization"].removeprefix("Bearer ")
    place = fan.join(event_id).json
    for token in (
        f"{head}.{operators.split('.')[1]}.{signature}",
        f"{head}.{claims}.{operators.split('.')[2]}",
        place["token"],
        place["pass"],
    ):
        answer = site.client().get("/api/purchases", Authorization=f"Bearer {token}")
        assert (answer.status, answer.code) == (401, "session_invalid")
    assert fan.at(stricter.url).get("/api/purchases").code == "session_invalid"


def test_a_session_ends(site: Site) -> None:
    """Signed with the site's own key, yet over: made as the gateway makes it, for a past end."""
    identity = Identity(site.services.environ["ADMITONE_SECRET"], session_seconds=-1, open_auth=False, secure=False)
    over, _ = identity.new_fan()
    assert site.client().get("/api/purchases", Authorization=f"Bearer {over}").code == "session_invalid"
    alive = Identity(site.services.environ["ADMITONE_SECRET"], session_seconds=60, open_auth=False, secure=False)
    assert site.client().get("/api/purchases", Authorization=f"Bearer {alive.new_fan()[0]}").status == 200


def test_only_bearer_is_understood(site: Site) -> None:
    fan = site.fan()
    for value in (f"Basic {fan.token}", fan.token, "Bearer"):
        answer = site.client().get("/api/purchases", Authorization=value)
        assert (answer.status, answer.code) == (401, "session_invalid"), value


def failing(site: Site) -> object:
    """What `/health/ready` names, which is no problem document where something is."""
    try:
        with urllib.request.urlopen(site.url + "/health/ready", timeout=10) as answer:
            return json.load(answer)["failing"]
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)["failing"]


def test_health_needs_nobody(site: Site) -> None:
    assert site.client().get("/health/live").json["status"] == "ok"
    await_that(lambda: failing(site) == [], 30, what="the lanes' workers")
    assert site.client().get("/health/serving").json == {"status": "ok", "failing": [], "degraded": []}
    assert site.client().get("/api/nothing/here").code == "not_found"
