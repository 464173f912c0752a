"""Hall plans over HTTP: the overview, the sections, and what their caches may keep."""

from __future__ import annotations

from typing import Any

import psycopg

from db.events.seed import TicketTypePlan
from db.rehearsals.rehearsals import copy_event, remove_copy
from tests.acceptance.conftest import Site
from tests.client import Answer, Client
from tests.waiting import await_that

GATEWAYS = 2

OVERVIEW_BYTES_MAX = 30_000
SECTION_SEATS_MAX = 4_000
STADIUM = tuple(
    TicketTypePlan(ticket_type=f"{stand} {tier}", price=price, rows=100, seats_per_row=100)
    for stand, price in (("North", 8900), ("East", 11900), ("South", 7900), ("West", 14900))
    for tier in ("Lower", "Upper")
)


def seats_of(section: dict[str, Any]) -> set[tuple[int, int, int]]:
    return {(row["ticketTypeId"], row["rowNumber"], seat[0]) for row in section["rows"] for seat in row["seats"]}


def test_an_event_without_a_plan_has_one_that_is_made(site: Site) -> None:
    event_id = site.event()
    answer = site.client().get(f"/api/events/{event_id}/plan")
    assert answer.status == 200
    plan = answer.json
    assert plan["isGenerated"]
    assert (plan["eventId"], plan["name"], plan["focus"]["kind"]) == (event_id, "Kulturhalle", "stage")
    assert [
        (
            one["sectionId"],
            one["name"],
            one["ticketTypeIds"],
            one["priceMin"],
            one["priceMax"],
            one["seats"],
            one["free"],
        )
        for one in plan["sections"]
    ] == [(1, "VIP", [2], 12900, 12900, 24, 24), (2, "General", [1], 4900, 4900, 60, 60)]
    assert plan["sections"][1]["rows"] == ["1", "6"]
    section = site.client().get(plan["sections"][0]["href"])
    assert section.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert seats_of(section.json) == {(2, row, seat) for row in range(1, 4) for seat in range(1, 9)}
    assert section.json["rows"][0]["label"] == "1"


def test_the_overview_counts_what_is_left_and_says_when_nothing_changed(site: Site) -> None:
    event_id = site.event()
    path = f"/api/events/{event_id}/plan"
    client = site.client()
    first = client.get(path)
    tag = first.headers["etag"]
    assert client.get(path, If_None_Match=tag).status == 304
    fan = site.admitted_fan(event_id)
    held = fan.reserve(event_id, [(2, 1, 1), (2, 1, 2)])
    assert held.status == 200
    second = client.get(f"{path}?minVersion={held.json['result']['version']}", If_None_Match=tag)
    assert second.status == 200
    assert [one["free"] for one in second.json["sections"]] == [22, 60]
    assert second.json["planVersion"] == first.json["planVersion"]
    assert second.json["version"] > first.json["version"]


def test_a_section_of_another_version_is_refused(site: Site) -> None:
    event_id = site.event()
    plan = site.client().get(f"/api/events/{event_id}/plan").json
    href = plan["sections"][0]["href"]
    for other in (href.replace(plan["planVersion"], "0" * 16), href[:-1] + "9"):
        answer = site.client().get(other)
        assert (answer.status, answer.json["code"]) == (404, "unknown_plan")
    assert site.client().get(href.replace(plan["planVersion"], "latest")).status == 400
    assert site.client().get(f"/api/events/{10**9}/plan").json["code"] == "unknown_event"


def test_the_plan_of_a_changed_event_has_another_version(site: Site) -> None:
    event_id = site.event()
    path = f"/api/events/{event_id}/plan"
    before = site.client().get(path).json
    operator = site.operator()
    assert (
        operator.patch(f"/api/ops/events/{event_id}", {"ticketTypes": [{"ticketTypeId": 1, "price": 5000}]}).status
        == 200
    )
    dearer = site.client().get(path).json
    assert dearer["planVersion"] == before["planVersion"]
    assert dearer["sections"][1]["priceMin"] == 5000
    added = {"add": [{"ticketTypeId": 1, "rows": [{"rowNumber": 7, "seatNumbers": [1]}]}]}
    assert operator.post(f"/api/ops/events/{event_id}/seats", added).status == 200
    after = site.client().get(path).json
    assert after["planVersion"] != before["planVersion"]
    assert [one["seats"] for one in after["sections"]] == [24, 61]
    assert site.client().get(before["sections"][0]["href"]).json["code"] == "unknown_plan"


