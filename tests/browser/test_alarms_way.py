"""An operator says when there is an alarm and who is told, with the keyboard alone, and finds it kept."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, expect

from db.alarms.kinds import AlarmKind
from db.events.seed import RoomSeed, seed_demo
from tests.browser.looks import violations
from tests.browser.test_fan_way import PASSWORD
from tests.services import Services

pytestmark = pytest.mark.browser

FIRING = """
INSERT INTO alarm (alarm_id, kind, scope, subject_id, state, since, fired_at, seen_at, figure, threshold, about)
VALUES (gen_random_uuid(), 'line_long', 'event', %(event)s, 'firing', now() - interval '4 minutes', now(), now(), 5120,
        5000, jsonb_build_object('names', jsonb_build_array('Nacht der Orgel'), 'more', 0, 'timeZone', 'Europe/Berlin',
                                 'eventId', %(event)s::bigint))
"""


@pytest.mark.long
def test_thresholds_and_receivers_are_set_in_the_console(
    services: Services, database_url: str, browser: Browser, tmp_path: Path
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed())
    gateway = services.gateway()
    assert services.run("operator", "add", "demo", "--password", PASSWORD).returncode == 0
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(FIRING, {"event": event_id})
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{gateway.url}/ops/alarms")
    page.locator("#sign-in-form").get_by_label("Name").fill("demo")
    page.locator("#sign-in-form").get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#firing")).to_contain_text("The line has 5,120 fans.")
    expect(page.locator("#looked")).to_contain_text("No worker looks")

    threshold = page.get_by_label("The line is long: threshold in fans")
    expect(threshold).to_have_value("5000")
    threshold.fill("750")
    page.locator("[data-kind=sold_share] [name=enabled]").press("Space")
    threshold.press("Enter")
    expect(page.locator("#message")).to_have_text("Saved. It holds within seconds.")

    page.get_by_label("Event’s number").fill(str(event_id))
    page.locator("#exception-form [name=kind]").select_option("no_shows")
    page.get_by_label("From (%)").fill("25")
    page.get_by_role("button", name="Set", exact=True).press("Enter")
    expect(page.locator("#exceptions")).to_contain_text("Many do not come when they are called, from 25 %")

    page.get_by_role("button", name="Add an address").press("Enter")
    page.locator("#add-form").get_by_label("Address").fill("ops@venue.example")
    page.locator("#add-form").get_by_label("Name").fill("On-call phone")
    page.locator("#add-form").get_by_label("Sold out", exact=True).check()
    page.get_by_role("button", name="Add", exact=True).press("Enter")
    expect(page.locator("#message")).to_contain_text("Added.")
    expect(page.locator("#receivers")).to_contain_text(
        f"mail: ops@venue.example · 1 of {len(AlarmKind)} alarms · not told yet"
    )
    page.get_by_role("button", name="Send a test to On-call phone").press("Enter")
    expect(page.locator("#message")).to_contain_text("A test alarm is on its way to On-call phone.")
    page.locator("#receivers [data-do=quiet]").select_option("8")
    expect(page.locator("#receivers .tag")).to_have_text("Quiet")
    page.screenshot(path=tmp_path / "alarms.png", full_page=True)
    assert violations(page) == []

    page.reload()
    expect(threshold).to_have_value("750")
    expect(page.locator("[data-kind=sold_share] [name=enabled]")).not_to_be_checked()
    expect(page.locator("#receivers")).to_contain_text("On-call phone")
    page.get_by_text("Who changed what").click()
    expect(page.locator("#log-lines")).to_contain_text("demo, all events: line long.threshold 5000 → 750")
    page.get_by_role("button", name="End the quiet").click()
    expect(page.locator("#receivers .tag")).to_have_text("On")
    for width in (768, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=tmp_path / f"alarms-{width}.png", full_page=True)
    page.emulate_media(color_scheme="dark")
    assert violations(page) == []

    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove On-call phone").click()
    expect(page.locator("#nobody")).to_be_visible()
    context.close()
