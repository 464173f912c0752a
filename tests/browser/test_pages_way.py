"""What a browser makes of the fans' pages: data for others under our policy, pictures, tickets at the door, alerts by
push, a place that goes to another device.
"""

from __future__ import annotations

import io
import json
import re
from typing import Any

import psycopg
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from db.events.seed import RoomSeed, seed_demo
from db.messages.addresses import opened
from db.pictures import keep_picture
from gateway.programme.pictures import picture_forms
from tests.browser.test_tabs_way import fans_browser, stage
from tests.browser.words import JOIN
from tests.services import Services
from tests.waiting import await_that

pytestmark = pytest.mark.browser

PUSH_KEY = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
OPEN = RoomSeed(rate_per_minute=60_000, capacity=50)
SHUT = RoomSeed(rate_per_minute=60_000, capacity=0)
PHONE = {"width": 390, "height": 844}


def give_picture(database_url: str, event_id: int) -> None:
    file = io.BytesIO()
    Image.new("RGB", (1280, 720), "navy").save(file, "PNG")
    forms = picture_forms(file.getvalue(), 4_000_000)
    with psycopg.connect(database_url, autocommit=True) as connection:
        keep_picture(connection, forms)
        connection.execute(
            "UPDATE event SET picture_hash = %s, picture_alt = 'A dark blue sky', doors_at = date - interval '1 hour'"
            " WHERE event_id = %s",
            (forms.hash, event_id),
        )


def focused(page: Page) -> str:
    return str(page.evaluate("() => document.activeElement.textContent.trim()"))


def test_previews_and_pictures_are_told_under_our_policy(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=OPEN)
    give_picture(database_url, event_id)
    gateway = services.gateway()
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 860})
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    page.add_init_script(
        "window.refused = []; addEventListener('securitypolicyviolation', (e) => refused.push(e.blockedURI))"
    )
    page.goto(f"{gateway.url}/events/{event_id}")
    data = json.loads(page.locator('script[type="application/ld+json"]').text_content() or "")
    assert data["@type"] == "Event"
    picture = page.get_by_role("img", name="A dark blue sky")
    expect(picture).to_have_js_property("naturalWidth", 480)
    # Chromium reads the manifest when it is asked for it: with its icons, and under the page's policy.
    client = context.new_cdp_session(page)
    manifest = client.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert json.loads(manifest["data"])["name"] == "Admit One"
    page.goto(gateway.url)
    expect(page.get_by_role("heading", name="On sale now")).to_be_visible()
    expect(page.get_by_role("img", name="A dark blue sky")).to_have_js_property("naturalWidth", 480)
    assert page.evaluate("() => window.refused") == []
    assert faults == []
    context.close()


@pytest.mark.long
def test_focus_goes_with_the_page_and_tickets_fill_the_screen_at_the_door(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=OPEN)
    give_picture(database_url, event_id)
    services.worker()
    gateway = services.gateway()
    with fans_browser(browser) as context:
        page = context.new_page()
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        page.goto(f"{gateway.url}/events/{event_id}")
        page.get_by_role("button", name=JOIN).click()
        stage(page, "choose")
        expect(page.locator("[data-stage=choose] h2").first).to_be_focused()
        page.locator("#quick-count").select_option("2")
        page.locator("#quick-go").click()
        page.locator("#hold").click()
        stage(page, "held")
        assert focused(page) == "Your seats"
        page.locator("#buy").click()
        page.wait_for_url(re.compile("/purchases/"))
        at_the_door(page)
        address = page.url.partition("#")[0]
        kept = context.storage_state()
    # Nothing of it needs a script.
    plain = browser.new_context(storage_state=kept, java_script_enabled=False, viewport=PHONE)  # type: ignore[arg-type]
    page = plain.new_page()
    page.goto(address)
    show_whole(page)
    page.locator("#ticket-1").get_by_role("link", name="Next ticket").click()
    expect(page).to_have_url(f"{address}#ticket-2")
    expect(page.locator("#ticket-2 .qr-box")).to_be_in_viewport(ratio=1)
    page.locator("#ticket-2").get_by_role("link", name="Close").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    plain.close()


def show_whole(page: Page) -> None:
    """The first ticket on the whole screen: its code as large as the phone, on white, and nothing else."""
    page.get_by_role("link", name="Show at the door").first.click()
    expect(page.locator("#ticket-1 .of")).to_have_text("1 of 2")
    box = page.locator("#ticket-1 .qr-box").bounding_box()
    assert box is not None
    assert box["width"] > 0.85 * PHONE["width"]
    expect(page.locator("#ticket-1 .qr-box")).to_be_in_viewport(ratio=1)
    expect(page.locator("header.bar")).to_be_hidden()
    expect(page.get_by_text("doors").first).to_be_visible()


def at_the_door(page: Page) -> None:
    show_whole(page)
    expect(page.locator("#ticket-1")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile("#ticket-2$"))
    expect(page.locator("#ticket-2 .qr-box")).to_be_in_viewport(ratio=1)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#ticket-1 .qr-box")).to_be_in_viewport(ratio=1)
    page.keyboard.press("Escape")
    expect(page.locator("header.bar")).to_be_visible()


