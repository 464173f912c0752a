"""Reserve, checkout, release, their jobs and the Idempotency-Key: through two gateways and real workers."""

from __future__ import annotations

import base64
import datetime as dt
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import psycopg
import pytest

from admitone.fan.captcha import payload, solve
from admitone.fan.seats import seat_details, seats_of
from booking_lane.results import job_key
from db.events.seed import RoomSeed, TicketTypePlan, create_event
from tests.acceptance.conftest import Site
from tests.client import Answer, Fan, solve_captcha
from tests.factories import OPEN_DOOR, plan_event
from tests.waiting import await_that
from waiting_room.tokens import AdmissionPass, PlaceToken, Tokens

GATEWAYS = 2
HOLD_MINUTES = 10


@pytest.fixture(scope="module")
def event_id(site: Site) -> int:
    """A large hall for tests that take different seats of it, row by row."""
    hall = (TicketTypePlan(ticket_type="General", price=4900, rows=100, seats_per_row=60),)
    return site.event(hall=hall, seats_per_fan_max=60)


@pytest.fixture
def fan(site: Site, event_id: int) -> Fan:
    return site.admitted_fan(event_id)


def holds_of(fan: Fan, event_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fan.get(f"/api/reservations?eventId={event_id}").json["reservations"]
    return found


# -- reserve


def test_a_reserve_is_accepted_and_its_job_tells_the_rest(site: Site, event_id: int, fan: Fan) -> None:
    accepted = fan.reserve(event_id, [(1, 1, 1)], wait=0)
    assert accepted.status == 202
    assert set(accepted.json) == {"jobId", "status", "href"}
    assert accepted.json["status"] == "queued"
    assert accepted.json["href"] == accepted.headers["Location"] == f"/api/jobs/{accepted.json['jobId']}"
    assert uuid.UUID(accepted.json["jobId"]).version == 7
    # The long-poll sits on another gateway than the POST did.
    finished = fan.at(site.gateways[1].url).job(accepted.json["jobId"], wait="10")
    fan.note("reserve", event_id, finished)
    assert finished.json["kind"] == "reserve"
    hold = finished.result
    assert set(hold) >= {"reservationId", "expiresAt", "totalAmount", "currency", "seats", "version"}
    assert (hold["totalAmount"], hold["currency"], seats_of(hold["seats"])) == (4900, "EUR", [(1, 1, 1)])
    ends_in = dt.datetime.fromisoformat(hold["expiresAt"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=HOLD_MINUTES, seconds=-30) < ends_in <= dt.timedelta(minutes=HOLD_MINUTES, seconds=1)
    assert fan.job(accepted.json["jobId"]).json == finished.json, "a job's answer stays what it was"


def test_prefer_wait_gives_the_finished_job(event_id: int, fan: Fan) -> None:
    body = {"eventId": event_id, "seatDetails": seat_details([(1, 1, 2)])}
    for prefer in ("wait=10", "respond-async, wait=10", "Wait = 10", "wait=999"):
        answer = fan.post("/api/reserve", body, Prefer=prefer)
        fan.note("reserve", event_id, answer)
        assert answer.status == 200, prefer
        assert answer.json["status"] == "succeeded"
        assert set(answer.json) == {"jobId", "kind", "status", "result"}
    for prefer in ("wait=0", "wait=-1", "wait=abc", "wait", "return=minimal", "wait=²"):
        answer = fan.call("POST", "/api/reserve", body, headers={"Prefer": prefer.encode().decode("latin-1")})
        assert answer.status == 202, prefer


def test_seats_are_named_by_arrays_pairwise(event_id: int, fan: Fan) -> None:
    details = [
        {"ticketTypeId": 1, "metaData": {"rowNumbers": [2, 3, 2], "seatNumbers": [1, 1, 2]}},
        {"ticketTypeId": 1, "metaData": {"rowNumbers": [3], "seatNumbers": [60]}},
    ]
    answer = fan.post("/api/reserve", {"eventId": event_id, "seatDetails": details}, Prefer="wait=10")
    fan.note("reserve", event_id, answer)
    assert seats_of(answer.result["seats"]) == [(1, 2, 1), (1, 2, 2), (1, 3, 1), (1, 3, 60)]
    assert answer.result["totalAmount"] == 4 * 4900


def test_a_hold_of_two_ticket_types_costs_both_prices(site: Site) -> None:
    event_id = site.event()
    hold = site.admitted_fan(event_id).hold(event_id, [(2, 1, 1), (1, 1, 1), (1, 1, 2)])
    assert hold["totalAmount"] == 12900 + 2 * 4900
    assert [seat["ticketTypeId"] for seat in hold["seats"]] == [1, 1, 2]


def test_best_available_gives_neighbours_of_one_row(site: Site) -> None:
    hall = (TicketTypePlan(ticket_type="General", price=100, rows=3, seats_per_row=8),)
    event_id = site.event(hall=hall, seats_per_fan_max=20)
    other = site.admitted_fan(event_id)
    other.hold(event_id, [(1, 1, 3), (1, 1, 6), (1, 2, 5)])
    free = {(1, row, seat) for row in (1, 2, 3) for seat in range(1, 9)} - {(1, 1, 3), (1, 1, 6), (1, 2, 5)}
    # All at once, for the door lets in no more fans than there are seats for.
    fans = [site.admitted_fan(event_id) for _ in range(8)]
    for fan, quantity in zip(fans, (2, 8, 4, 3, 2, 1, 1), strict=False):
        seats = seats_of(fan.reserve(event_id, best=(1, quantity)).result["seats"])
        assert len(seats) == quantity
        assert set(seats) <= free
        assert len({row for _, row, _ in seats}) == 1, "one row"
        numbers = [number for _, _, number in seats]
        assert numbers == list(range(numbers[0], numbers[0] + quantity)), "neighbours"
        free -= set(seats)
    refused = fans[-1].reserve(event_id, best=(1, 20))
    assert (refused.json["status"], refused.code, refused.problem["status"]) == ("failed", "no_block", 409)


def test_taken_seats_are_listed_and_nothing_of_the_rest_is_kept(site: Site, event_id: int, fan: Fan) -> None:
    fan.hold(event_id, [(1, 4, 1), (1, 4, 3)])
    site.admitted_fan(event_id).buy(event_id, [(1, 4, 5)])
    other = site.admitted_fan(event_id)
    refused = other.reserve(event_id, [(1, 4, seat) for seat in (1, 2, 3, 4, 5, 6)])
    assert refused.status == 200, "the job finished; what failed is the booking"
    assert (refused.json["status"], refused.code, refused.problem["status"]) == ("failed", "seats_taken", 409)
    assert seats_of(refused.problem["seats"]) == [(1, 4, 1), (1, 4, 3), (1, 4, 5)]
    assert "result" not in refused.json
    assert holds_of(other, event_id) == []
    other.hold(event_id, [(1, 4, seat) for seat in (2, 4, 6)])


def test_unknown_seats_are_listed(event_id: int, fan: Fan) -> None:
    refused = fan.reserve(event_id, [(1, 5, 1), (1, 5, 61), (1, 101, 1), (7, 5, 1)])
    assert (refused.code, refused.problem["status"]) == ("unknown_seats", 404)
    assert seats_of(refused.problem["seats"]) == [(1, 5, 61), (1, 101, 1), (7, 5, 1)]
    assert fan.reserve(event_id, best=(7, 1)).code == "unknown_seats"
    assert holds_of(fan, event_id) == []


def test_a_fan_has_so_many_seats_held_and_bought(site: Site) -> None:
    event_id = site.event(seats_per_fan_max=3)
    fan = site.admitted_fan(event_id)
    assert fan.reserve(event_id, [(1, 1, seat) for seat in (1, 2, 3, 4)]).code == "limit_exceeded"
    assert fan.reserve(event_id, best=(1, 4)).code == "limit_exceeded"
    fan.buy(event_id, [(1, 1, 1)])
    # The line hears of a purchase a moment after its fan; a join before that finds the old place.
    await_that(lambda: fan.poll(event_id).json["state"] == "done")
    fan.join(event_id)
    fan.hold(event_id, [(1, 1, 2)])
    refused = fan.reserve(event_id, [(1, 1, 3), (1, 1, 4)])
    assert (refused.code, refused.problem["status"]) == ("limit_exceeded", 403)
    last = fan.hold(event_id, [(1, 1, 3)])
    assert fan.reserve(event_id, best=(1, 1)).code == "limit_exceeded"
    fan.release(event_id, last["reservationId"])
    fan.hold(event_id, [(1, 1, 4)])


def test_the_limit_holds_against_a_fan_in_a_hurry(site: Site) -> None:
    event_id = site.event(seats_per_fan_max=2)
    fan = site.admitted_fan(event_id)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda seat: fan.reserve(event_id, [(1, 2, seat % 10 + 1)]), range(10)))
    assert sorted(answer.code for answer in answers) == [""] * 2 + ["limit_exceeded"] * 8
    assert len(holds_of(fan, event_id)) == 2


