"""An operator issues access codes, and a fan who waits uses one, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from db.events.seed import RoomSeed, seed_demo
from tests.browser.test_fan_way import PASSWORD, RIVALS, Rival, Visit
from tests.browser.words import JOIN
from tests.services import Services

pytestmark = pytest.mark.browser


@pytest.mark.long
def test_a_code_brings_a_fan_who_waits_into_the_priority_line(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=0, capacity=50))
    gateway = services.gateway(ADMITONE_CONNECTED_SECONDS="120", ADMITONE_ABSENCE_SECONDS="600")
    added = services.run("operator", "add", "demo", "--password", PASSWORD)
    assert added.returncode == 0, added.stdout + added.stderr
    for _ in range(RIVALS):
        Rival(gateway.url).join(event_id)

    office = Visit.begin(browser, "desktop-light", (1280, 860), "light")
    office.page.goto(f"{gateway.url}/ops/rooms/{event_id}/codes")
    office.page.get_by_label("Name", exact=True).fill("demo")
    office.page.get_by_label("Password").fill(PASSWORD)
    office.page.get_by_role("button", name="Sign in", exact=True).click()
    expect(office.page.locator("#codes")).to_be_visible()
    office.faults.clear()  # The browser tells of the refusal before the sign-in by itself.
    office.page.get_by_label("What for").fill("Fan club presale")
    office.page.get_by_label("How many").fill("3")
    office.page.get_by_role("button", name="Issue", exact=True).click()
    expect(office.page.locator("#message")).to_have_text("Issued 3 codes.")
    codes = office.page.locator("#issued-codes").input_value().split()
    assert len(codes) == 3

    visit = Visit.begin(browser, "phone-light", (390, 844), "light")
    page = visit.page
    page.goto(f"{gateway.url}/events/{event_id}")
    page.get_by_role("button", name=JOIN).click()
    expect(page.locator("#position")).to_have_text(str(RIVALS + 1))
    expect(page.locator("#place-label")).to_have_text("Your place in line")
    page.get_by_text("Got a presale code?").click()
    page.get_by_label("Presale code").fill("NOT-THIS-ONE")
    page.get_by_role("button", name="Use the code").click()
    expect(page.locator("#access-error")).to_have_text("That code is not right. Check it and try again.")
    expect(page.locator("#position")).to_have_text(str(RIVALS + 1))
    visit.photograph("10-code-refused")
    page.get_by_label("Presale code").fill(codes[1].lower())
    page.get_by_label("Presale code").press("Enter")
    expect(page.locator("#position")).to_have_text("1")
    expect(page.locator("#place-label")).to_have_text("Priority line: 1 of 1")
    expect(page.locator("#behind")).to_have_text("0")
    expect(page.locator("#access")).to_be_hidden()
    visit.photograph("11-code-used")
    page.reload()
    expect(page.locator("#place-label")).to_have_text("Priority line: 1 of 1")
    expect(page.locator("#position")).to_have_text("1")
    page.get_by_text("What happened so far").click()
    expect(page.locator("#history-lines")).to_contain_text("You used a presale code")
    assert [fault for fault in visit.faults if "403" not in fault] == [], "the browser tells of the refusal by itself"
    visit.end()

    office.page.reload()
    expect(office.page.locator("#issues")).to_contain_text("3 codes, 1 of 3 uses taken")
    office.page.on("dialog", lambda dialog: dialog.accept())
    office.photograph("12-codes")
    office.page.get_by_role("button", name="Revoke Fan club presale").click()
    expect(office.page.locator("#issues")).to_contain_text(re.compile("revoked by demo"))
    # What somebody else made of the share meanwhile is not overwritten blindly; another change is no matter here.
    room, message = f"{gateway.url}/api/ops/rooms/{event_id}", office.page.locator("#message")
    share, set_it = office.page.get_by_label("Percent of the calls"), office.page.get_by_role("button", name="Set")
    assert office.page.request.patch(room, data={"lineCap": 900}).status == 200
    share.fill("70")
    set_it.click()
    expect(message).to_contain_text("70% of the calls")
    assert office.page.request.patch(room, data={"priorityShare": 20}).status == 200
    share.fill("90")
    set_it.click()
    expect(message).to_contain_text("demo has made it 20% meanwhile")
    assert office.page.request.get(room).json()["priorityShare"] == 20
    set_it.click()
    expect(message).to_contain_text("90% of the calls")
    assert [fault for fault in office.faults if "409" not in fault] == []
    office.end()


@pytest.mark.long
def test_a_code_given_to_a_full_line_is_brought_again(services: Services, database_url: str, browser: Browser) -> None:
    # A rate, for tries to come soon, and no slots.
    event_id = seed_demo(database_url, room=RoomSeed(rate_per_minute=600, capacity=0, line_cap=RIVALS))
    gateway = services.gateway(ADMITONE_CONNECTED_SECONDS="120", ADMITONE_ABSENCE_SECONDS="600")
    services.run("operator", "add", "demo", "--password", PASSWORD)
    for _ in range(RIVALS):
        Rival(gateway.url).join(event_id)
    visit = Visit.begin(browser, "desktop-light", (1280, 860), "light")
    page, room = visit.page, f"{gateway.url}/api/ops/rooms/{event_id}"
    page.request.post(f"{gateway.url}/api/ops/session", data={"name": "demo", "password": PASSWORD})
    issued = page.request.post(f"{room}/codes", data={"label": "Fan club"})
    assert issued.status == 201
    page.goto(f"{gateway.url}/events/{event_id}")
    page.get_by_text("Got a presale code?").click()
    page.get_by_label("Presale code").fill(issued.json()["codes"][0])
    page.get_by_role("button", name="Use the code").click()
    expect(page.locator('[data-stage="line_full"]')).to_be_visible()
    assert page.request.patch(room, data={"lineCap": RIVALS + 1}).status == 200
    expect(page.locator("#position")).to_have_text("1")
    expect(page.locator("#place-label")).to_have_text("Priority line: 1 of 1")
    expect(page.locator("#message")).to_contain_text("Code accepted")
    assert [fault for fault in visit.faults if "503" not in fault] == []
    visit.end()