def test_a_stadium_has_a_small_overview_and_sections_of_a_few_thousand(site: Site) -> None:
    event_id = site.event(hall=STADIUM)
    answer = site.client().get(f"/api/events/{event_id}/plan")
    assert len(answer.content) <= OVERVIEW_BYTES_MAX
    plan = answer.json
    assert plan["focus"]["kind"] == "pitch"
    assert sum(one["seats"] for one in plan["sections"]) == 80_000
    assert max(one["seats"] for one in plan["sections"]) <= SECTION_SEATS_MAX
    section = site.client().get(plan["sections"][5]["href"]).json
    assert len(seats_of(section)) == plan["sections"][5]["seats"]


def plan_of_event(**further: Any) -> dict[str, Any]:
    """A plan of the tests' hall: General is rows A to F, with an aisle after the fifth seat, VIP the boxes."""

    def seat(number: int, x: int, y: int) -> dict[str, Any]:
        attributes = ["accessible"] if number == 1 else []
        return {"seatNumber": number, "x": x, "y": y, "attributes": attributes}

    general = [
        {
            "ticketTypeId": 1,
            "rowNumber": row,
            "label": "ABCDEF"[row - 1] * 2,
            "seats": [
                seat(number, 100 + 10 * number + (20 if number > 5 else 0), 200 + 12 * row) for number in range(1, 11)
            ],
        }
        for row in range(1, 7)
    ]
    boxes = [
        {
            "ticketTypeId": 2,
            "rowNumber": row,
            "seats": [{"seatNumber": n, "x": 400 + 10 * n, "y": 200 + 12 * row, "label": f"{n}b"} for n in range(1, 9)],
        }
        for row in range(1, 4)
    ]
    sections = [{"name": "Stalls", "rows": general}, {"name": "Boxes", "rows": boxes}]
    return {"name": "Main hall", "sections": sections, **further}


def give(operator: Client, event_id: int, plan: dict[str, Any], query: str = "") -> Answer:
    return operator.call("PUT", f"/api/ops/events/{event_id}/plan{query}", plan)


def test_an_operator_gives_a_plan_and_every_gateway_and_ticket_shows_it(site: Site) -> None:
    event_id = site.event()
    operator = site.operator()
    assert operator.get(f"/api/ops/events/{event_id}/plan").code == "no_plan"
    fan = site.admitted_fan(event_id)
    held = fan.reserve(event_id, [(1, 2, 1), (2, 3, 8)]).result
    generated = site.client(1).get(f"/api/events/{event_id}/plan").json
    answer = give(operator, event_id, plan_of_event(why="the hall as it is"))
    assert answer.status == 200, answer.content
    assert (answer.json["sections"], answer.json["seats"], answer.json["seatsAdded"]) == (2, 84, 0)
    await_that(lambda: not site.client(1).get(f"/api/events/{event_id}/plan").json["isGenerated"])
    for gateway in (0, 1):
        plan = site.client(gateway).get(f"/api/events/{event_id}/plan").json
        assert (plan["name"], [one["name"] for one in plan["sections"]]) == ("Main hall", ["Stalls", "Boxes"])
        assert [one["free"] for one in plan["sections"]] == [59, 23]
        assert plan["sections"][0]["rows"] == ["AA", "FF"]
        assert plan["planVersion"] != generated["planVersion"]
        section = site.client(gateway).get(plan["sections"][0]["href"]).json
        assert section["rows"][0]["label"] == "AA"
        assert section["rows"][0]["seats"][0] == [1, 110, 212, 1]
    assert fan.checkout(event_id, held["reservationId"]).status == 200
    (purchase,) = fan.get("/api/purchases").json["purchases"]
    assert [(one["section"], one["rowLabel"], one["seatLabel"]) for one in purchase["details"]] == [
        ("Stalls", "BB", None), ("Boxes", None, "8b"),
    ]  # fmt: skip
    page = fan.get(f"/purchases/{purchase['purchaseId']}").content.decode()
    assert "<dd><bdi>BB</bdi></dd>" in page
    assert "<dd><bdi>8b</bdi></dd>" in page
    assert operator.get(f"/api/ops/events/{event_id}/log").json["entries"][0] | {"at": ""} == {
        "at": "", "operator": "Ada", "field": "plan", "from": "made of the seats",
        "to": "Main hall, 2 sections, 84 seats", "why": "the hall as it is", "revision": 2,
    }  # fmt: skip


