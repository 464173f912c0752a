"""Who may do what: forged, foreign and worn-out tokens, other fans' things, operators' routes, guessed passwords."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from admitone.settings import Settings, SettingsError
from db.events.seed import RoomSeed
from db.operators.accounts import add_operator
from tests import passwords
from tests.acceptance.conftest import PASSWORD, Site
from tests.client import Answer, Client, Fan
from tests.security.description import NOBODY, Operation, operations

SESSION, PLACE, PASS = b"admitone session v1", b"admitone place token v1", b"admitone admission pass v1"
SLOW_DOOR = RoomSeed(rate_per_minute=0, capacity=1)
PUBLIC = {
    "POST /api/session",
    "POST /api/account/links",
    "POST /api/account/password",
    "POST /api/account/session",
    "POST /api/account/session/passkey/options",
    "POST /api/account/session/passkey",
    "POST /api/ops/session",
    "POST /api/ops/session/passkey/options",
    "POST /api/ops/session/passkey",
    "GET /api/captcha",
    "GET /api/captcha/challenge",
    "GET /api/initial-call/{event_id}",
    "POST /api/messages/replies",
    "POST /api/messages/reports",
    "POST /api/payments/{provider}/notices",
    "GET /api/events",
    "GET /api/events/{event_id}/seats",
    "GET /api/events/{event_id}/live",
    "GET /api/events/{event_id}/plan",
    "GET /api/events/{event_id}/plan/{plan_version}/sections/{section_id}",
    "GET /api/events/{event_id}/proposals",
    "GET /api/events/{event_id}/draw",
    "GET /api/events/{event_id}/draw/list",
    "GET /api/events/{event_id}/waiting-list/entries",
    "GET /api/events/{event_id}/asks",
    "POST /api/tickets/find",
    "GET /api/tickets/found/{token}",
    "GET /.well-known/jwks.json",
    "GET /health/live",
    "GET /health/ready",
    "GET /health/serving",
}
"""What is anybody's. A new operation is either here or names its security."""


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def signed(
    claims: Mapping[str, Any] | bytes,
    key: bytes,
    header: Mapping[str, Any] | None = None,
    digest: str = "sha256",
) -> str:
    """A JWT as anybody with this key could make it."""
    head = encoded(json.dumps(header or {"alg": "HS256", "typ": "JWT"}, separators=(",", ":")).encode())
    body = encoded(claims if isinstance(claims, bytes) else json.dumps(claims).encode())
    return f"{head}.{body}.{encoded(hmac.digest(key, f'{head}.{body}'.encode(), digest))}"


