"""Chats take what they are sent: a local server holds each post to what the vendor's documentation allows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
import pytest
from aiohttp import web

from db.alarms.states import Notice
from workers.messages.alarm_letters import Told, chat_body
from workers.messages.chat import Chat, form_of
from workers.messages.provider import Failure

CONSOLE = "https://venue.example/ops/alarms"
NAME = "Rock & <Roll> @here"
TEST = Told(Notice.TEST, {"by": NAME})


class _Text(msgspec.Struct, forbid_unknown_fields=True):
    """Google Chat: "Use the incoming webhook"; a message has 32,000 bytes at most. Unknown names are refused."""

    text: str


class _RocketChat(msgspec.Struct, forbid_unknown_fields=True):
    """Rocket.Chat: the payload of ``chat.postMessage``, without what the webhook knows already."""

    text: str
    alias: str = ""
    emoji: str = ""
    avatar: str = ""
    channel: str = ""


class _Mentions(msgspec.Struct, forbid_unknown_fields=True):
    parse: tuple[()]


class _Discord(msgspec.Struct, forbid_unknown_fields=True):
    """Discord: "Execute Webhook"; "the message contents (up to 2000 characters)"."""

    content: Annotated[str, msgspec.Meta(max_length=2000)]
    allowed_mentions: _Mentions


class _DiscordAsSlack(msgspec.Struct, forbid_unknown_fields=True):
    """Discord: "Execute Slack-Compatible Webhook", which makes a message of its own of it."""

    text: Annotated[str, msgspec.Meta(max_length=2000)]


class _Run(msgspec.Struct, tag_field="type", tag="TextRun", forbid_unknown_fields=True):
    text: str


class _Block(msgspec.Struct, tag_field="type", tag="RichTextBlock", forbid_unknown_fields=True):
    inlines: list[_Run]


class _Open(msgspec.Struct, tag_field="type", tag="Action.OpenUrl", forbid_unknown_fields=True):
    title: str
    url: str


class _Card(msgspec.Struct, tag_field="type", tag="AdaptiveCard", forbid_unknown_fields=True):
    """Adaptive Cards 1.4: the parts that we use. Teams shows no higher version than 1.5."""

    schema: Literal["http://adaptivecards.io/schemas/adaptive-card.json"] = msgspec.field(name="$schema")
    version: Literal["1.2", "1.3", "1.4", "1.5"]
    body: list[_Block]
    actions: list[_Open]


class _Attachment(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    content_type: Literal["application/vnd.microsoft.card.adaptive"]
    content_url: None
    content: _Card


class _Teams(msgspec.Struct, tag_field="type", tag="message", forbid_unknown_fields=True):
    """Teams: "Post to a channel when a webhook request is received". One card, of 28 KB at most."""

    attachments: list[_Attachment]


_TAKEN: dict[str, tuple[type[Any], int, int, Any]] = {
    "https://chat.googleapis.com/v1/spaces/A/messages": (_Text, 32_000, 200, {"name": "spaces/A/messages/B"}),
    "https://rocket.venue.example/hooks/65f0/token": (_RocketChat, 5_000, 200, {"success": True}),
    "https://0a.environment.api.powerplatform.com/powerautomate/invoke": (_Teams, 28_000, 202, None),
    "https://hooks.slack.com/services/T0/B0/x": (_Text, 40_000, 200, "ok"),
    "https://discord.com/api/webhooks/1/token": (_Discord, 16_000, 204, None),
    "https://discord.com/api/webhooks/1/token/slack": (_DiscordAsSlack, 16_000, 200, "ok"),
    "https://mattermost.venue.example/hooks/key": (_Text, 16_383, 200, "ok"),
}
"""What each vendor takes and of how many bytes, and what it answers."""


class Vendor:
    """A server that answers as the vendor does."""

    def __init__(self) -> None:
        self.url = ""
        self.takes = next(iter(_TAKEN))
        self.posted: list[Any] = []

    async def handle(self, request: web.Request) -> web.Response:
        wanted, bytes_max, status, answer = _TAKEN[self.takes]
        content = await request.read()
        if request.content_type != "application/json" or len(content) > bytes_max:
            return web.json_response({"error": "not JSON, or too large"}, status=400)
        try:
            self.posted.append(msgspec.json.decode(content, type=wanted))
        except msgspec.ValidationError as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(answer, status=status)


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    found, app = Vendor(), web.Application()
    app.router.add_post("/{path:.*}", found.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
    yield found
    await runner.cleanup()


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    made = Chat(5, public_only=False)
    yield made
    await made.close()


@pytest.mark.parametrize("url", list(_TAKEN))
async def test_each_chat_takes_its_form(url: str, vendor: Vendor, chat: Chat) -> None:
    vendor.takes = url
    tried = await chat.send(vendor.url, chat_body([TEST] * 30, CONSOLE, form_of(url)))
    assert tried.failure is None, tried.error
    long = Told(Notice.TEST, {"by": "Rock & Roll " * 400})
    tried = await chat.send(vendor.url, chat_body([long], CONSOLE, form_of(url)))
    assert tried.failure is None, "it is cut: " + tried.error
    assert len(vendor.posted) == 2
    assert CONSOLE in msgspec.json.encode(vendor.posted[1]).decode(), "the link is whole"


async def test_teams_shows_text_as_it_stands_and_a_button_to_the_console(vendor: Vendor, chat: Chat) -> None:
    vendor.takes = next(url for url, (wanted, *_) in _TAKEN.items() if wanted is _Teams)
    assert (await chat.send(vendor.url, chat_body([TEST], CONSOLE, form_of(vendor.takes)))).failure is None
    card = vendor.posted[0].attachments[0].content
    lines = [run.text for block in card.body for run in block.inlines]
    assert lines[0].endswith("Test alarm")
    assert any("Rock & <\u200bRoll> @\u200bhere" in line for line in lines)
    assert [(one.title, one.url) for one in card.actions] == [("Open the console", CONSOLE)]


async def test_a_chat_that_takes_another_form_refuses_for_good(vendor: Vendor, chat: Chat) -> None:
    teams = next(url for url, (wanted, *_) in _TAKEN.items() if wanted is _Teams)
    vendor.takes = teams
    tried = await chat.send(vendor.url, chat_body([TEST], CONSOLE, form_of("https://hooks.slack.com/services/a/b/c")))
    assert (tried.failure, tried.error) == (Failure.REFUSED, "it answered 400")
