"""An operator's way with a hall plan in a real browser: a file is looked at, its faults are read, then it is taken."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from db.events.seed import RoomSeed, seed_demo
from db.operators.accounts import add_operator
from tests.browser.test_fan_way import PASSWORD, Visit
from tests.services import Services
from tests.waiting import await_that

pytestmark = pytest.mark.browser

CORNER = """document.querySelector("#plan-picture").getContext("2d").getImageData(2, 2, 1, 1).data.join()"""
"""The colour of the picture's corner."""
REFUSED = re.compile("status of 401")
"""What a browser says of the console's first question, before anybody is signed in."""


def demo_plan() -> dict[str, Any]:
    """The demo's hall with letters for rows and two places for wheelchairs."""
    sections = []
    for name, ticket_type_id, rows, top in (("Parkett", 1, 10, 300), ("Loge", 2, 5, 180)):
        sections.append(
            {
                "name": name,
                "rows": [
                    {
                        "ticketTypeId": ticket_type_id,
                        "rowNumber": row,
                        "label": "ABCDEFGHIJ"[row - 1] * 2,
                        "seats": [
                            {"seatNumber": n, "x": 100 + 10 * n, "y": top + 12 * row,
                             "attributes": ["accessible"] if (row, n) in ((1, 1), (1, 10)) else []}
                            for n in range(1, 11)
                        ],
                    }
                    for row in range(1, rows + 1)
                ],
            }
        )  # fmt: skip
    return {"name": "Grosser Saal", "sections": sections}


def pretix_plan() -> dict[str, Any]:
    def row(name: str, y: int) -> dict[str, Any]:
        seats = [
            {"seat_guid": f"{name}{n}", "seat_number": str(n), "position": {"x": 25 * n, "y": 0}, "category": "Floor"}
            for n in range(1, 7)
        ]
        return {"row_number": name, "row_number_position": "both", "position": {"x": 0, "y": y}, "seats": seats}

    zone = {"name": "Floor", "position": {"x": 0, "y": 0}, "rows": [row("A", 0), row("B", 30)], "areas": []}
    return {
        "name": "Ours",
        "categories": [{"name": "Floor", "color": "red"}],
        "zones": [zone],
        "size": {"width": 200, "height": 100},
    }


