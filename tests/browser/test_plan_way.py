"""Choosing seats on the plan of a hall: a stadium section by section, a small hall as a whole; in a real browser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, Locator, Page, expect

from db.events.seed import RoomSeed, TicketTypePlan, seed_stadium
from db.plans.generated import SeatedType, generate
from db.plans.model import HallPlan, PlanRow, SeatFlag
from db.plans.writing import write_plan
from tests.browser.test_fan_way import Visit
from tests.browser.words import JOIN
from tests.client import Fan
from tests.factories import make_event, one_type, plan_event
from tests.services import Services
from tests.waiting import await_that

pytestmark = pytest.mark.browser

WIDE = RoomSeed(rate_per_minute=60_000, capacity=50)
OVERVIEW_BYTES_MAX = 100_000
DESKTOP = (1280, 860)
PHONE: dict[str, Any] = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2}
# A seat that can be tapped, and the room between it and whatever covers the page below.
TARGET_PX_MIN = 44
SEAT_PX_NEAR = 36
CURRENT = ".seat-list [tabindex='0']"


def enter(browser: Browser, url: str, name: str, size: tuple[int, int] = DESKTOP, **options: Any) -> Visit:
    """A fan who has come to choose seats; the page may complain of nothing."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale="en-GB", reduced_motion="reduce", **options
    )
    visit = Visit(context.new_page(), name)
    visit.page.on("pageerror", lambda error: visit.faults.append(str(error)))
    visit.page.goto(url)
    visit.page.get_by_role("button", name=JOIN).click()
    visit.page.locator("#map svg").wait_for()
    return visit


def a_theatre(database_url: str) -> int:
    """Two rows of ten: row A has two wheelchair spaces with a companion's seat, row B a pillar."""
    hall = (one_type("Stalls", rows=2, seats_per_row=10), one_type("Balcony", seats_per_row=4, price=2900))
    event_id = make_event(database_url, plan_event(hall=hall, room=WIDE))
    types = [
        SeatedType(number, kind.ticket_type, kind.price, rows_of(kind)) for number, kind in enumerate(hall, 1)
    ]  # fmt: skip
    with psycopg.connect(database_url) as connection:
        write_plan(connection, event_id, with_attributes(generate(types)))
    return event_id


def rows_of(kind: TicketTypePlan) -> tuple[tuple[int, tuple[int, ...]], ...]:
    return tuple((row, tuple(range(1, kind.seats_per_row + 1))) for row in range(1, kind.rows + 1))


def with_attributes(plan: HallPlan) -> HallPlan:
    flags = {(1, 1, 1): SeatFlag.ACCESSIBLE, (1, 1, 2): SeatFlag.COMPANION, (1, 2, 10): SeatFlag.RESTRICTED_VIEW}

    def row(one: PlanRow) -> PlanRow:
        seats = (
            replace(seat, flags=int(flags.get((one.ticket_type_id, one.row_number, seat.seat_number), 0)))
            for seat in one.seats
        )
        return replace(one, label="AB"[one.row_number - 1], seats=tuple(seats))

    sections = (replace(section, rows=tuple(map(row, section.rows))) for section in plan.sections)
    return replace(plan, sections=tuple(sections))


def seat(page: Page, key: str) -> Locator:
    return page.locator(f'[data-key="{key}"]')


def box(locator: Locator) -> dict[str, float]:
    found = locator.bounding_box()
    assert found is not None
    return {"x": found["x"], "y": found["y"], "width": found["width"], "height": found["height"]}