def alerted(context: BrowserContext, address: str) -> Page:
    """A fan in line who has pressed the button of the alert, in a browser whose push service is pretended."""
    page = context.new_page()
    page.add_init_script(
        """
        PushManager.prototype.subscribe = async function (options) {
            window.pushOptions = { visible: options.userVisibleOnly, key: options.applicationServerKey };
            return { toJSON: () => ({ endpoint: "https://push.example.org/me", keys: {
                p256dh: options.applicationServerKey, auth: "BTBZMqHH6r4Tts7J_aSIgg" } }) };
        };
        PushManager.prototype.getSubscription = async () => ({ endpoint: "https://push.example.org/me" });
        """
    )
    page.goto(address)
    page.get_by_role("button", name=JOIN).click()
    stage(page, "waiting")
    with page.expect_response(re.compile("/push$")) as answer:
        page.locator("[data-stage=waiting] [data-alert]").click()
    assert answer.value.status == 204
    return page


def test_a_closed_page_is_told_by_web_push(services: Services, database_url: str, whole_browser: Browser) -> None:
    event_id = seed_demo(database_url, room=SHUT)
    gateway = services.gateway(ADMITONE_PUSH_PUBLIC_KEY=PUSH_KEY)
    context = whole_browser.new_context(locale="en-GB", permissions=["notifications"])
    page = alerted(context, f"{gateway.url}/events/{event_id}")
    assert page.evaluate("() => window.pushOptions") == {"visible": True, "key": PUSH_KEY}
    with psycopg.connect(database_url) as connection:
        kept = connection.execute("SELECT event_id, endpoint, language FROM push_subscription").fetchall()
    assert [(event, opened(endpoint), language) for event, endpoint, language in kept] == [
        (event_id, "https://push.example.org/me", "en")
    ]

    page.goto(gateway.url + "/purchases")
    client = context.new_cdp_session(page)
    registrations: list[dict[str, Any]] = []
    client.on("ServiceWorker.workerRegistrationUpdated", lambda told: registrations.extend(told["registrations"]))
    client.send("ServiceWorker.enable")

    def are_told() -> bool:
        page.wait_for_timeout(50)  # in which Playwright hears of them
        return bool(registrations)

    await_that(are_told, what="the browser tells of the page's worker")
    pushed = {"title": "It’s your turn!", "body": "Nachtflug", "url": f"/events/{event_id}", "tag": "admitone-1"}
    client.send(
        "ServiceWorker.deliverPushMessage",
        {"origin": gateway.url, "registrationId": registrations[0]["registrationId"], "data": json.dumps(pushed)},
    )
    shown: list[Any] = page.evaluate(
        """async () => {
            const worker = await navigator.serviceWorker.ready;
            for (let tries = 0; tries < 100; tries++) {
                const all = await worker.getNotifications();
                if (all.length) return all.map(({ title, body, data, tag }) => [title, body, data, tag]);
                await new Promise((go) => setTimeout(go, 100));
            }
            return [];
        }"""
    )
    assert shown == [["It’s your turn!", "Nachtflug", [f"{gateway.url}/events/{event_id}", ""], "admitone-1"]]

    page = context.new_page()
    page.goto(f"{gateway.url}/events/{event_id}")
    stage(page, "waiting")
    context.close()


def test_a_place_goes_to_another_device_once(services: Services, database_url: str, browser: Browser) -> None:
    event_id = seed_demo(database_url, room=SHUT)
    address = f"{services.gateway().url}/events/{event_id}"
    with fans_browser(browser) as desk, fans_browser(browser) as phone, fans_browser(browser) as stranger:
        page = desk.new_page()
        page.goto(address)
        page.get_by_role("button", name=JOIN).click()
        stage(page, "waiting")
        other = stranger.new_page()
        other.goto(address)
        other.get_by_role("button", name=JOIN).click()
        stage(other, "waiting")
        expect(other.locator("#position")).to_have_text("2")

        page.get_by_text("Continue on another device").click()
        code = page.get_by_role("img", name="QR code with the link of your place")
        expect(code).to_be_visible()
        expect(code).not_to_have_js_property("naturalWidth", 0)
        link = page.locator("#handover-link").get_attribute("href")
        assert link is not None
        assert link.startswith(f"{address}#place=")

        moved = phone.new_page()
        moved.goto(link)
        stage(moved, "waiting")
        expect(moved.locator("#position")).to_have_text("1")
        expect(moved.locator("#message")).to_contain_text("Your place is on this device now.")
        assert moved.url == address, "the code is not kept in the address"
        stage(page, "join")
        expect(page.locator("#message")).to_contain_text("Your place is on your other device now.")
        moved.reload()
        stage(moved, "waiting")
        expect(moved.locator("#position")).to_have_text("1")

        with fans_browser(browser) as thief:
            late = thief.new_page()
            late.goto(link)
            expect(late.locator("#message")).to_contain_text("That code does not work any more.")
            stage(late, "join")
        with stranger.expect_page() as opened:
            other.evaluate("(link) => window.open(link)", link)
        expect(opened.value.locator("#message")).to_contain_text("This device has a place of its own.")


def test_closed_and_sold_out_pages_are_true_for_who_was_never_in_line(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=SHUT)
    gateway = services.gateway()
    with fans_browser(browser) as context:
        page = context.new_page()
        page.goto(f"{gateway.url}/events/{event_id}")
        page.get_by_role("button", name=JOIN).click()
        stage(page, "waiting")
        expect(page.locator("[data-ticket] .stock").first).to_be_visible()
        closed = services.run("room", str(event_id), "--close", "--why", "the hall is flooded")
        assert closed.returncode == 0, closed.stderr
        stage(page, "closed")
        expect(page.locator("[data-ticket] .stock").first).to_be_hidden()
    with fans_browser(browser) as context:
        page = context.new_page()
        page.goto(f"{gateway.url}/events/{event_id}")
        stage(page, "closed")
        page.wait_for_load_state("networkidle")
        expect(page.get_by_text("What happened so far")).to_be_hidden()
        expect(page.locator("[data-ticket] .stock").first).to_be_hidden()