def sign_in(page: Page, url: str) -> None:
    page.goto(url)
    page.locator("#sign-in-form [name=name]").fill("demo")
    page.locator("#sign-in-form [name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def has_drawn(page: Page) -> bool:
    """Whether the picture has more than one colour."""
    return bool(
        page.evaluate(
            """() => {
              const picture = document.querySelector("#plan-picture");
              const { data } = picture.getContext("2d").getImageData(0, 0, picture.width, picture.height);
              const seen = new Set();
              for (let at = 0; at < data.length; at += 4) seen.add(data.slice(at, at + 4).join());
              return seen.size > 3;
            }"""
        )
    )


@pytest.mark.long
def test_a_plan_is_seen_before_it_is_saved(
    services: Services, database_url: str, browser: Browser, tmp_path: Path
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed())
    gateway = services.gateway()
    add_operator(database_url, "demo", PASSWORD)
    visit = Visit.begin(browser, "plan-desktop", (1280, 860), "light")
    page = visit.page
    sign_in(page, f"{gateway.url}/ops/events/{event_id}")
    expect(page.locator("#plan-said")).to_contain_text("made of the ticket types")
    expect(page.locator("#plan-picture")).to_be_visible()

    plan = demo_plan()
    file = tmp_path / "plan.json"
    plan["sections"][0]["rows"][2]["seats"][4]["seatNumber"] = 77
    file.write_text(json.dumps(plan))
    page.locator("#plan-file").set_input_files(file)
    expect(page.locator("#plan-said")).to_have_text("This plan cannot be taken.")
    expect(page.locator("#plan-faults li").first).to_have_text(
        "$.sections[0].rows[2].seats[4] General has no row 3 seat 77 in this event"
    )
    expect(page.get_by_role("button", name="Use this plan")).to_be_hidden()
    visit.photograph("plan-1-faults")

    file.write_text(json.dumps(demo_plan()))
    page.locator("#plan-file").set_input_files(file)
    expect(page.locator("#plan-said")).to_have_text("150 seats in 2 sections. Nothing is saved yet.")
    expect(page.locator("#plan-faults")).to_be_hidden()
    expect(page.get_by_role("img", name="The plan in the file: 2 sections, Parkett, Loge")).to_be_visible()
    assert has_drawn(page)
    page.locator("#plan-picture").scroll_into_view_if_needed()
    visit.photograph("plan-2-looked-at")
    page.get_by_role("button", name="Use this plan").click()
    expect(page.locator("#message")).to_contain_text("The plan is saved")
    expect(page.locator("#plan-said")).to_contain_text("Grosser Saal")
    expect(page.locator("#log li").first).to_contain_text("Grosser Saal, 2 sections, 150 seats")

    # A picture is put behind its seats, moved, and saved with the plan.
    before = page.evaluate(CORNER)
    drawing = tmp_path / "hall.png"
    Image.new("RGB", (800, 500), "#20c040").save(drawing)
    page.get_by_label("Picture behind the seats").set_input_files(drawing)
    expect(page.locator("#plan-said")).to_have_text("Nothing is saved yet.")
    page.get_by_label("From the left").fill("0")
    page.get_by_label("From the top").fill("0")
    await_that(lambda: page.evaluate(CORNER) != before)
    page.get_by_role("button", name="Use this plan").click()
    expect(page.locator("#plan-said")).to_contain_text("Grosser Saal")
    shown = page.request.get(f"{gateway.url}/api/events/{event_id}/plan").json()["picture"]
    assert shown["at"] == [0, 0]
    assert page.request.get(gateway.url + shown["href"]).ok
    page.locator("#plan-picture").scroll_into_view_if_needed()
    visit.photograph("plan-2-with-picture")
    page.get_by_role("button", name="Leave the picture out").click()
    page.get_by_role("button", name="Use this plan").click()
    expect(page.get_by_label("From the left")).to_be_hidden()
    expect(page.locator("#plan-said")).to_contain_text("Grosser Saal")
    page.get_by_role("button", name="Take the plan away").click()
    expect(page.locator("#plan-said")).to_contain_text("made of the ticket types")
    expect(page.get_by_label("Picture behind the seats")).to_be_hidden()

    page.goto(f"{gateway.url}/ops/events/new")
    form = page.locator("#event-form")
    form.get_by_label("Name", exact=True).fill("Sommerfest")
    form.get_by_label("Venue").fill("Hof")
    form.get_by_label("Time zone").fill("Europe/Berlin")
    form.get_by_label("Begins").fill("2031-12-12T19:30")
    form.get_by_label("On sale from").fill("2031-06-01T10:00")
    form.get_by_label("Currency").fill("EUR")
    pretix = tmp_path / "pretix.json"
    pretix.write_text(json.dumps(pretix_plan()))
    page.locator("#plan-file").set_input_files(pretix)
    expect(page.locator("#plan-said")).to_contain_text("12 seats in 1 section")
    floor = page.locator(".type")
    expect(floor).to_have_count(1)
    expect(floor.get_by_label("Ticket type")).to_have_value("Floor")
    floor.locator("[data-f=price]").fill("10")
    page.get_by_role("button", name="Create event").click()
    expect(page.locator("#message")).to_contain_text("The event is made")
    expect(page.locator("#plan-said")).to_contain_text("Ours")
    expect(page.locator(".type-count")).to_have_text("12 seats")
    visit.photograph("plan-3-made")
    # The test's own readings of the canvas are told to be slow.
    faults = [fault for fault in visit.faults if not REFUSED.search(fault) and "getImageData" not in fault]
    assert faults == []