def focused_key(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('data-key')"))


@pytest.mark.long
def test_a_stadium_is_seen_as_a_whole_and_walked_by_keyboard(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_stadium(database_url, room=WIDE)
    services.worker()
    gateway = services.gateway()
    url = f"{gateway.url}/events/{event_id}"
    buyer = Fan.arrive(gateway.url)
    buyer.join(event_id)
    buyer.hold(event_id, [(1, 1, number) for number in range(49, 53)])

    visit = enter(browser, url, "desktop-light")
    page = visit.page
    overview = page.request.get(f"{gateway.url}/api/events/{event_id}/plan")
    assert len(overview.body()) <= OVERVIEW_BYTES_MAX
    sections = {section["name"]: section for section in overview.json()["sections"]}
    links = page.get_by_role("group", name="Map of the hall").get_by_role("link")
    expect(links).to_have_count(len(sections))
    # The cheapest ticket comes first wherever tickets stand, and is the one that is asked for.
    assert page.locator("#quick-type").input_value() == page.locator("[data-ticket]").first.get_attribute("data-ticket")
    expect(page.locator("#quick-type option:checked")).to_have_text("North Upper · €69.00")
    page.get_by_text("All sections, cheapest first").click()
    prices = page.locator("#sections b").all_text_contents()
    assert prices == sorted(prices, key=lambda price: float(price[1:]))
    visit.photograph("plan-1-overview")

    # One tab stop for all sections; the arrow keys go between them.
    first = next(name for name in sections if name.startswith("North Lower"))
    link = page.get_by_role("link", name=re.compile(rf"^{first}, €89\.00, 3,\d+ left$")).first
    link.focus()
    assert page.locator(".overview a[tabindex='0']").count() == 1
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"#section={sections[first]['sectionId']}$"))
    expect(page.locator("#map-title")).to_have_text(first)
    # The first seat of the tab key is free, and so is not one of those that somebody holds.
    current = page.locator(CURRENT)
    expect(current).to_be_focused()
    expect(current).to_have_attribute("aria-label", re.compile(r"^North Lower row 1 seat \d+, €89\.00, free$"))
    assert box(current)["width"] >= 0.85 * 40
    taken = page.get_by_role("option", name="North Lower row 1 seat 50, €89.00, in someone’s basket")
    taken.focus()
    page.keyboard.press("Space")
    expect(page.locator("#announcer")).to_have_text(re.compile("row 1 seat 50, .*in someone’s basket cannot be picked"))
    page.keyboard.press("End")
    before = focused_key(page)
    page.keyboard.press("ArrowUp")
    assert focused_key(page) != before
    assert re.fullmatch(r"1/2/(98|99|100)", focused_key(page)), "the second row is behind the first, so above it"
    page.keyboard.press("Enter")
    expect(page.locator("#picked-total")).to_have_text("€89.00")
    visit.photograph("plan-2-section", whole=False)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Continue")).to_be_focused()

    # Proposals are shown on the map; the next one takes the place of the first.
    page.locator("#picked-toggle").click()
    page.get_by_role("button", name="Remove North Lower row 2").click()
    page.get_by_label("How many tickets?").select_option("3")
    page.get_by_role("button", name="Find seats").click()
    proposals = page.locator("#proposals button")
    expect(proposals.first).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#picked li")).to_have_count(3)
    expect(page.locator("#map-title")).to_have_text(re.compile("^North Upper"))
    picked = page.locator("#picked").text_content()
    proposals.nth(1).click()
    expect(proposals.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#picked li")).to_have_count(3)
    assert page.locator("#picked").text_content() != picked
    visit.photograph("plan-9-proposals")
    page.go_back()
    expect(page.locator("#map-title")).to_have_text(first)

    # Back to where one came from; the address of a section leads there at once.
    page.go_back()
    expect(links).to_have_count(len(sections))
    page.go_forward()
    expect(page.locator("#map-title")).to_have_text(first)
    page.reload()
    expect(page.locator("#map-title")).to_have_text(first)
    page.get_by_role("link", name="All sections").click()
    expect(links).to_have_count(len(sections))

    page.get_by_text("All sections, cheapest first").click()
    slider = page.get_by_role("slider", name=re.compile("^Price"))
    slider.fill("0")
    expect(page.locator("#price-words")).to_have_text("up to €69.00")
    expect(page.locator(".overview a:not(.is-other)")).to_have_count(6)
    expect(page.locator("#sections li:visible")).to_have_count(6)
    assert visit.faults == []
    visit.end()


def test_the_whole_of_a_small_hall_is_seen_and_its_wheelchair_spaces_are_kept(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = a_theatre(database_url)
    services.worker()
    gateway = services.gateway()
    visit = enter(browser, f"{gateway.url}/events/{event_id}", "desktop-dark", color_scheme="dark")
    page = visit.page
    options = page.locator("[data-key]")
    expect(options).to_have_count(24)
    hall = box(page.locator("#map"))
    for found in (box(option) for option in options.all()):
        assert hall["x"] <= found["x"]
        assert found["x"] + found["width"] <= hall["x"] + hall["width"]
        assert hall["y"] <= found["y"]
        assert found["y"] + found["height"] <= hall["y"] + hall["height"]
    assert page.locator("#map").evaluate("map => map.scrollHeight - map.clientHeight") == 0

    space = page.get_by_role("option", name="Stalls row A seat 1, €49.00, wheelchair space, free")
    expect(page.get_by_role("option", name="Stalls row B seat 10, €49.00, restricted view, free")).to_be_visible()
    space.click()
    question = page.get_by_role("dialog", name="Do you need a wheelchair space?")
    visit.photograph("plan-3-wheelchair", whole=False)
    question.get_by_role("button", name="Choose another seat").click()
    expect(page.locator("#picked li")).to_have_count(0)
    space.click()
    question.get_by_role("button", name="Yes, we need it").click()
    expect(page.locator("#picked li")).to_have_count(1)
    seat(page, "1/1/2").click()
    expect(page.locator("#picked li")).to_have_count(2)
    page.get_by_label("Wheelchair spaces only").check()
    visit.photograph("plan-4-wheelchair-only", whole=False)
    for key in ("1/1/1", "1/1/2"):
        seat(page, key).click()
    page.get_by_label("Wheelchair spaces only").uncheck()

    # A seat between two picked ones would be left alone: one can take others, or go on all the same.
    for key in ("1/2/4", "1/2/6"):
        seat(page, key).click()
    page.get_by_role("button", name="Continue").click()
    alone = page.get_by_role("dialog", name="One seat would be left alone")
    expect(alone).to_contain_text("Stalls row B seat 5 would have no free seat beside it")
    visit.photograph("plan-5-alone", whole=False)
    page.keyboard.press("Escape")
    expect(page.locator("#picked li")).to_have_count(2)
    # The fan's other tab calls a hold's seats as the plan does.
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("[data-key]")).to_have_count(24)
    page.get_by_role("button", name="Continue").click()
    alone.get_by_role("button", name="Take Stalls row B seat 5 instead").click()
    expect(other.locator("#other-holds p")).to_have_text(
        re.compile(r"^Stalls row B seat 4, Stalls row B seat 5: yours until .+\. Go on with these$")
    )
    other.close()
    held = [re.compile("Stalls row B seat 4"), re.compile("Stalls row B seat 5")]
    expect(page.locator("#hold-seats li")).to_have_text(held)
    # A reloaded page has the hold from the list of holds.
    page.reload()
    expect(page.locator("#hold-seats li")).to_have_text(held)
    assert visit.faults == []
    visit.end()


@pytest.mark.long
def test_nothing_moves_under_the_finger_and_nothing_covers_the_focus(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = a_theatre(database_url)
    services.worker()
    gateway = services.gateway()
    url = f"{gateway.url}/events/{event_id}"
    visit = enter(browser, url, "phone-light", (360, 740), **PHONE)
    page = visit.page
    # The first tap brings the seats to a finger's size, the second picks.
    small = box(seat(page, "1/1/5"))
    seat(page, "1/1/5").tap()
    expect(page.locator("#picked li")).to_have_count(0)
    await_that(lambda: box(seat(page, "1/1/5"))["width"] >= SEAT_PX_NEAR)
    near, beside = box(seat(page, "1/1/5")), box(seat(page, "1/1/6"))
    assert small["width"] < near["width"]
    assert abs(beside["x"] - near["x"]) >= TARGET_PX_MIN - 1
    seat(page, "1/1/5").tap()
    expect(page.locator("#picked-total")).to_have_text("€49.00")
    sheet = page.locator("#selection")
    assert box(sheet)["height"] <= 80
    visit.photograph("plan-6-picked", whole=False)
    page.locator("#picked-toggle").tap()
    expect(page.get_by_role("button", name="Remove Stalls row A seat 5")).to_be_visible()
    page.locator("#picked-toggle").tap()
    expect(page.locator("#picked li")).to_be_hidden()

    # Somebody takes the seat: the page says so, and the map stays where it is.
    before = box(page.locator("#map"))
    buyer = Fan.arrive(gateway.url)
    buyer.join(event_id)
    buyer.hold(event_id, [(1, 1, 5)])
    expect(page.locator("#message")).to_have_text("Stalls row A seat 5 was just taken. Please pick another.")
    assert box(page.locator("#map")) == before
    visit.photograph("plan-7-taken", whole=False)
    seat(page, "1/1/6").tap()
    expect(page.locator("#message")).to_be_hidden()
    assert visit.faults == []
    visit.end()

    for name, size in (("zoomed", (640, 400)), ("landscape", (740, 360)), ("phone", (360, 740))):
        visit = enter(browser, url, name, size)
        page = visit.page
        walk = [*"→→→→→→→→→↓←←←←←←←←←↓"]
        keys = {"→": "ArrowRight", "←": "ArrowLeft", "↓": "ArrowDown"}
        page.locator(CURRENT).focus()
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        seen = set()
        for step in walk:
            page.keyboard.press(keys[step])
            assert covered(page) == [], (name, focused_key(page))
            seen.add(focused_key(page))
        assert len(seen) >= 20, seen
        visit.photograph("plan-8-keyboard", whole=False)
        assert visit.faults == []
        visit.end()


def covered(page: Page) -> Sequence[str]:
    """What lies over the middle of the focused seat, or that it is out of sight."""
    found: list[str] = page.evaluate(
        """() => {
            const { left, top, width, height } = document.activeElement.getBoundingClientRect();
            const over = document.elementFromPoint(left + width / 2, top + height / 2);
            if (!over) return ["out of sight"];
            return over === document.activeElement ? [] : [over.outerHTML.slice(0, 80)];
        }"""
    )
    return found