def test_sold_out_is_said_when_nothing_can_return(site: Site) -> None:
    hall = (TicketTypePlan(ticket_type="Box", price=100, rows=1, seats_per_row=3),)
    event_id = site.event(hall=hall)
    first, second, late = (site.admitted_fan(event_id) for _ in range(3))
    first.buy(event_id, [(1, 1, 1), (1, 1, 2)])
    held = second.hold(event_id, [(1, 1, 3)])
    waiting = late.reserve(event_id, best=(1, 1))
    assert waiting.code == "no_block", "a held seat may still return"
    second.checkout(event_id, held["reservationId"])
    sold_out = late.reserve(event_id, best=(1, 1))
    assert (sold_out.code, sold_out.problem["status"]) == ("sold_out", 409)


def test_nothing_is_sold_before_the_sale(site: Site) -> None:
    behind_a_door = site.event(on_sale_in=dt.timedelta(hours=1))
    waiting = site.fan()
    assert waiting.join(behind_a_door).json["state"] == "waiting", "nobody is admitted before the sale"
    assert waiting.reserve(behind_a_door, [(1, 1, 1)]).code == "not_admitted"
    event_id = site.event(on_sale_in=dt.timedelta(seconds=3), room=RoomSeed(state="off"))
    fan = site.fan()
    early = fan.reserve(event_id, [(1, 1, 1)])
    assert (early.code, early.problem["status"]) == ("not_on_sale", 403)
    until = time.monotonic() + 6
    while (answer := fan.reserve(event_id, [(1, 1, 1)])).code == "not_on_sale":
        assert time.monotonic() < until
        time.sleep(0.2)
    assert answer.json["status"] == "succeeded"