def key_of(site: Site, purpose: bytes) -> bytes:
    return hmac.digest(site.services.environ["ADMITONE_SECRET"].encode(), purpose, hashlib.sha256)


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def forgeries(site: Site, good: str, purpose: bytes) -> Iterator[tuple[str, str]]:
    """Tokens that look like ``good`` and are not: each with its name."""
    secret, key, claims = site.services.environ["ADMITONE_SECRET"].encode(), key_of(site, purpose), claims_of(good)
    head, body, signature = good.split(".")
    for alg in ("none", "None", "NONE", "nOnE", ""):
        forged = encoded(json.dumps({"alg": alg, "typ": "JWT"}).encode())
        yield f"alg {alg!r} unsigned", f"{forged}.{body}."
        yield f"alg {alg!r} with the signature", f"{forged}.{body}.{signature}"
    for alg, digest in (("HS384", "sha384"), ("HS512", "sha512")):
        yield alg, signed(claims, key, {"alg": alg, "typ": "JWT"}, digest)
    for alg in ("RS256", "ES256", "PS256", "EdDSA"):
        # Confusion: what verifies by a public key elsewhere, signed as HS256 with what is no secret.
        for name, known in (("nothing", b""), ("its name", alg.encode()), ("our key", key)):
            yield f"{alg} keyed with {name}", signed(claims, known, {"alg": alg, "typ": "JWT"})
    yield "no key", signed(claims, b"")
    yield "the bare secret", signed(claims, secret)
    yield "the purpose as key", signed(claims, purpose)
    for other in {SESSION, PLACE, PASS} - {purpose}:
        yield f"the key of {other.decode()}", signed(claims, key_of(site, other))
    yield "kid", signed(claims, b"", {"alg": "HS256", "typ": "JWT", "kid": "../../../../dev/null"})
    jwk = {"kty": "oct", "k": encoded(b"mine")}
    yield "jwk", signed(claims, b"mine", {"alg": "HS256", "typ": "JWT", "jwk": jwk})
    yield "jku", signed(claims, b"mine", {"alg": "HS256", "typ": "JWT", "jku": "http://127.0.0.1:1/keys"})
    yield "crit", signed(claims, key, {"alg": "HS256", "typ": "JWT", "crit": ["exp"]})
    for member in ("sub", "fan", "event", "role", "number", "until_ms"):
        if member in claims:
            changed = claims | {member: "operator" if member == "role" else f"{claims[member]}1"}
            yield f"another {member}", f"{head}.{encoded(json.dumps(changed).encode())}.{signature}"
    yield "a longer life", f"{head}.{encoded(json.dumps(claims | {'exp': 9_999_999_999}).encode())}.{signature}"
    yield "a cut signature", f"{head}.{body}.{signature[:-2]}"
    yield "no signature", f"{head}.{body}."
    yield "two parts", f"{head}.{body}"
    yield "four parts", f"{good}.{signature}"
    yield "padding", f"{good}="
    last = "AQgw"["AQgw".find(signature[-1]) - 1] if signature[-1] in "AQgw" else "B"
    yield "another last letter", f"{good[:-1]}{last}"
    yield "very long", f"{head}.{body * 40}.{signature}"
    yield "only dots", "." * 200
    # Signed by ourselves, and still not to be taken.
    yield "over", signed(claims | {"exp": int(time.time()) - 1}, key)
    for end in (None, "4000000000", 4e9 + 0.5, [4_000_000_000], True, -1, 10**400):
        yield f"an end of {str(end)[:12]!r}", signed(claims | {"exp": end}, key)
    yield "no end", signed({name: value for name, value in claims.items() if name != "exp"}, key)
    yield "an end that is no number", signed(b'{"exp":NaN}', key)
    for payload in (b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"exp":4000000000}', b"[" * 500):
        yield f"claims of {payload[:12]!r}", signed(payload, key)


@pytest.fixture(scope="module")
def event_id(site: Site) -> int:
    return site.event()


@pytest.fixture(scope="module")
def fan(site: Site, event_id: int) -> Fan:
    return site.admitted_fan(event_id)


@pytest.fixture(scope="module")
def described(site: Site) -> list[Operation]:
    return operations(site.client().get("/schema/openapi.json").json)


def check_refused(answer: Answer, code: str, name: str) -> None:
    assert answer.code == code, (name, answer.status, answer.content)
    said = answer.content.decode()
    assert "eyJ" not in said, (name, said)


def test_no_forged_session_is_taken(site: Site, fan: Fan) -> None:
    tried = list(forgeries(site, fan.token, SESSION))
    assert len(tried) > 50
    for name, token in tried:
        answer = site.client().get("/api/purchases", Cookie=f"admitone_session={token}")
        assert answer.code in ("session_invalid", "unauthenticated"), (name, answer.content)
        check_refused(site.client().get("/api/purchases", Authorization=f"Bearer {token}"), "session_invalid", name)


def test_no_forged_operator_is_taken(site: Site) -> None:
    good = site.operator().headers["Authorization"].removeprefix("Bearer ")
    for name, token in forgeries(site, good, SESSION):
        check_refused(site.client().get("/api/ops/rooms", Authorization=f"Bearer {token}"), "session_invalid", name)
    for role in ("Operator", "admin", "", None, ["operator"], {"operator": 1}, True):
        token = signed(claims_of(good) | {"role": role}, key_of(site, SESSION))
        answer = site.client().get("/api/ops/rooms", Authorization=f"Bearer {token}")
        check_refused(answer, "session_invalid", str(role))


def test_no_forged_place_is_taken(site: Site, event_id: int, fan: Fan) -> None:
    good = fan.poll(event_id).json["token"]
    assert fan.poll(event_id, place_token=good).status == 200
    for name, token in forgeries(site, good, PLACE):
        check_refused(fan.get(f"/api/queue/{event_id}", X_Place_Token=token), "session_invalid", name)


