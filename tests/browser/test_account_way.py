"""An operator's way to second factors: an authenticator and a passkey are added, used and asked for; roles are kept."""

from __future__ import annotations

import time

import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect

from db.events.seed import RoomSeed, seed_demo
from db.operators.accounts import add_operator
from db.operators.roles import OperatorRole
from tests.browser.looks import violations
from tests.browser.test_fan_way import PASSWORD
from tests.services import Services

pytestmark = pytest.mark.browser


def sign_in(page: Page, code: str = "") -> None:
    form = page.locator("#sign-in-form")
    form.get_by_label("Name").fill("Ada")
    form.get_by_label("Password").fill(PASSWORD)
    if code:
        form.get_by_label("Code of your authenticator").fill(code)
    form.get_by_role("button", name="Sign in", exact=True).click()


def add_virtual_authenticator(page: Page) -> None:
    """A key that the browser takes for the device's own, and whose person always says yes."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


@pytest.mark.long
def test_a_role_that_needs_a_second_factor_opens_with_one(
    services: Services, database_url: str, browser: Browser
) -> None:
    add_operator(database_url, "Ada", PASSWORD)
    gateway = services.gateway(ADMITONE_OPERATOR_FACTOR_ROLES="owner")
    # A passkey needs a name, not an address.
    url = gateway.url.replace("127.0.0.1", "localhost")
    context = browser.new_context()
    page = context.new_page()
    add_virtual_authenticator(page)
    page.goto(f"{url}/ops")
    sign_in(page)
    # Held back: the account is all that opens.
    page.wait_for_url(f"{url}/ops/account")
    expect(page.locator("#factor-needed")).to_be_visible()
    refused = page.request.get(f"{url}/api/ops/rooms")
    assert (refused.status, refused.json()["code"]) == (403, "second_factor_needed")

    adding = page.locator("#passkey-add")
    adding.get_by_label("What to call it").fill("Laptop")
    adding.get_by_label("Your password").fill(PASSWORD)
    adding.get_by_role("button").click()
    expect(page.locator("#passkeys")).to_contain_text("Laptop")
    expect(page.locator("#factor-needed")).to_be_hidden()
    assert page.request.get(f"{url}/api/ops/rooms").status == 200

    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("#who")).to_have_text("Ada")
    expect(page.locator("#passkeys")).to_contain_text("used")

    # An authenticator is asked for from now on, and a code is good once.
    page.locator("#authenticator-add").get_by_label("Your password").fill(PASSWORD)
    page.locator("#authenticator-add").get_by_role("button").click()
    expect(page.locator("#authenticator-picture")).to_be_visible()
    totp = pyotp.TOTP(page.locator("#authenticator-secret").inner_text())
    first = totp.now()
    page.get_by_label("The code that it shows").fill(first)
    page.get_by_role("button", name="Use this authenticator").click()
    expect(page.locator("#codes")).to_be_visible()
    (recovery, *_) = page.locator("#codes-text").input_value().split()
    page.get_by_role("button", name="Sign out", exact=True).click()
    sign_in(page)
    expect(page.locator("#sign-in-message")).to_contain_text("authenticator")
    sign_in(page, first)
    expect(page.locator("#sign-in-message")).to_contain_text("used before")
    sign_in(page, totp.at(int(time.time()), counter_offset=1))
    expect(page.locator("#who")).to_have_text("Ada")
    page.get_by_role("button", name="Sign out", exact=True).click()
    sign_in(page)
    sign_in(page, recovery)
    expect(page.locator("#authenticator-words")).to_contain_text("9 recovery codes left")
    assert violations(page) == []
    context.close()
    report = services.report()
    assert totp.secret not in report
    assert PASSWORD not in report


@pytest.mark.parametrize(
    ("role", "steers", "issues"),
    [(OperatorRole.VIEWER, False, False), (OperatorRole.STEWARD, False, True), (OperatorRole.OWNER, True, True)],
)
def test_the_console_shows_what_the_role_may_do(
    services: Services, database_url: str, browser: Browser, role: OperatorRole, *, steers: bool, issues: bool
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed())
    add_operator(database_url, "Ada", PASSWORD, role=role)
    gateway = services.gateway()
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{gateway.url}/ops")
    sign_in(page)
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.get_by_role("button", name="Pause")).to_be_visible(visible=steers)
    page.goto(f"{gateway.url}/ops/rooms/{event_id}/codes")
    expect(page.get_by_role("heading", name="Issued")).to_be_visible()
    expect(page.get_by_role("heading", name="Issue codes")).to_be_visible(visible=issues)
    expect(page.get_by_role("heading", name="Share of the priority class")).to_be_visible(visible=steers)
    context.close()
