"""Names, searches, codes and spreadsheets in every spelling that Unicode has for one text, over HTTP."""

from __future__ import annotations

import unicodedata
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from db.operators.accounts import add_operator
from db.search.writing import index_event
from tests.acceptance.conftest import Site
from tests.acceptance.test_programme import body, csv, made
from tests.client import Client

ONE_SEAT = {"blocks": [{"rows": 1, "seatsPerRow": 1}]}
INVISIBLE = ("\u200b", "\u2060", "\u3164", "\u00ad", "\u202e", "\u2800", "\ufeff", "\u00a0\u3000", "\U000e0041")


@pytest.fixture(scope="module")
def operator(site: Site) -> Client:
    return site.operator()


def decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def types(*names: str) -> list[dict[str, Any]]:
    return [{"ticketType": name, "price": 100, **ONE_SEAT} for name in names]


def found(operator: Client, query: str) -> list[str]:
    return [event["name"] for event in operator.get(f"/api/events?{query}").json["events"]]


@pytest.mark.parametrize("stored", ["Théâtre Zq", decomposed("Théâtre Zq")], ids=["made now", "made before"])
def test_a_search_finds_a_name_in_any_spelling(site: Site, operator: Client, stored: str) -> None:
    name = f"{stored} {len(stored)}"
    if stored == decomposed(stored):
        # As a release wrote it that did not compose names.
        event_id = made(operator, name="Other")["eventId"]
        with psycopg.connect(site.database_url) as connection:
            connection.execute("UPDATE event SET name = %s, venue = %s WHERE event_id = %s", (name, name, event_id))
            index_event(connection, event_id)
    else:
        made(operator, name=name, venue=name)
    for query in (
        name,
        decomposed(name),
        name.upper(),
        name.replace(" ", "\u00a0"),
        f" {name}\u200b",
        name.replace("Zq", "Ｚｑ"),
        f"Thé\u00adâtre Zq {len(stored)}",
    ):
        assert name in found(operator, f"q={quote(query)}"), ascii(query)
        assert name in found(operator, f"venue={quote(query)}"), ascii(query)
        assert name in operator.get(f"/?q={quote(query)}").content.decode()
    assert found(operator, "q=" + quote("Théâtre Zz")) == []
    assert found(operator, "q=" + quote("%")) == []


def test_a_name_is_stored_in_one_form(operator: Client) -> None:
    event = made(operator, name=decomposed("Café") + "\u00a0", artist="\u200b", ticketTypes=types(decomposed("Café")))
    assert (event["name"], event["artist"]) == ("Café", "")
    assert event["ticketTypes"][0]["ticketType"] == "Café"
    again = operator.patch(f"/api/ops/events/{event['eventId']}", {"name": decomposed("Café")})
    assert again.json["revision"] == event["revision"], "nothing has changed"


@pytest.mark.parametrize("twin", [decomposed("Café A"), "Café\u00a0A", "Ca\u200bfé A", " Café  A"])
def test_two_ticket_types_that_look_the_same_are_refused(operator: Client, twin: str) -> None:
    made_with_both = operator.post("/api/ops/events?dryRun=true", body(ticketTypes=types("Café A", twin))).json
    assert [fault["path"] for fault in made_with_both["faults"]] == ["$.ticketTypes[1].ticketType"]
    event_id = made(operator, ticketTypes=types("Café A", "Balcony"))["eventId"]
    for change in (
        {"addTicketTypes": types(twin)},
        {"ticketTypes": [{"ticketTypeId": 2, "ticketType": twin}]},
    ):
        assert operator.patch(f"/api/ops/events/{event_id}", change).code == "event_invalid"


@pytest.mark.parametrize("name", ["Café A", decomposed("Café A"), "Café\u00a0A", "\ufeffCafé A "])
def test_a_spreadsheet_names_a_ticket_type_in_any_spelling(operator: Client, name: str) -> None:
    event_id = made(operator, ticketTypes=types("Café A"))["eventId"]
    answer = csv(operator, event_id, f"ticketType,row,seat\n{name},20,1\n")
    assert (answer.status, answer.json["ticketTypes"][0]["quantity"]) == (200, 2), answer.content


@pytest.mark.parametrize("name", INVISIBLE, ids=ascii)
def test_a_name_of_nothing_that_is_seen_is_refused(operator: Client, name: str) -> None:
    for where, change in (
        ("$.name", {"name": name}),
        ("$.venue", {"venue": name}),
        ("$.ticketTypes[0].ticketType", {"ticketTypes": types(name)}),
    ):
        told = operator.post("/api/ops/events?dryRun=true", body(**change)).json
        assert [fault["path"] for fault in told["faults"]] == [where]
    event_id = made(operator)["eventId"]
    assert operator.patch(f"/api/ops/events/{event_id}", {"name": name}).code == "event_invalid"
    assert operator.post(f"/api/ops/rooms/{event_id}/codes", {"label": name}).code == "invalid_request"