def test_a_place_is_its_events_and_no_pass_nor_session(site: Site, event_id: int, fan: Fan) -> None:
    other, other_event = site.fan(), site.event(room=SLOW_DOOR)
    place = fan.poll(event_id).json["token"]
    for who, event, token in (
        (other, other_event, place),
        (fan, other_event, place),
        (fan, event_id, fan.token),
        (fan, event_id, fan.headers["X-Admission-Pass"]),
    ):
        for answer in (
            who.get(f"/api/queue/{event}", X_Place_Token=token),
            who.get(f"/api/queue/{event}?token={token}"),
            who.call("POST", f"/api/queue/{event}", headers={"X-Place-Token": token}),
        ):
            assert (answer.status, answer.code) == (401, "session_invalid")
    assert other.poll(event_id).code == "not_in_line"


def test_an_admitted_fans_place_token_opens_nothing_to_others(site: Site, event_id: int, fan: Fan) -> None:
    place, other = fan.poll(event_id).json["token"], site.fan()
    assert other.poll(event_id, place_token=place).code == "not_in_line"
    assert other.get(f"/api/reservations?eventId={event_id}", X_Place_Token=place).json == {"reservations": []}
    assert other.post("/api/reserve", {"eventId": event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}},
                      X_Place_Token=place).code == "not_admitted"  # fmt: skip
    assert fan.poll(event_id).json["state"] == "admitted"


def test_no_forged_pass_is_taken(site: Site, event_id: int, fan: Fan) -> None:
    body = {"eventId": event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}}
    before = site.bookings()
    for name, token in forgeries(site, fan.headers["X-Admission-Pass"], PASS):
        check_refused(fan.post("/api/reserve", body, X_Admission_Pass=token), "not_admitted", name)
    assert site.bookings() == before


def test_a_pass_is_its_fans_and_its_events(site: Site, event_id: int, fan: Fan) -> None:
    other_event = site.event()
    other, elsewhere = site.fan(), site.admitted_fan(other_event)
    before = site.bookings()
    for who, event, token in (
        (other, event_id, fan.headers["X-Admission-Pass"]),
        (other, event_id, elsewhere.headers["X-Admission-Pass"]),
        (fan, other_event, fan.headers["X-Admission-Pass"]),
        (fan, other_event, elsewhere.headers["X-Admission-Pass"]),
        (other, event_id, other.token),
        (other, event_id, fan.poll(event_id).json["token"]),
        (other, event_id, ""),
    ):
        body = {"eventId": event, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}}
        by_header = who.post("/api/reserve", body, X_Admission_Pass=token)
        assert (by_header.status, by_header.code) == (403, "not_admitted")
        cookie = f"admitone_pass_{event}={token}"
        by_cookie = who.post("/api/reserve", body, Cookie=cookie, X_Admission_Pass="")
        assert (by_cookie.status, by_cookie.code) == (403, "not_admitted")
    assert site.bookings() == before


def test_a_pass_given_up_is_worth_nothing(site: Site, event_id: int) -> None:
    fan = site.admitted_fan(event_id)
    place = fan.poll(event_id).json["token"]
    assert fan.leave(event_id).status == 204
    assert fan.reserve(event_id, best=(1, 1)).code == "not_admitted"
    replayed = fan.poll(event_id, place_token=place)
    assert replayed.status >= 400 or replayed.json["state"] != "admitted", replayed.content
    assert fan.reserve(event_id, best=(1, 1)).code == "not_admitted"


def test_a_key_is_its_fans(site: Site, event_id: int) -> None:
    """The same Idempotency-Key of two fans is two requests; neither hears of the other's."""
    one, two = site.admitted_fan(event_id), site.admitted_fan(event_id)
    first = one.reserve(event_id, [(2, 1, 1)], key="the same")
    second = two.reserve(event_id, [(2, 1, 2)], key="the same")
    assert first.json["jobId"] != second.json["jobId"]
    assert second.result["seats"][0]["seatNumber"] == 2
    assert two.job(first.json["jobId"]).code == "unknown_job"


# -- other fans' things