def test_the_same_seats_again_are_the_same_hold_and_its_end(site: Site, event_id: int, fan: Fan) -> None:
    first = fan.hold(event_id, [(1, 6, 1), (1, 6, 2)])
    time.sleep(0.05)
    again = fan.at(site.gateways[1].url).hold(event_id, [(1, 6, 2), (1, 6, 1)])
    assert (again["reservationId"], again["expiresAt"]) == (first["reservationId"], first["expiresAt"])
    assert len(holds_of(fan, event_id)) == 1
    for overlap in ([(1, 6, 1)], [(1, 6, 1), (1, 6, 2), (1, 6, 3)], [(1, 6, 2), (1, 6, 3)]):
        refused = fan.reserve(event_id, overlap)
        assert refused.code == "seats_taken"
        assert set(seats_of(refused.problem["seats"])) == set(overlap) & {(1, 6, 1), (1, 6, 2)}
    assert len(holds_of(fan, event_id)) == 1


# -- admission


def test_reserve_needs_a_living_pass(site: Site, event_id: int) -> None:
    outsider, insider = site.fan(), site.admitted_fan(event_id)
    elsewhere = site.admitted_fan(site.event())
    tokens = Tokens(site.services.environ["ADMITONE_SECRET"], place_seconds=600, hold_seconds=600)
    now_ms = int(time.time() * 1000)
    forger = Tokens("somebody else's secret, long enough", place_seconds=600, hold_seconds=600)
    mine = AdmissionPass(event=event_id, fan=outsider.user_id, until_ms=now_ms + 60_000)
    place = PlaceToken(
        event=event_id, fan=outsider.user_id, epoch=1, number=1, joined_at_ms=now_ms, session="x"
    )  # fmt: skip
    passes = {
        "none": "",
        "words": "let me in",
        "forged": forger.sign_pass(mine),
        "alg none": jwt.encode(
            {"event": event_id, "fan": outsider.user_id, "until_ms": now_ms + 60_000, "exp": 4e9}, "", algorithm="none"
        ),
        "somebody else's": insider.headers["X-Admission-Pass"],
        "another event's": elsewhere.headers["X-Admission-Pass"],
        "expired": tokens.sign_pass(
            AdmissionPass(event=event_id, fan=outsider.user_id, until_ms=now_ms - 3_600_000)
        ),
        "well signed, yet never admitted": tokens.sign_pass(mine),
        "a place": tokens.sign_place(place),
        "a session": outsider.token,
        "long": "x" * 5000,
    }  # fmt: skip
    before = site.bookings()
    for name, token in passes.items():
        outsider.headers["X-Admission-Pass"] = token
        refused = outsider.reserve(event_id, [(1, 7, 1)])
        assert (refused.status, refused.code) == (403, "not_admitted"), name
        assert refused.json["href"] == f"/api/queue/{event_id}"
    assert site.bookings() == before
    # As a cookie it counts as well.
    del outsider.headers["X-Admission-Pass"]
    joined = outsider.post(f"/api/queue/{event_id}").json
    outsider.headers["Cookie"] = f"admitone_pass_{event_id}={joined['pass']}"
    outsider.hold(event_id, [(1, 7, 1)])
    outsider.leave(event_id)
    assert outsider.reserve(event_id, [(1, 7, 2)]).code == "not_admitted", "who left holds no pass"