def test_seats_are_called_as_the_plan_calls_them_wherever_a_fan_is_told_of_them(site: Site) -> None:
    event_id = site.event(seats_per_fan_max=6)
    fan = site.admitted_fan(event_id)
    before = fan.reserve(event_id, [(1, 1, 1)])
    assert set(before.result["seats"][0]) == {"ticketTypeId", "rowNumber", "seatNumber", "amount"}
    assert give(site.operator(), event_id, plan_of_event()).status == 200
    # What was held before is called by its new name too.
    job = f"/api/jobs/{before.json['jobId']}"
    for gateway in site.gateways:
        there = fan.at(gateway.url)
        await_that(lambda there=there: there.get(job).result["seats"][0].get("rowLabel") == "AA")  # type: ignore[misc]
    held = fan.reserve(event_id, [(1, 2, 1), (2, 3, 8)])
    named = [
        {"ticketTypeId": 1, "rowNumber": 2, "seatNumber": 1, "rowLabel": "BB", "section": "Stalls"},
        {"ticketTypeId": 2, "rowNumber": 3, "seatNumber": 8, "seatLabel": "8b", "section": "Boxes"},
    ]
    assert [without_amount(seat) for seat in held.result["seats"]] == named
    best = fan.reserve(event_id, best=(1, 2)).result["seats"]
    assert [seat["rowLabel"] for seat in best] == ["ABCDEF"[seat["rowNumber"] - 1] * 2 for seat in best]
    listed = fan.get(f"/api/reservations?eventId={event_id}").json["reservations"]
    assert sorted(len(one["seats"]) for one in listed) == [1, 2, 2]
    (same,) = [one for one in listed if one["reservationId"] == held.result["reservationId"]]
    assert same["seats"] == held.result["seats"]
    bought = fan.checkout(event_id, held.result["reservationId"])
    assert [without_amount(seat) for seat in bought.result["details"]] == named
    with psycopg.connect(site.database_url) as connection:
        recorded = connection.execute(
            "SELECT count(*) FROM booking_command WHERE event_id = %s AND outcome::text LIKE '%%abel%%'", (event_id,)
        ).fetchone()
    assert recorded == (0,)


def without_amount(seat: dict[str, Any]) -> dict[str, Any]:
    left_out = {"amount", "ticketType", "ticketCode"}
    assert seat["amount"] > 0
    return {name: value for name, value in seat.items() if name not in left_out}


def test_a_stored_plan_comes_back_and_goes(site: Site) -> None:
    event_id = site.event()
    operator = site.operator()
    assert give(operator, event_id, plan_of_event()).status == 200
    path = f"/api/ops/events/{event_id}/plan"
    stored = operator.get(path).json
    assert stored["sections"][0]["rows"][0]["seats"][0] == {
        "seatNumber": 1, "x": 110, "y": 212, "attributes": ["accessible"],
    }  # fmt: skip
    revision = operator.get(f"/api/ops/events/{event_id}").json["revision"]
    assert give(operator, event_id, stored).json["revision"] == revision, "nothing changed"
    with psycopg.connect(site.database_url) as connection:
        rows = connection.execute(
            "SELECT seat_number, x, ordinal, flags, row_label, section FROM seat"
            " WHERE event_id = %s AND ticket_type_id = 1 AND row_number = 1 AND seat_number IN (1, 5, 6) ORDER BY 1",
            (event_id,),
        ).fetchall()
    assert rows == [(1, 110, 0, 1, "AA", "Stalls"), (5, 150, 4, 0, "AA", "Stalls"), (6, 180, 6, 0, "AA", "Stalls")]
    assert operator.call("DELETE", path).status == 204
    assert operator.get(path).code == "no_plan"
    assert site.client().get(f"/api/events/{event_id}/plan").json["isGenerated"]
    with psycopg.connect(site.database_url) as connection:
        placed = connection.execute("SELECT count(x) + count(section) FROM seat WHERE event_id = %s", (event_id,))
        assert placed.fetchone() == (0,)