def test_what_is_one_fans_is_no_others(site: Site, event_id: int, described: list[Operation]) -> None:
    """Every described operation that names something by an id, asked for by the wrong people."""
    owner, thief = site.admitted_fan(event_id), site.admitted_fan(event_id)
    first = owner.hold(event_id, [(2, 3, 1)])
    job = owner.reserve(event_id, [(2, 3, 2)])
    hold = job.result
    bought = owner.checkout(event_id, first["reservationId"]).result
    ids = {
        "event_id": event_id,
        "eventId": event_id,
        "job_id": job.json["jobId"],
        "purchase_id": bought["purchaseId"],
        "reservation_id": hold["reservationId"],
        "passkey_id": "bm8gcGFzc2tleQ",
    }
    named = [operation for operation in described if any("_id" in name for name in operation.named("path"))]
    # What operators name by an id is all operators' (`test_operators_routes_are_operators`).
    personal = [
        one
        for one in named
        if set(one.named("path")) - {"event_id", "plan_version", "section_id"} and one.who != "operator"
    ]
    assert len(personal) >= 3
    private = [str(owner.user_id), *(detail["ticketCode"] for detail in bought["details"])]
    for operation in personal:
        assert operation.who != "nobody", operation.name
        for name in operation.named("path"):
            assert name in ids, f"{operation.name}: give the test an id of this kind"
        answer = operation.call(thief, ids=ids, headers={"Prefer": "wait=10"})
        unknown = operation.call(thief, ids=ids | dict.fromkeys(set(ids) - {"event_id", "eventId"}, NOBODY))
        assert answer.code, (operation.name, answer.content)
        assert answer.code not in ("invalid_request", "method_not_allowed"), (operation.name, answer.content)
        if operation.method == "GET":
            assert (answer.status, answer.code) == (unknown.status, unknown.code), "it tells what exists"
        for text in private:
            assert text not in answer.content.decode(), operation.name
        assert operation.call(site.client(), ids=ids).status == 401, operation.name
    taken = thief.checkout(event_id, hold["reservationId"])
    assert taken.code == "not_your_hold", taken.content
    assert thief.checkout(event_id, seats=[(2, 3, 2)]).code in ("hold_mismatch", "not_your_hold")
    assert thief.get("/api/purchases").json == {"purchases": []}
    assert thief.get(f"/api/reservations?eventId={event_id}").json == {"reservations": []}
    assert owner.get(f"/api/purchases/{bought['purchaseId']}").json["status"] == "confirmed"
    held = owner.get(f"/api/reservations?eventId={event_id}").json["reservations"]
    assert [one["reservationId"] for one in held] == [hold["reservationId"]]
    connection = thief._connect(10)
    connection.request(
        "GET", f"/purchases/{bought['purchaseId']}", headers={"Cookie": f"admitone_session={thief.token}"}
    )
    page = connection.getresponse()
    assert page.status == 404
    assert bought["details"][0]["ticketCode"] not in page.read().decode()
    connection.close()


# -- operators' routes


def test_every_operation_says_who_may(described: list[Operation]) -> None:
    assert {operation.name for operation in described if operation.who == "nobody"} == PUBLIC
    for operation in described:
        if operation.path.startswith("/api/ops/") and operation.name not in PUBLIC:
            assert operation.who == "operator", operation.name


def test_operators_routes_are_operators(site: Site, event_id: int, fan: Fan, described: list[Operation]) -> None:
    ours = [operation for operation in described if operation.who == "operator"]
    assert len(ours) >= 5
    operator = site.operator()
    before = operator.get(f"/api/ops/rooms/{event_id}").json["revision"]
    tokens = [fan.poll(event_id).json["token"], fan.headers["X-Admission-Pass"]]
    for operation in ours:
        ids = {"event_id": event_id}
        answer = operation.call(site.client(), ids=ids)
        assert (answer.status, answer.code) == (401, "unauthenticated"), operation.name
        answer = operation.call(fan, ids=ids)
        assert (answer.status, answer.code) == (403, "not_operator"), operation.name
        # A fan's session in the operators' cookie is still a fan's.
        answer = operation.call(site.client(), ids=ids, headers={"Cookie": f"admitone_operator={fan.token}"})
        assert (answer.status, answer.code) == (403, "not_operator"), operation.name
        for token in tokens:
            answer = operation.call(site.client(), ids=ids, headers={"Authorization": f"Bearer {token}"})
            assert (answer.status, answer.code) == (401, "session_invalid"), operation.name
    assert operator.get(f"/api/ops/rooms/{event_id}").json["revision"] == before