def test_a_pass_ends(site: Site) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=600_000, capacity=100, pass_seconds=1))
    fan = site.admitted_fan(event_id)
    time.sleep(1.1)
    refused = fan.reserve(event_id, [(1, 1, 1)])
    assert (refused.status, refused.code) == (403, "not_admitted")


def test_a_purchase_ends_the_admission_and_a_hold_prolongs_it(site: Site) -> None:
    event_id = site.event(room=RoomSeed(rate_per_minute=600_000, capacity=100, pass_seconds=2))
    fan = site.admitted_fan(event_id)
    hold = fan.hold(event_id, [(1, 1, 1)])
    time.sleep(2.1)
    fan.hold(event_id, [(1, 1, 2)])
    fan.checkout(event_id, hold["reservationId"])
    await_that(lambda: fan.poll(event_id).json["state"] == "done")
    assert fan.reserve(event_id, [(1, 1, 3)]).code == "not_admitted"


def test_without_a_room_nobody_needs_a_pass(site: Site) -> None:
    event_id = site.event(room=RoomSeed(state="off"))
    fan = site.fan()
    fan.buy(event_id, [(1, 1, 1)])
    fan.hold(event_id, [(1, 1, 2)])


def test_a_new_events_door_is_shut_from_the_first_moment(site: Site) -> None:
    """No gateway has read its room yet."""
    event_id = site.event()
    for gateway in (0, 1):
        assert site.fan(gateway).reserve(event_id, [(1, 1, 1)]).code == "not_admitted"


def test_checkout_and_release_need_the_hold_not_the_pass(event_id: int, fan: Fan) -> None:
    bought, released = fan.hold(event_id, [(1, 8, 1)]), fan.hold(event_id, [(1, 8, 2)])
    fan.leave(event_id)
    del fan.headers["X-Admission-Pass"]
    assert fan.checkout(event_id, bought["reservationId"]).json["status"] == "succeeded"
    assert fan.release(event_id, released["reservationId"]).json["status"] == "succeeded"


# -- checkout


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("token_name", ["captchaToken", "recaptchaToken"])
def test_a_hold_is_bought_by_its_id_or_its_seats(site: Site, method: str, token_name: str) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    by_id = fan.hold(event_id, [(1, 1, 1), (2, 1, 1)])
    by_seats = fan.hold(event_id, [(1, 2, 1), (1, 2, 2)])
    purchase = fan.checkout(event_id, by_id["reservationId"], method=method, token_name=token_name).result
    assert set(purchase) >= {
        "purchaseId", "eventId", "userId", "totalAmount", "currency", "purchaseAt", "status", "details",
    }  # fmt: skip
    assert (purchase["eventId"], purchase["userId"], purchase["status"]) == (event_id, fan.user_id, "confirmed")
    assert (purchase["totalAmount"], purchase["currency"]) == (4900 + 12900, "EUR")
    assert seats_of(purchase["details"]) == [(1, 1, 1), (2, 1, 1)]
    for detail in purchase["details"]:
        assert set(detail) >= {"ticketTypeId", "ticketType", "rowNumber", "seatNumber", "amount", "ticketCode"}
    assert [detail["ticketType"] for detail in purchase["details"]] == ["General", "VIP"]
    assert len({detail["ticketCode"] for detail in purchase["details"]}) == 2
    second = fan.checkout(
        event_id, seats=[(1, 2, 2), (1, 2, 1)], method=method, token_name=token_name
    ).result  # fmt: skip
    assert seats_of(second["details"]) == seats_of(by_seats["seats"])
    assert holds_of(fan, event_id) == []


def test_the_captcha_comes_before_any_job(site: Site, event_id: int, fan: Fan) -> None:
    offer = site.client().get("/api/captcha").json
    assert offer["provider"] == "altcha"
    assert offer["challengeHref"] == "/api/captcha/challenge"
    assert "checkout" in offer["requiredFor"]
    challenge = site.client().get("/api/captcha/challenge").json
    assert set(challenge) >= {"algorithm", "challenge", "salt", "signature", "maxnumber"}
    hold = fan.hold(event_id, [(1, 9, 1)])
    before = site.bookings()
    forged = challenge | {"signature": "0" * 64}
    wrong = {
        "missing": "",
        "words": "I am no robot",
        "not base64": "%%%%",
        "base64 of nothing": base64.b64encode(b"{}").decode(),
        "wrong number": payload(challenge, challenge["maxnumber"] + 1),
        "forged": payload(forged, 1),
        "long": "x" * 8192,
    }
    for name, token in wrong.items():
        refused = fan.checkout(event_id, hold["reservationId"], captcha=token)
        assert (refused.status, refused.code) == (403, "captcha_failed"), name
        assert "jobId" not in refused.json
    assert site.bookings() == before
    assert fan.checkout(event_id, hold["reservationId"]).json["status"] == "succeeded"