def test_a_plan_that_does_not_fit_is_refused_whole(site: Site) -> None:
    event_id = site.event()
    operator = site.operator()
    plan = plan_of_event()
    plan["sections"][0]["rows"][0]["seats"][9]["seatNumber"] = 11
    plan["sections"][1]["rows"].pop()
    for query, status in (("", 422), ("?dryRun=true", 200)):
        answer = give(operator, event_id, plan, query)
        assert answer.status == status
        faults = answer.json["faults" if status == 200 else "errors"]
        assert [(fault["path"], fault["message"]) for fault in faults] == [
            ("$.sections[0].rows[0].seats[9]", "General has no row 1 seat 11 in this event"),
            ("$.sections", "the plan lacks seats of General: row 1 seat 10"),
            ("$.sections", "the plan lacks seats of VIP: "
                           + ", ".join(f"row 3 seat {number}" for number in range(1, 9))),
        ]  # fmt: skip
    assert operator.get(f"/api/ops/events/{event_id}/plan").code == "no_plan"
    assert give(operator, event_id, plan_of_event(revision=99)).code == "conflict"
    assert give(operator, event_id, {"sections": []}).code == "invalid_request"
    assert site.fan().call("PUT", f"/api/ops/events/{event_id}/plan", plan_of_event()).code == "not_operator"


def test_a_plan_may_bring_seats_with_it(site: Site) -> None:
    event_id = site.event()
    operator = site.operator()
    plan = plan_of_event()
    plan["sections"][0]["rows"][0]["seats"].append({"seatNumber": 11, "x": 300, "y": 212})
    looked = give(operator, event_id, plan, "?addSeats=true&dryRun=true").json
    assert (looked["valid"], looked["seatsAdded"], len(looked["drawing"]["sections"])) == (True, 1, 2)
    assert operator.get(f"/api/ops/events/{event_id}").json["ticketTypes"][0]["quantity"] == 60
    assert give(operator, event_id, plan, "?addSeats=true").json["seatsAdded"] == 1
    assert operator.get(f"/api/ops/events/{event_id}").json["ticketTypes"][0]["quantity"] == 61
    removed = {"remove": [{"ticketTypeId": 1, "rows": [{"rowNumber": 1, "seatNumbers": [11]}]}]}
    assert operator.post(f"/api/ops/events/{event_id}/seats", removed).status == 200
    assert site.client().get(f"/api/events/{event_id}/plan").json["sections"][0]["seats"] == 60


def test_a_seat_that_comes_back_stands_where_the_plan_has_it(site: Site) -> None:
    event_id = site.event()
    operator = site.operator()
    assert give(operator, event_id, plan_of_event()).status == 200

    def columns() -> list[tuple[Any, ...]]:
        with psycopg.connect(site.database_url) as connection:
            return connection.execute(
                "SELECT seat_number, x, y, ordinal, flags, row_label, section FROM seat"
                " WHERE event_id = %s AND ticket_type_id = 1 AND row_number = 1 ORDER BY seat_number",
                (event_id,),
            ).fetchall()

    before = columns()
    of_row = {"ticketTypeId": 1, "rows": [{"rowNumber": 1, "seatNumbers": [1, 6]}]}
    path = f"/api/ops/events/{event_id}/seats"
    assert operator.post(path, {"remove": [of_row]}).status == 200
    assert len(columns()) == 8
    assert operator.post(path, {"add": [of_row]}).status == 200
    assert columns() == before
    # A seat that the plan never had has no place on it.
    unknown = {"ticketTypeId": 1, "rows": [{"rowNumber": 1, "seatNumbers": [12]}]}
    assert operator.post(path, {"add": [unknown]}).status == 200
    assert columns() == [*before, (12, None, None, None, None, None, None)]