def test_fans_routes_need_a_fan(site: Site, event_id: int, described: list[Operation]) -> None:
    ours = [operation for operation in described if operation.who == "fan"]
    assert len(ours) >= 12
    operator = site.operator()
    before = site.bookings()
    for operation in ours:
        ids = {"event_id": event_id, "eventId": event_id}
        assert operation.call(site.client(), ids=ids).code == "unauthenticated", operation.name
        assert operation.call(operator, ids=ids).code == "unauthenticated", operation.name
    assert site.bookings() == before


# -- passwords

GUESSED = "Grace"
TIMED = "Zoe"
TRIES_OF_GUESSED = "tries:" + hashlib.sha256(GUESSED.encode()).hexdigest()[:32]


def login(site: Site, network: int, name: str, password: str, *, url: str = "", **headers: str) -> Answer:
    client = Client(url or site.url, source=f"127.7.{network}.1")
    return client.post("/api/ops/session", {"name": name, "password": password}, **headers)


def test_guessing_passwords_ends_soon(site: Site) -> None:
    # An operator of its own, whose delay meets no other test.
    add_operator(site.database_url, GUESSED, PASSWORD)
    codes = [login(site, 1, GUESSED, f"guess {number}").code for number in range(8)]
    assert codes[:5] == ["unauthenticated"] * 5
    assert "rate_limited" in codes[5:]
    with site.redis() as client:
        # Many tries later the next one waits for minutes, however slow this machine is.
        client.hset(TRIES_OF_GUESSED, mapping={"tries": 30, "next_at": 0})
    assert login(site, 1, GUESSED, "guess").code == "unauthenticated"
    # The right one does not get through either, and no header makes another network of it.
    assert login(site, 1, GUESSED, PASSWORD).code == "rate_limited"
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP"):
        value = "for=127.99.1.1" if header == "Forwarded" else "127.99.1.1"
        assert login(site, 1, GUESSED, "guess", **{header.replace("-", "_"): value}).code == "rate_limited", header
    neighbour = Client(site.url, source="127.7.1.77")
    assert neighbour.post("/api/ops/session", {"name": GUESSED, "password": "guess"}).code == "rate_limited"


@pytest.mark.long
def test_an_unknown_operator_takes_as_long(site: Site) -> None:
    """Median of nine each, turn about. Argon2 is tens of milliseconds; the answer without it is two."""
    passwords.hash_as_the_product()
    add_operator(site.database_url, TIMED, PASSWORD)
    # A fresh Python hashes as the product does, and a forked one with next to no work.
    url = site.services.gateway(PYTHONHASHSEED="7").url
    seconds: dict[str, list[float]] = {TIMED: [], "Nobody": []}
    login(site, 2, "Nobody", "warming up", url=url)
    for network in range(3, 12):
        for name, taken in seconds.items():
            started_at = time.perf_counter()
            with site.redis() as redis:
                # Else the account's delay would begin.
                redis.delete(*redis.keys("tries:*"))
            answer = login(site, network, name, "wrong", url=url)
            taken.append(time.perf_counter() - started_at)
            assert answer.code == "unauthenticated"
            assert name not in answer.content.decode()
    known, unknown = (statistics.median(taken) for taken in seconds.values())
    assert 0.6 < unknown / known < 1.7, seconds


@pytest.mark.parametrize("secret", ["", "short", "x" * 31, "x" * 40, "changeme" * 5, "secret" * 6, "01" * 20])
def test_production_refuses_what_anybody_could_guess(secret: str) -> None:
    with pytest.raises(SettingsError, match="ADMITONE_SECRET") as refused:
        Settings.load({"ADMITONE_ENV": "production", "ADMITONE_SECRET": secret})
    assert len(secret) < 8 or secret not in str(refused.value)


def test_production_takes_what_nobody_guesses() -> None:
    for secret in (secrets.token_urlsafe(24), secrets.token_hex(16)):
        Settings.load({"ADMITONE_ENV": "production", "ADMITONE_SECRET": secret})


def test_tokens_and_passwords_are_in_no_log(site: Site, event_id: int, fan: Fan) -> None:
    """Last of the module: by now every kind has come by, good and bad."""
    place = fan.poll(event_id).json["token"]
    assert fan.get(f"/api/queue/{event_id}?token={place}").status == 200
    for service in site.services.started:
        text = service.text()
        for secret in ("eyJ", PASSWORD, site.services.environ["ADMITONE_SECRET"], "guess 1"):
            assert secret not in text, (service.name, secret)
        assert "Traceback" not in text, text[-3000:]