def test_one_solution_serves_one_command(site: Site, event_id: int, fan: Fan) -> None:
    first, second = fan.hold(event_id, [(1, 10, 1)]), fan.hold(event_id, [(1, 10, 2)])
    token = solve_captcha(fan)
    bought = fan.checkout(event_id, first["reservationId"], captcha=token, key="first")
    assert bought.json["status"] == "succeeded"
    reused = fan.checkout(event_id, second["reservationId"], captcha=token, key="second")
    assert (reused.status, reused.code) == (403, "captcha_failed")
    other = site.admitted_fan(event_id)
    held = other.hold(event_id, [(1, 10, 3)])
    assert other.checkout(event_id, held["reservationId"], captcha=token).code == "captcha_failed"
    # A retry of the same command is no second use, with the used token, with another, and with none.
    for captcha in (token, solve_captcha(fan), ""):
        again = fan.at(site.gateways[1].url).checkout(event_id, first["reservationId"], captcha=captcha, key="first")
        assert again.json == bought.json


def test_a_client_that_does_what_the_refusal_says_goes_on_buying(site: Site) -> None:
    """It asks for its challenges without its session, as one may, until its network has bought two limits' worth."""
    with psycopg.connect(site.database_url) as connection:
        # `make_event` would take the limits of networks off.
        event_id = create_event(connection, plan_event())

    def held(seats: int = 10) -> tuple[Fan, str]:
        fan = site.admitted_fan(event_id)
        return fan, str(fan.reserve(event_id, best=(1, seats)).result["reservationId"])

    for _ in range(2):
        fan, hold = held()
        assert fan.checkout(event_id, hold, captcha=solve_captcha(site.client())).json["status"] == "succeeded"
    fan, hold = held()
    for _ in range(2):
        job = fan.checkout(event_id, hold, captcha=solve_captcha(site.client())).json
        assert job["status"] == "failed", job
        assert job["problem"]["code"] == "captcha_required"
    detail = job["problem"]["detail"]
    assert "GET /api/captcha/challenge with the session" in detail
    assert "Authorization" in detail
    assert "a new Idempotency-Key" in detail
    challenge = fan.get("/api/captcha/challenge", Authorization=f"Bearer {fan.token}").json
    bought = fan.checkout(event_id, hold, captcha=solve(challenge), key="a new one")
    assert bought.json["status"] == "succeeded", bought.content
    fan, hold = held(1)
    job = fan.checkout(event_id, hold, captcha=solve_captcha(site.client())).json
    assert job["problem"]["code"] == "captcha_required", "the proof was that fan's alone"


def test_what_is_bought_must_be_ones_own_live_hold(site: Site, event_id: int, fan: Fan) -> None:
    other = site.admitted_fan(event_id)
    hold = fan.hold(event_id, [(1, 11, 1), (1, 11, 2)])
    stolen = other.checkout(event_id, hold["reservationId"])
    assert (stolen.code, stolen.problem["status"]) == ("not_your_hold", 403)
    assert other.checkout(event_id, seats=[(1, 11, 1), (1, 11, 2)]).code == "not_your_hold"
    for seats in ([(1, 11, 1)], [(1, 11, 1), (1, 11, 2), (1, 11, 3)], [(1, 11, 3)], [(1, 12, 1)]):
        refused = fan.checkout(event_id, seats=seats)
        assert (refused.code, refused.problem["status"]) == ("hold_mismatch", 409), seats
    assert fan.checkout(event_id, str(uuid.uuid4())).code == "hold_mismatch"
    elsewhere = site.event()
    assert fan.checkout(elsewhere, hold["reservationId"]).code == "hold_mismatch"
    assert other.release(event_id, hold["reservationId"]).code == "not_your_hold"
    assert other.release(event_id, str(uuid.uuid4())).code == "hold_mismatch"
    assert [kept["reservationId"] for kept in holds_of(fan, event_id)] == [hold["reservationId"]]
    fan.checkout(event_id, hold["reservationId"])