def test_a_spreadsheet_and_a_plan_of_pretix_are_plans_too(site: Site) -> None:
    hall = (TicketTypePlan(ticket_type="Stalls", price=4900, rows=2, seats_per_row=2),)
    event_id = site.event(hall=hall)
    operator = site.operator()
    path = f"/api/ops/events/{event_id}/plan"
    lines = [
        f"Stalls;{row};{seat};{'AB'[row - 1]};{100 + 10 * seat};{200 + 12 * row}" for row in (1, 2) for seat in (1, 2)
    ]
    text = "\n".join(["ticketType;row;seat;rowLabel;x;y", *lines])
    answer = operator.call("PUT", path, raw=text.encode(), headers={"Content-Type": "text/csv"})
    assert answer.status == 200, answer.content
    assert site.client().get(f"/api/events/{event_id}/plan").json["sections"][0]["rows"] == ["A", "B"]
    bad = operator.call("PUT", path, raw=text.replace("110", "left").encode(), headers={"Content-Type": "text/csv"})
    assert (bad.code, [fault["line"] for fault in bad.json["errors"]]) == ("plan_invalid", [2, 4])
    content = {
        "name": "Ours",
        "size": {"width": 100, "height": 100},
        "categories": [{"name": "Stalls", "color": "red"}],
        "zones": [
            {
                "name": "Floor",
                "position": {"x": 0, "y": 0},
                "rows": [
                    {
                        "row_number": name,
                        "position": {"x": 0, "y": 30 * index},
                        "seats": [
                            {"seat_guid": f"{name}-{n}", "seat_number": str(n), "category": "Stalls",
                             "position": {"x": 25 * n, "y": 0}}
                            for n in (1, 2)
                        ],
                    }
                    for index, name in enumerate(("X", "Y"))
                ],
            }
        ],
    }  # fmt: skip
    assert operator.call("PUT", f"{path}?format=pretix", content).status == 200
    plan = site.client().get(f"/api/events/{event_id}/plan").json
    assert (plan["name"], plan["sections"][0]["name"], plan["sections"][0]["rows"]) == ("Ours", "Floor", ["X", "Y"])
    reading = operator.post("/api/ops/plans?format=pretix", content).json
    assert reading["valid"]
    body = {
        "name": "New", "venue": "Hall", "date": "2030-06-12T19:30:00Z", "onSaleAt": "2029-06-12T19:30:00Z",
        "currency": "EUR", "ticketTypes": [{"ticketType": "Stalls", "price": 100}], "plan": reading["plan"],
    }  # fmt: skip
    made = operator.post("/api/ops/events", body)
    assert made.status == 201, made.content
    assert made.json["ticketTypes"][0]["quantity"] == 4
    assert not site.client().get(f"/api/events/{made.json['eventId']}/plan").json["isGenerated"]
    body["ticketTypes"][0]["ticketType"] = "Floor"
    refused = operator.post("/api/ops/events", body)
    assert (refused.code, refused.json["errors"][0]["path"]) == (
        "plan_invalid", "$.plan.sections[0].rows[0].ticketType",
    )  # fmt: skip


def test_a_rehearsal_has_the_plan_too(site: Site) -> None:
    event_id = site.event()
    assert give(site.operator(), event_id, plan_of_event()).status == 200
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        copy = copy_event(connection, event_id)
        columns = "ticket_type_id, row_number, seat_number, x, y, ordinal, flags, row_label, seat_label, section"
        differing = connection.execute(
            f"SELECT {columns} FROM seat WHERE event_id = %s EXCEPT SELECT {columns} FROM seat WHERE event_id = %s",
            (event_id, copy.event_id),
        ).fetchall()
        plans = connection.execute(
            "SELECT count(*), count(DISTINCT document) FROM event_plan WHERE event_id = ANY (%s)",
            ([event_id, copy.event_id],),
        ).fetchone()
        assert remove_copy(connection, copy.event_id)
    assert (differing, plans) == ([], (2, 1))
