"""A fan gives a ticket to a friend, each in a browser, and both put theirs into a wallet."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from db.events.seed import RoomSeed, seed_demo
from db.rooms.states import RoomState
from tests.browser.test_cancelling_way import BUY, fits
from tests.browser.test_fan_way import Visit
from tests.services import Services
from tests.unit.tickets.wallet_chain import write_chain
from tickets.signed import public_keys, verify_ticket

pytestmark = pytest.mark.browser


@pytest.mark.timeout(300)
def test_a_friend_takes_the_ticket_and_the_wallets_have_it(
    services: Services, database_url: str, browser: Browser, tmp_path: Path
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed(state=RoomState.OFF))
    folder = write_chain(tmp_path)
    services.worker()
    gateway = services.gateway(
        ADMITONE_CAPTCHA="off",
        ADMITONE_WALLET_APPLE_CERTIFICATE=str(folder / "pass.pem"),
        ADMITONE_WALLET_APPLE_INTERMEDIATE=str(folder / "wwdr.pem"),
        ADMITONE_WALLET_GOOGLE_ACCOUNT=str(folder / "account.json"),
        ADMITONE_WALLET_GOOGLE_ISSUER="3388000000012345678",
    )
    buyer = Visit.begin(browser, "phone", (360, 740), "light")
    buyer.page.goto(f"{gateway.url}/events/{event_id}")
    buyer.page.locator("#map svg").wait_for()
    purchase_id = buyer.page.evaluate(BUY, event_id)
    address = f"{gateway.url}/purchases/{purchase_id}"
    buyer.page.goto(address)
    assert fits(buyer.page)
    old = buyer.page.locator(".code").inner_text()
    expect(buyer.page.get_by_role("button", name="Copy the link")).to_have_count(2)
    link = buyer.page.locator(".hand-on a[href*='/take/']").get_attribute("href")
    assert link is not None

    friend = Visit.begin(browser, "laptop", (1280, 800), "light")
    friend.page.goto(gateway.url + link)
    expect(friend.page.get_by_role("heading", name="A ticket for you")).to_be_visible()
    assert old not in friend.page.content()
    friend.page.get_by_role("button", name="Take this ticket").click()
    expect(friend.page).to_have_url(address)
    new = friend.page.locator(".code").inner_text()
    assert new != old

    # The QR code of both wallets says the ticket as it is now.
    request = friend.page.context.request
    keys = public_keys(request.get(f"{gateway.url}/.well-known/jwks.json").json())
    apple = friend.page.get_by_role("link", name="Add to Apple Wallet").get_attribute("href")
    packed = request.get(f"{gateway.url}{apple}")
    assert packed.headers["content-type"] == "application/vnd.apple.pkpass"
    with zipfile.ZipFile(io.BytesIO(packed.body())) as archive:
        (barcode,) = json.loads(archive.read("pass.json"))["barcodes"]
    assert barcode["altText"] == new
    said = verify_ticket(barcode["message"], keys)
    assert (str(said.purchase_id), said.issue_number) == (purchase_id, 2)
    google = friend.page.get_by_role("link", name="Add to Google Wallet").get_attribute("href")
    led = request.get(f"{gateway.url}{google}", max_redirects=0)
    assert led.status == 303
    assert led.headers["location"].startswith("https://pay.google.com/gp/v/save/ey")

    buyer.page.reload()
    expect(buyer.page.get_by_text("Somebody else has this ticket now")).to_be_visible()
    assert {old, new}.isdisjoint(buyer.page.content().split())
    expect(buyer.page.locator(".qr-box")).to_have_count(0)
    assert request.get(f"{gateway.url}{apple}").ok
    assert buyer.page.context.request.get(f"{gateway.url}{apple}").status == 404