def test_a_second_checkout_returns_the_same_purchase(site: Site, event_id: int, fan: Fan) -> None:
    hold = fan.hold(event_id, [(1, 12, 1), (1, 12, 2)])
    first = fan.checkout(event_id, hold["reservationId"]).result
    again = fan.at(site.gateways[1].url).checkout(event_id, hold["reservationId"]).result
    assert again | {"version": 0} == first | {"version": 0}
    assert fan.checkout(event_id, seats=[(1, 12, 1), (1, 12, 2)]).code == "hold_mismatch", "seats name a live hold"
    assert len(fan.get("/api/purchases").json["purchases"]) == 1
    assert fan.release(event_id, hold["reservationId"]).code == "hold_mismatch", "bought is bought"
    assert site.admitted_fan(event_id).checkout(event_id, hold["reservationId"]).code == "not_your_hold"


def test_checkouts_at_once_make_one_purchase(site: Site, event_id: int, fan: Fan) -> None:
    hold = fan.hold(event_id, [(1, 13, 1)])
    tokens = [solve_captcha(fan) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda pair: fan.at(site.gateways[pair[0] % 2].url).checkout(
                    event_id, hold["reservationId"], captcha=pair[1]
                ),
                enumerate(tokens),
            )
        )
    assert len({answer.result["purchaseId"] for answer in answers}) == 1


def test_a_released_seat_is_free_at_once(site: Site, event_id: int, fan: Fan) -> None:
    hold = fan.hold(event_id, [(1, 14, 1), (1, 14, 2)])
    accepted = fan.release(event_id, hold["reservationId"], wait=0)
    assert accepted.status == 202
    released = fan.job(accepted.json["jobId"], wait="10")
    assert released.json["kind"] == "release"
    fan.note("release", event_id, released)
    assert released.result["reservationId"] == hold["reservationId"]
    assert site.admitted_fan(event_id).hold(event_id, [(1, 14, 1)])["reservationId"] != hold["reservationId"]
    again = fan.release(event_id, hold["reservationId"])
    assert again.json["status"] == "succeeded", "released is released"
    assert fan.checkout(event_id, hold["reservationId"]).code == "hold_expired"
    assert holds_of(fan, event_id) == []


# -- what one has


def test_holds_are_listed_for_their_fan(site: Site, event_id: int, fan: Fan) -> None:
    first, second = fan.hold(event_id, [(1, 15, 1)]), fan.hold(event_id, [(1, 15, 2), (1, 15, 3)])
    listed = holds_of(fan.at(site.gateways[1].url), event_id)
    assert [hold["reservationId"] for hold in listed] == [first["reservationId"], second["reservationId"]]
    for told, hold in zip((first, second), listed, strict=True):
        assert (hold["expiresAt"], hold["totalAmount"], hold["currency"], hold["eventId"]) == (
            told["expiresAt"], told["totalAmount"], told["currency"], event_id,
        )  # fmt: skip
        assert seats_of(hold["seats"]) == seats_of(told["seats"])
    assert holds_of(site.fan(), event_id) == []
    assert holds_of(fan, site.event()) == []


def test_purchases_are_ones_own(site: Site, event_id: int, fan: Fan) -> None:
    elsewhere = site.event()
    first = fan.buy(event_id, [(1, 16, 1), (1, 16, 2)])
    fan.join(elsewhere)
    second = fan.buy(elsewhere, [(2, 1, 1)])
    listed = fan.at(site.gateways[1].url).get("/api/purchases").json["purchases"]
    assert [purchase["purchaseId"] for purchase in listed] == [second["purchaseId"], first["purchaseId"]]
    for told, purchase in zip((second, first), listed, strict=True):
        one = fan.get(f"/api/purchases/{told['purchaseId']}").json
        assert one == purchase
        for name in ("eventId", "userId", "totalAmount", "currency", "purchaseAt", "status"):
            assert one[name] == told[name], name
        kept = [{key: detail[key] for key in told["details"][0]} for detail in one["details"]]
        assert kept == told["details"]
    other = site.fan()
    for purchase_id in (first["purchaseId"], str(uuid.uuid4())):
        refused = other.get(f"/api/purchases/{purchase_id}")
        assert (refused.status, refused.code) == (404, "unknown_purchase")
    assert other.get("/api/purchases").json == {"purchases": []}


# -- jobs


def test_a_job_is_its_fans_own(site: Site, event_id: int, fan: Fan) -> None:
    job_id = fan.reserve(event_id, [(1, 17, 1)]).json["jobId"]
    for asker, asked in ((site.fan(), job_id), (fan, str(uuid.uuid4())), (site.fan(), str(uuid.uuid4()))):
        for wait in ("", "20"):
            started = time.monotonic()
            refused = asker.job(asked, wait=wait)
            assert (refused.status, refused.code) == (404, "unknown_job")
            assert time.monotonic() - started < 10, "nothing to wait for"


