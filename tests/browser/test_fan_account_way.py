"""A fan's way to an account: by a mail's link, with a passkey, out, and in again for an event that asks for it; and
from two accounts to one.
"""

from __future__ import annotations

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from db.events.seed import RoomSeed, seed_demo
from messages.links import LinkTokens
from tests.browser.looks import photograph, violations
from tests.browser.test_account_way import add_virtual_authenticator
from tests.browser.test_fan_way import PASSWORD
from tests.client import Client
from tests.services import Services

pytestmark = pytest.mark.browser


def _with_a_passkey(page: Page) -> Locator:
    """The part of the account's page about passkeys, to which one was added."""
    part = page.locator("#passkey-part")
    part.get_by_label("What this device is called").fill("Telephone")
    part.get_by_label("The password that you have now").fill(PASSWORD)
    part.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#passkeys li")).to_contain_text("Telephone")
    return part


def _with_a_password(services: Services, context: BrowserContext, url: str) -> Page:
    """The page of an account whose fan has just set a password, in a browser that has passkeys."""
    page = context.new_page()
    add_virtual_authenticator(page)
    links = LinkTokens(services.environ["ADMITONE_SECRET"])
    page.goto(f"{url}/account/links/{links.sign_account_link('ada@example.org')}")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set my password").click()
    return page


def test_a_passkey_signs_a_fan_in_to_an_event_that_asks_for_it(
    services: Services, database_url: str, browser: Browser
) -> None:
    event_id = seed_demo(database_url, room=RoomSeed())
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE event SET account_required = true")
    # A passkey needs a name, not an address.
    url = services.gateway().url.replace("127.0.0.1", "localhost")
    context = browser.new_context(locale="en-GB")
    page = _with_a_password(services, context, url)
    expect(page.get_by_text("You are signed in as ada@example.org.")).to_be_visible()
    part = page.locator("#passkey-part")
    part.get_by_label("What this device is called").fill("Telephone")
    part.get_by_label("The password that you have now").fill("not this one")
    part.get_by_role("button", name="Add a passkey").click()
    expect(part.get_by_role("alert")).to_have_text("The password that you have now is another one.")
    part.get_by_label("The password that you have now").fill(PASSWORD)
    part.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#passkeys li")).to_contain_text("Telephone")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(f"{url}/")
    page.goto(f"{url}/events/{event_id}")
    page.get_by_role("link", name="Sign in").first.click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{url}/events/{event_id}")
    page.locator("[data-join] button:visible").first.click()
    expect(page.locator('[data-stage="choose"]')).to_be_visible()
    context.close()


def test_the_last_way_in_is_not_taken_away_by_the_page(services: Services, database_url: str, browser: Browser) -> None:
    url = services.gateway().url.replace("127.0.0.1", "localhost")
    context = browser.new_context(locale="en-GB")
    page = _with_a_password(services, context, url)
    part = _with_a_passkey(page)
    # So is an account that was made by an issuer which the site does not name any more.
    with psycopg.connect(database_url, autocommit=True) as connection:
        kept = connection.execute("SELECT mail, address_hash, password_hash FROM account").fetchone()
        connection.execute("UPDATE account SET mail = NULL, address_hash = NULL, password_hash = NULL")
    page.reload()
    part.get_by_role("button", name="Remove: Telephone").click()
    expect(page.locator("#passkey-message")).to_have_text(
        "Without it you could not sign in any more. Add a passkey first."
    )
    page.reload()
    expect(page.locator("#passkeys li")).to_contain_text("Telephone")
    # It still signs its fan in.
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(f"{url}/")
    page.goto(f"{url}/account")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("#passkeys li")).to_contain_text("Telephone")
    # With another way in it is removed.
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE account SET mail = %s, address_hash = %s, password_hash = %s", kept)
    part.get_by_role("button", name="Remove: Telephone").click()
    expect(page.locator("#passkeys li")).to_have_count(0)
    expect(page.locator("#passkey-message")).to_be_hidden()
    context.close()


def _second(services: Services, url: str) -> None:
    """A second account of the same fan."""
    links = LinkTokens(services.environ["ADMITONE_SECRET"])
    body = {"link": links.sign_account_link("ada@example.com"), "password": PASSWORD}
    assert Client(url).post("/api/account/password", body).status == 201


def test_two_accounts_become_one_by_the_keyboard_and_without_scripts(services: Services, browser: Browser) -> None:
    url = services.gateway().url
    _second(services, url)
    context = browser.new_context(locale="en-GB", java_script_enabled=False)
    page = context.new_page()
    links = LinkTokens(services.environ["ADMITONE_SECRET"])
    page.goto(f"{url}/account/links/{links.sign_account_link('ada@example.org')}")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set my password").click()
    other = page.get_by_label("E-mail address of the other account")
    other.focus()
    page.keyboard.type("ada@example.com")
    page.keyboard.press("Tab")
    page.keyboard.type("not this one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_have_text("The address or the password of the other account is wrong.")
    other.fill("ada@example.com")
    page.get_by_label("Password of the other account").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("The account of ada@example.com becomes part of this one, for good.")).to_be_visible()
    page.get_by_label("The password of the account that stays").fill("not this one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("The password that you have now is another one.")
    photograph(page, "account-join-refused")
    page.get_by_label("The password of the account that stays").fill(PASSWORD)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("The two accounts are one now.")
    expect(page.get_by_text("is being joined to this one")).to_be_visible()
    context.close()


def test_a_passkey_proves_the_other_account(services: Services, browser: Browser) -> None:
    url = services.gateway().url.replace("127.0.0.1", "localhost")
    context = browser.new_context(locale="en-GB")
    page = _with_a_password(services, context, url)
    _with_a_passkey(page)
    page.get_by_role("button", name="With a passkey of the other account").click()
    expect(page.locator("#passkey-message")).to_have_text("This passkey is one of this account.")
    links = LinkTokens(services.environ["ADMITONE_SECRET"])
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(f"{url}/")
    page.goto(f"{url}/account/links/{links.sign_account_link('ada@example.com')}")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set my password").click()
    page.get_by_role("button", name="With a passkey of the other account").click()
    expect(page.get_by_text("The account of ada@example.org becomes part of this one, for good.")).to_be_visible()
    assert violations(page) == []
    photograph(page, "account-join")
    page.get_by_label("The password of the account that stays").fill(PASSWORD)
    page.get_by_role("button", name="Join the two accounts").click()
    expect(page.get_by_text("is being joined to this one")).to_be_visible()
    expect(page.locator("#passkeys li")).to_contain_text("Telephone")
    assert violations(page) == []
    photograph(page, "account-joined")
    context.close()