def test_what_is_seen_may_be_a_name(operator: Client) -> None:
    for name in ("\u2764\ufe0f", "!!!", "\u05e9\u05dc\u05d5\u05dd", "\u0645\u06cc\u200c\u0634\u0648\u062f", "\u6771"):
        assert made(operator, name=name, ticketTypes=types(name))["name"] == name


def test_a_newline_after_the_end_is_refused(operator: Client) -> None:
    event_id = made(operator)["eventId"]
    for path, sent in (
        ("/api/ops/events", body(currency="EUR\n")),
        ("/api/ops/events", body(name="Name\n")),
        ("/api/ops/events", body(ticketTypes=types("Stalls\u2028"))),
        (f"/api/ops/rooms/{event_id}/codes", {"label": "x", "code": "OTHER\n"}),
        (f"/api/ops/rooms/{event_id}/codes", {"label": "x\n"}),
        ("/api/ops/webhooks", {"url": "https://shop.example.org/\n", "kinds": ["purchase.made"]}),
        ("/api/ops/webhooks", {"url": "https://shop.example.org/", "kinds": ["purchase.made"], "description": "x\n"}),
        ("/api/ops/session", {"name": "ada\n", "password": "long enough"}),
    ):
        answer = operator.post(path, sent)
        assert (answer.status, answer.code) == (400, "invalid_request"), sent


def test_what_is_told_can_be_sent_back(operator: Client) -> None:
    # NFC makes this letter two: stored, the name would be longer than any request may bring.
    told = operator.post("/api/ops/events?dryRun=true", body(name="\u0958" * 150)).json
    assert [fault["path"] for fault in told["faults"]] == ["$.name"]
    for block in (
        {"rows": 2, "seatsPerRow": 1, "firstRow": 99_999},
        {"rows": 1, "seatsPerRow": 2, "firstSeat": 99_999},
    ):
        beyond = operator.post(
            "/api/ops/events?dryRun=true", body(ticketTypes=[{**types("A")[0], "blocks": [block]}])
        ).json
        assert [fault["path"] for fault in beyond["faults"]] == ["$.ticketTypes[0].blocks[0]"]


def test_a_name_from_right_to_left_is_kept_apart_from_the_words_beside_it(operator: Client) -> None:
    name = "\u05e9\u05dc\u05d5\u05dd (2)"
    event_id = made(operator, name=name, venue=name, ticketTypes=types(name))["eventId"]
    page = operator.get(f"/events/{event_id}").content.decode()
    assert page.count(f"<bdi>{name}</bdi>") == 3
    assert f"<bdi>{name}</bdi>" in operator.get("/").content.decode()


def test_seats_are_adjacent_by_their_order_in_the_row(site: Site, operator: Client) -> None:
    rows = [{"rowNumber": 1, "seatNumbers": [1, 3, 5, 7]}]
    event_id = made(operator, ticketTypes=[{"ticketType": "Odd", "price": 100, "rows": rows}], room={"state": "off"})[
        "eventId"
    ]
    fan = site.fan()
    held = fan.reserve(event_id, best=(1, 3)).result
    assert [seat["seatNumber"] for seat in held["seats"]] == [1, 3, 5]


def test_a_code_is_understood_from_any_keyboard(site: Site, operator: Client) -> None:
    event_id = made(operator, room={"capacity": 0, "lobbyMinutes": 0})["eventId"]
    issued = operator.post(f"/api/ops/rooms/{event_id}/codes", {"label": "c", "code": "VIPFILM2026", "usesMax": 100})
    assert issued.status == 201
    for typed in (
        "VIPFILM2026",
        "v\u0131pf\u0131lm2026",
        "V\u0130PF\u0130LM2026",
        "VIPFILM\u0662\u0660\u0662\u0666",
        "VIPFILM\u06f2\u06f0\u06f2\u06f6",
        "\uff36\uff29\uff30film\u0968\u0966\u0968\u096c",
        "VIP\u00a0FILM\u20112026\u200f",
    ):
        joined = site.fan().join(event_id, {"accessCode": typed})
        assert (joined.status, joined.json.get("priority")) == (201, True), ascii(typed)


def test_an_operator_signs_in_from_any_keyboard(site: Site) -> None:
    add_operator(site.database_url, "Zo\u00eb", "mot de passe \u00e9")
    client = Client(site.gateways[0].url, source="127.0.201.1")
    answer = client.post("/api/ops/session", {"name": "Zoe\u0308 ", "password": "mot de passe e\u0301"})
    assert answer.status == 201
    told = client.get("/api/ops/session", authorization=f"Bearer {answer.json['token']}")
    assert told.json["name"] == "Zo\u00eb"