def test_a_result_outlives_redis(site: Site, event_id: int, fan: Fan) -> None:
    told = fan.reserve(event_id, [(1, 18, 1)], key="lasting")
    with site.redis() as redis:
        assert redis.delete(job_key(uuid.UUID(told.json["jobId"]))) == 1
    for gateway in site.gateways:
        for wait in ("", "2"):
            assert fan.at(gateway.url).job(told.json["jobId"], wait=wait).json == told.json
    assert site.fan().job(told.json["jobId"]).code == "unknown_job"
    assert fan.reserve(event_id, [(1, 18, 1)], key="lasting").json == told.json
    with site.redis() as redis:
        redis.delete(job_key(uuid.UUID(told.json["jobId"])))
    assert fan.reserve(event_id, [(1, 18, 2)], key="lasting").code == "idempotency_key_reused"


def test_a_long_poll_waits_as_long_as_asked_and_no_longer(site: Site) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    fan.hold(event_id, [(1, 1, 1)])
    with psycopg.connect(site.database_url) as connection:
        # The lane waits for the event's row: a command is under way for as long as this transaction.
        connection.execute("SELECT 1 FROM ticket WHERE event_id = %s FOR UPDATE", (event_id,))
        started = time.monotonic()
        queued = fan.reserve(event_id, [(1, 1, 2)], wait=1)
        assert queued.status == 202, "not finished in the time preferred"
        # Far from the longest wait (30 s), also on a busy machine.
        assert 0.9 < time.monotonic() - started < 10
        started = time.monotonic()
        polled = fan.job(queued.json["jobId"], wait="0.5")
        assert polled.json == {"jobId": queued.json["jobId"], "kind": "reserve", "status": "queued"}
        assert 0.4 < time.monotonic() - started < 10
        assert fan.job(queued.json["jobId"]).json["status"] == "queued"
        with ThreadPoolExecutor(2) as pool:
            waiting = [
                pool.submit(fan.at(gateway.url).job, queued.json["jobId"], wait="30") for gateway in site.gateways
            ]
            time.sleep(0.3)
            connection.rollback()
            started = time.monotonic()
            finished = [future.result() for future in waiting]
            assert time.monotonic() - started < 15, "told when it is done, at both gateways"
    assert {answer.json["status"] for answer in finished} == {"succeeded"}
    fan.note("reserve", event_id, finished[0])


# -- the Idempotency-Key


def test_a_retry_gets_the_first_outcome(site: Site, event_id: int, fan: Fan) -> None:
    first = fan.reserve(event_id, [(1, 20, 1)], key="k1")
    for gateway in site.gateways:
        again = fan.at(gateway.url).reserve(event_id, [(1, 20, 1)], key="k1")
        assert again.json == first.json
        later = fan.at(gateway.url).reserve(event_id, [(1, 20, 1)], key="k1", wait=0)
        assert later.json == first.json
    failed = fan.reserve(event_id, [(1, 20, 1), (1, 20, 2)], key="k2")
    assert failed.code == "seats_taken"
    fan.release(event_id, first.result["reservationId"])
    assert fan.reserve(event_id, [(1, 20, 1), (1, 20, 2)], key="k2").json == failed.json, "a failure too is an outcome"
    assert fan.reserve(event_id, [(1, 20, 1)], key="k1").json == first.json, "released since, told as it was"
    assert holds_of(fan, event_id) == []


def test_a_retry_needs_no_pass_and_no_captcha(event_id: int, fan: Fan) -> None:
    held = fan.reserve(event_id, [(1, 21, 1)], key="hold")
    bought = fan.checkout(event_id, held.result["reservationId"], key="buy")
    # The purchase ended the pass, and the captcha is used.
    del fan.headers["X-Admission-Pass"]
    assert fan.reserve(event_id, [(1, 21, 1)], key="hold").json == held.json
    assert fan.checkout(event_id, held.result["reservationId"], key="buy", captcha="").json == bought.json


def test_a_key_belongs_to_one_request(event_id: int, fan: Fan) -> None:
    hold = fan.reserve(event_id, [(1, 22, 1)], key="mine").result
    others: list[Answer] = [
        fan.reserve(event_id, [(1, 22, 2)], key="mine"),
        fan.reserve(event_id, [(1, 22, 1), (1, 22, 2)], key="mine"),
        fan.reserve(event_id, best=(1, 1), key="mine"),
        fan.checkout(event_id, hold["reservationId"], key="mine"),
        fan.release(event_id, hold["reservationId"], key="mine"),
    ]
    for answer in others:
        assert (answer.status, answer.code) == (422, "idempotency_key_reused")
    bought = fan.checkout(event_id, hold["reservationId"], key="bought")
    assert bought.json["status"] == "succeeded"
    assert fan.checkout(event_id, seats=[(1, 22, 1)], key="bought").code == "idempotency_key_reused"


def test_a_key_belongs_to_one_fan(site: Site, event_id: int, fan: Fan) -> None:
    other = site.admitted_fan(event_id)
    mine = fan.reserve(event_id, [(1, 23, 1)], key="same words")
    theirs = other.reserve(event_id, [(1, 23, 2)], key="same words")
    assert theirs.json["status"] == "succeeded"
    assert theirs.json["jobId"] != mine.json["jobId"]
    third = site.admitted_fan(event_id).reserve(event_id, [(1, 23, 1)], key="same words")
    assert third.code == "seats_taken"


@pytest.mark.parametrize("wait", [10, 0])
def test_ten_at_once_are_one(site: Site, event_id: int, fan: Fan, wait: int) -> None:
    row = 24 + (wait > 0)
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(
                lambda number: fan.at(site.gateways[number % 2].url).reserve(
                    event_id, best=(1, 2), key=f"ten-{row}", wait=wait
                ),
                range(10),
            )
        )
    jobs = {answer.json["jobId"] for answer in answers}
    assert len(jobs) == 1
    outcome = fan.job(jobs.pop(), wait="10")
    fan.note("reserve", event_id, outcome)
    assert {answer.json["result"]["reservationId"] for answer in answers if "result" in answer.json} <= {
        outcome.result["reservationId"]
    }
    if wait:
        assert all(answer.json == outcome.json for answer in answers)
    assert [hold["reservationId"] for hold in holds_of(fan, event_id)] == [outcome.result["reservationId"]]


def test_keys_of_any_printable_shape(event_id: int, fan: Fan) -> None:
    for number, key in enumerate(("x", "x" * 128, '"quoted"', "a b", "../../etc", "job:1", "%00")):
        first = fan.reserve(event_id, [(1, 26, number + 1)], key=key)
        assert first.json["status"] == "succeeded", key
        assert fan.reserve(event_id, [(1, 26, number + 1)], key=key).json == first.json
    for key in ("x" * 129, "x" * 5000):
        refused = fan.reserve(event_id, [(1, 26, 20)], key=key)
        assert (refused.status, refused.code) == (400, "invalid_request")


# -- too much


def test_more_than_the_lanes_take_is_refused_whole(site: Site) -> None:
    """A gateway whose lane holds one waiting command, behind a row somebody else has locked."""
    event_id = site.event(room=OPEN_DOOR)
    gateway = site.services.gateway(ADMITONE_LANE_BUFFER_MAX="1", ADMITONE_BATCHES_UNFINISHED_MAX="1")
    fans = [site.admitted_fan(event_id).at(gateway.url) for _ in range(8)]
    fans[0].hold(event_id, [(1, 5, 10)])
    locked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with (
        psycopg.connect(site.database_url, autocommit=True) as looking,
        psycopg.connect(site.database_url) as connection,
    ):
        connection.execute("SELECT 1 FROM ticket WHERE event_id = %s FOR UPDATE", (event_id,))
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(fans[0].reserve, event_id, [(1, 1, 1)])]
            # The first is under way before the others come: of eight that are read in one turn only one is taken.
            await_that(lambda: looking.execute(locked).fetchone() != (0,), what="the first waits for the row")
            futures += [pool.submit(fan.reserve, event_id, [(1, 1, number)]) for number, fan in enumerate(fans[1:], 2)]
            until = time.monotonic() + 5
            while sum(future.done() for future in futures) < 6:
                assert time.monotonic() < until, "nobody was refused"
                time.sleep(0.05)
            refused = [future.result() for future in futures if future.done()]
            unread = fans[0].reserve(event_id + 1_000_000, [(1, 1, 1)])
            connection.rollback()
            taken = [future.result() for future in futures if future.result() not in refused]
    assert {(answer.status, answer.code) for answer in refused} == {(503, "overloaded")}
    assert unread.code == "overloaded", "nobody reads what the lane would not take"
    assert len(taken) == 2
    assert all(answer.json["status"] == "succeeded" for answer in taken)
    assert sum(len(holds_of(fan, event_id)) for fan in fans) == 2 + 1
    gateway.stop()
